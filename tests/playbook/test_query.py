# SPDX-License-Identifier: Apache-2.0
"""Playbooks of statements that are allowed: simple, extended, pipelined, COPY, and what the book says of them."""

from __future__ import annotations

import hashlib

import pytest
from support import pgwire
from support.play import ASK_FACTS, FACTS, FACTS_ANSWER, Play, admission, allow, logged_in, refuse

from gatebook.native.pure import OperationFacts, Verdict

ROW = pgwire.row(b"1")
RESULT = pgwire.row_description("n") + ROW + pgwire.complete("SELECT 1")


def test_nothing_goes_upstream_before_the_verdict() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    assert play.question.via == "query"
    assert play.question.text == b"SELECT 1"
    assert not play.conversation.wants_client()
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))
    play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY))


def test_the_intent_is_written_before_anything_is_forwarded() -> None:
    play = Play(insecure_plaintext=True, hold_journal=True)
    play.take(play.conversation.client(pgwire.startup(user="agent", database="shop")))
    play.take(play.conversation.client(pgwire.password("key")))
    play.take(play.conversation.admit(play.ticket, admission()))
    play.take(play.conversation.upstream_open())
    play.take(play.conversation.upstream(pgwire.AUTHENTICATED + pgwire.key_data(7, b"abcd") + pgwire.READY))
    play.take(play.conversation.written())
    play.take(play.conversation.client(pgwire.query("SELECT 1")))
    held = play.take(play.conversation.answer(play.ticket, allow("SELECT")))
    assert held == []
    assert [entry["event"] for entry in play.entries] == ["session.start", "operation.intent"]
    assert not play.conversation.wants_client()
    assert play.take(play.conversation.written()) == [("upstream", pgwire.query("SELECT 1"))]


def test_the_outcome_tells_rows_bytes_tag_and_the_hash_of_what_the_client_saw() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")), at=1000)
    answer = pgwire.row_description("n") + ROW + ROW + pgwire.complete("SELECT 2") + pgwire.READY
    play.upstream(answer, ("client", answer), at=4500)
    (outcome,) = play.events("operation.outcome")
    assert outcome["operation"] == "s_play.1"
    assert outcome["effect"] == {
        "bytes": 2 * len(ROW),
        "duration_us": 3500,
        "result": "sha256:" + hashlib.sha256(ROW + ROW).hexdigest(),
        "rows": 2,
        "status": "done",
        "tag": "SELECT 2",
    }


def test_entries_of_a_session_are_numbered_without_gap() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))
    play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY))
    got = play.take(play.conversation.client(pgwire.TERMINATE))
    assert [output[0] for output in got] == ["upstream", "end"]
    assert got[0] == ("upstream", pgwire.TERMINATE)
    events = [(entry["seq"], entry["event"]) for entry in play.entries]
    assert events == [
        (0, "session.start"),
        (1, "operation.intent"),
        (2, "operation.outcome"),
        (3, "session.end"),
    ]
    assert play.entries[-1]["cause"] == "client closed"
    assert play.entries[-1]["counts"]["rows"] == 1


def test_each_statement_of_a_message_has_its_own_operation() -> None:
    play = logged_in()
    sql = "SELECT 1; SELECT 2"
    play.client(pgwire.query(sql), ("ask",))
    play.answer(allow("SELECT", "SELECT"), ("upstream", pgwire.query(sql)))
    answer = RESULT + RESULT + pgwire.READY
    play.upstream(answer, ("client", answer))
    intents = play.events("operation.intent")
    assert [intent["operation"] for intent in intents] == ["s_play.1", "s_play.2"]
    assert [intent["statement"] for intent in intents] == [{"count": 2, "index": 0}, {"count": 2, "index": 1}]
    assert ["private" in intent for intent in intents] == [True, False]
    assert play.outcomes() == [("1", "done"), ("2", "done")]


def test_what_stands_behind_a_failed_statement_was_not_executed() -> None:
    play = logged_in()
    sql = "SELECT 1/0; SELECT 2; SELECT 3"
    play.client(pgwire.query(sql), ("ask",))
    play.answer(allow("SELECT", "SELECT", "SELECT"), ("upstream", pgwire.query(sql)))
    answer = pgwire.error("22012", "division by zero") + pgwire.READY
    play.upstream(answer, ("client", answer))
    assert play.outcomes() == [("1", "error"), ("2", "not executed"), ("3", "not executed")]
    assert play.events("operation.outcome")[0]["effect"]["sqlstate"] == "22012"


def test_an_empty_query_is_no_operation() -> None:
    play = logged_in()
    play.client(pgwire.query(""), ("ask",))
    play.answer(allow(), ("upstream", pgwire.query("")))
    play.upstream(pgwire.EMPTY + pgwire.READY, ("client", pgwire.EMPTY + pgwire.READY))
    assert play.events("operation.intent") == []


def test_a_kept_verdict_is_not_asked_again() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", pgwire.query("SELECT 1")))
    play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY))
    play.client(pgwire.query("SELECT 1"), ("upstream", pgwire.query("SELECT 1")))
    play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY))
    play.client(pgwire.query("SELECT 2"), ("ask",))


def test_pg_12_a_raised_epoch_asks_again() -> None:
    for kind in ("policy", "grants", "catalogue"):
        play = logged_in()
        play.client(pgwire.query("SELECT 1"), ("ask",))
        play.answer(allow("SELECT", cache="exact"), ("upstream", pgwire.query("SELECT 1")))
        play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY))
        play.conversation.raise_epoch(kind)
        play.client(pgwire.query("SELECT 1"), ("ask",))


def test_definitions_of_others_never_keep_a_decision_from_being_made() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    for _ in range(3):
        play.conversation.raise_epoch("catalogue")
        play.answer(allow("SELECT", cache="exact"), ("ask",))
    play.conversation.raise_epoch("catalogue")
    play.answer(allow("SELECT", cache="exact"), ("upstream", pgwire.query("SELECT 1")))
    play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY))
    play.client(pgwire.query("SELECT 1"), ("ask",))  # such a verdict is not kept


def test_a_policy_that_keeps_changing_refuses() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    for _ in range(3):
        play.conversation.raise_epoch("policy")
        play.answer(allow("SELECT"), ("ask",))
    play.conversation.raise_epoch("policy")
    play.conversation.raise_epoch("catalogue")
    got = play.take(play.conversation.answer(play.ticket, allow("SELECT")))
    assert [kind for kind, _ in pgwire.split(got[0][1])] == ["E", "Z"]
    assert play.events("operation.refused")[0]["refusal"]["code"] == "desk.stale"


def test_an_answer_made_under_an_old_epoch_is_asked_again() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.conversation.raise_epoch("policy")
    play.answer(allow("SELECT"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))


def test_a_kept_verdict_ends_with_its_time() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", pgwire.query("SELECT 1")), at=1)
    play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY), at=2)
    play.client(pgwire.query("SELECT 1"), ("ask",), at=60_000_001)


def test_a_verdict_without_scope_serves_its_own_ticket_only() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT", cache="none"), ("upstream", pgwire.query("SELECT 1")))
    play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY))
    play.client(pgwire.query("SELECT 1"), ("ask",))


def test_the_extended_protocol_is_judged_at_parse_and_at_bind() -> None:
    play = logged_in()
    batch = (
        pgwire.parse("SELECT $1::int", types=(23,)),
        pgwire.bind(values=(b"7",)),
        pgwire.describe("P"),
        pgwire.execute(),
        pgwire.SYNC,
    )
    play.client(b"".join(batch), ("ask",))
    assert play.question.via == "parse"
    play.answer(allow("SELECT", cache="none"), ("upstream", batch[0]), ("ask",))
    assert play.question.via == "bind"
    play.answer(allow("SELECT"), ("upstream", b"".join(batch[1:])))
    answer = pgwire.PARSED + pgwire.BOUND + RESULT + pgwire.READY
    play.upstream(answer, ("client", answer))
    assert [intent["via"] for intent in play.events("operation.intent")] == ["parse", "bind"]
    assert play.outcomes() == [("1", "done"), ("2", "done")]


def test_one_verdict_of_a_statement_serves_parse_and_bind() -> None:
    play = logged_in()
    batch = pgwire.parse("SELECT 1") + pgwire.bind() + pgwire.execute() + pgwire.SYNC
    play.client(batch, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", batch))


def test_executions_of_one_portal_are_told_one_by_one() -> None:
    play = logged_in()
    batch = pgwire.parse("SELECT 1") + pgwire.bind() + pgwire.execute(rows=1) + pgwire.execute(rows=1) + pgwire.SYNC
    play.client(batch, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", batch))
    answer = pgwire.PARSED + pgwire.BOUND + ROW + pgwire.SUSPENDED + ROW + pgwire.complete("SELECT 1") + pgwire.READY
    play.upstream(answer, ("client", answer))
    told = [
        (outcome.get("execution"), outcome["effect"].get("suspended"), outcome["effect"]["rows"])
        for outcome in play.events("operation.outcome")
    ]
    assert told == [(None, None, 0), (1, True, 1), (2, None, 1)]


def test_a_portal_never_executed_is_told_so() -> None:
    play = logged_in()
    batch = pgwire.parse("SELECT 1") + pgwire.bind() + pgwire.SYNC
    play.client(batch, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", batch))
    answer = pgwire.PARSED + pgwire.BOUND + pgwire.READY
    play.upstream(answer, ("client", answer))
    assert play.outcomes() == [("1", "done"), ("2", "not executed")]


def test_an_error_in_a_pipeline_skips_to_the_sync() -> None:
    play = logged_in()
    first = pgwire.parse("SELECT 1/0") + pgwire.bind() + pgwire.execute()
    second = pgwire.parse("SELECT 1", "two") + pgwire.bind("two") + pgwire.execute()
    play.client(first + second + pgwire.SYNC, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", first), ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", second + pgwire.SYNC))
    answer = pgwire.PARSED + pgwire.BOUND + pgwire.error("22012", "division by zero") + pgwire.READY
    play.upstream(answer, ("client", answer))
    assert play.outcomes() == [("1", "done"), ("2", "error"), ("3", "skipped"), ("4", "skipped")]
    # The statement of the skipped Parse does not exist.
    play.client(pgwire.bind("two") + pgwire.SYNC, ("ask",))
    assert play.question.text == b'EXECUTE "two"'


def unknown_statement(operation: int) -> bytes:
    """The gate's own words for a statement it does not know."""
    fields = (
        b"SERROR\x00VERROR\x00C26000\x00Mprepared statement is not known to the gate\x00"
        b'D{"code":"protocol.unknown_statement","operation":"s_play.' + str(operation).encode() + b'"}\x00'
        b"Hprepare the statement again\x00Rgatebook\x00\x00"
    )
    return pgwire.message(b"E", fields)


def test_messages_sent_behind_an_error_before_the_sync_are_dropped() -> None:
    play = logged_in()
    first = pgwire.parse("SELECT 1/0") + pgwire.bind() + pgwire.execute() + pgwire.FLUSH
    play.client(first, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", first))
    answer = pgwire.PARSED + pgwire.BOUND + pgwire.error("22012", "division by zero")
    play.upstream(answer, ("client", answer))
    play.client(pgwire.parse("DROP TABLE t") + pgwire.bind() + pgwire.execute())
    play.client(pgwire.SYNC, ("upstream", pgwire.SYNC))
    play.upstream(pgwire.READY, ("client", pgwire.READY))


def test_copy_out_is_counted_and_hashed() -> None:
    play = logged_in()
    play.client(pgwire.query("COPY t TO STDOUT"), ("ask",))
    play.answer(allow("COPY"), ("upstream", pgwire.query("COPY t TO STDOUT")))
    data = pgwire.message(b"d", b"1\n") + pgwire.message(b"d", b"2\n")
    answer = (
        pgwire.message(b"H", b"\x00\x00\x01\x00\x00")
        + data
        + pgwire.message(b"c")
        + pgwire.complete("COPY 2")
        + pgwire.READY
    )
    play.upstream(answer, ("client", answer))
    effect = play.events("operation.outcome")[0]["effect"]
    assert (effect["bytes"], effect["tag"]) == (len(data), "COPY 2")
    assert effect["result"] == "sha256:" + hashlib.sha256(data).hexdigest()


def test_copy_in_is_forwarded_once_the_server_reads_it() -> None:
    play = logged_in()
    play.client(pgwire.query("COPY t FROM STDIN"), ("ask",))
    play.answer(allow("COPY"), ("upstream", pgwire.query("COPY t FROM STDIN")))
    data = pgwire.message(b"d", b"1\n")
    play.client(data)  # nobody knows yet whether a COPY begins
    begin = pgwire.message(b"G", b"\x00\x00\x01\x00\x00")
    got = play.take(play.conversation.upstream(begin))
    assert sorted(got) == [("client", begin), ("upstream", data)]
    play.client(pgwire.message(b"c"), ("upstream", pgwire.message(b"c")))
    play.upstream(pgwire.complete("COPY 1") + pgwire.READY, ("client", pgwire.complete("COPY 1") + pgwire.READY))
    effect = play.events("operation.outcome")[0]["effect"]
    assert (effect["received_bytes"], effect["tag"]) == (len(data), "COPY 1")


def test_flush_and_sync_are_read_past_while_copy_reads_data() -> None:
    play = logged_in()
    play.client(pgwire.query("COPY t FROM STDIN"), ("ask",))
    play.answer(allow("COPY"), ("upstream", pgwire.query("COPY t FROM STDIN")))
    begin = pgwire.message(b"G", b"\x00\x00\x01\x00\x00")
    play.upstream(begin, ("client", begin))
    play.client(pgwire.FLUSH + pgwire.SYNC, ("upstream", pgwire.SYNC))
    play.client(pgwire.message(b"c"), ("upstream", pgwire.message(b"c")))
    done = pgwire.complete("COPY 0") + pgwire.READY
    play.upstream(done, ("client", done))
    play.client(pgwire.query("SELECT 1"), ("ask",))


@pytest.mark.parametrize("readies", [1, 2])
def test_a_copy_that_fails_may_have_left_the_syncs_that_were_sent_meanwhile(readies: int) -> None:
    play = logged_in()
    batch = pgwire.parse("COPY t FROM STDIN") + pgwire.bind() + pgwire.execute() + pgwire.SYNC
    play.client(batch, ("ask",))
    play.answer(allow("COPY", cache="exact"), ("upstream", batch))
    begins = pgwire.PARSED + pgwire.BOUND + pgwire.message(b"G", b"\x00\x00\x00")
    play.upstream(begins, ("client", begins))
    tail = pgwire.message(b"c") + pgwire.SYNC
    play.client(tail, ("upstream", tail))
    failed = pgwire.error("P0001", "no") + pgwire.READY * readies
    play.upstream(failed, ("client", failed))
    play.client(pgwire.query("SELECT 1"), ("ask",))


def test_stale_copy_data_behind_an_error_is_dropped() -> None:
    play = logged_in()
    play.client(pgwire.message(b"d", b"1\n") + pgwire.message(b"c"))
    play.client(pgwire.query("SELECT 1"), ("ask",))


def test_notices_parameters_and_notifications_pass_at_any_time() -> None:
    play = logged_in()
    for kind in (b"N", b"S", b"A"):
        words = pgwire.message(kind, b"x\x00y\x00")
        play.upstream(words, ("client", words))


def test_facts_are_read_before_the_first_decision_and_not_shown() -> None:
    play = logged_in(facts_query=FACTS.encode())
    play.client(pgwire.query("SELECT 1"), ("upstream", ASK_FACTS))
    play.upstream(FACTS_ANSWER, ("ask",))
    assert play.question.facts == [b'["public"]', b"public"]
    assert play.question.facts_known
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))


def test_a_notification_that_comes_with_the_facts_reaches_the_client() -> None:
    play = logged_in(facts_query=FACTS.encode())
    play.client(pgwire.query("SELECT 1"), ("upstream", ASK_FACTS))
    facts = FACTS_ANSWER.removesuffix(pgwire.READY)
    notice = pgwire.message(b"N", b"Mwords about the gate's question\x00\x00")
    notification = pgwire.message(b"A", b"\x00\x00\x00\x07changes\x00\x00")
    play.upstream(facts + notice + notification + pgwire.READY, ("client", notification), ("ask",))


def test_stale_facts_are_read_again_once_idle_and_not_within_a_transaction() -> None:
    play = logged_in(facts_query=FACTS.encode())
    play.client(pgwire.query("BEGIN"), ("upstream", ASK_FACTS))
    play.upstream(FACTS_ANSWER, ("ask",))
    play.answer(allow("BEGIN"), ("upstream", pgwire.query("BEGIN")))
    begun = pgwire.complete("BEGIN") + pgwire.READY_IN_BLOCK
    play.upstream(begun, ("client", begun))
    play.client(pgwire.query("SET search_path TO x"), ("ask",))
    play.answer(allow("SET", effects=(("facts_stale", ""),)), ("upstream", pgwire.query("SET search_path TO x")))
    done = pgwire.complete("SET") + pgwire.READY_IN_BLOCK
    play.upstream(done, ("client", done))
    play.client(pgwire.query("SELECT 1"), ("ask",))
    assert not play.question.facts_known
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))
    play.upstream(RESULT + pgwire.READY_IN_BLOCK, ("client", RESULT + pgwire.READY_IN_BLOCK))
    play.client(pgwire.query("COMMIT"), ("ask",))
    play.answer(allow("COMMIT"), ("upstream", pgwire.query("COMMIT")))
    ended = pgwire.complete("COMMIT") + pgwire.READY
    play.upstream(ended, ("client", ended))
    play.client(pgwire.query("SELECT 1"), ("upstream", ASK_FACTS))


def test_pg_06_a_statement_prepared_by_sql_is_known_to_bind_and_to_execute() -> None:
    play = logged_in()
    sql = "PREPARE p AS SELECT 1"
    play.client(pgwire.query(sql), ("ask",))
    play.answer(allow("PREPARE", effects=(("prepare", "p"),)), ("upstream", pgwire.query(sql)))
    done = pgwire.complete("PREPARE") + pgwire.READY
    play.upstream(done, ("client", done))
    play.client(pgwire.query("eXecute p"), ("ask",))
    assert play.question.prepared == [(b"p", sql.encode())]
    play.take(play.conversation.answer(play.ticket, allow("EXECUTE")))
    play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY))
    play.client(pgwire.bind("p") + pgwire.execute() + pgwire.SYNC, ("ask",))
    assert (play.question.via, play.question.text) == ("bind", sql.encode())


def test_deallocate_forgets_a_statement() -> None:
    play = logged_in()
    play.client(pgwire.parse("SELECT 1", "p") + pgwire.SYNC, ("ask",))
    play.take(play.conversation.answer(play.ticket, allow("SELECT")))
    play.upstream(pgwire.PARSED + pgwire.READY, ("client", pgwire.PARSED + pgwire.READY))
    play.client(pgwire.query("DEALLOCATE p"), ("ask",))
    play.take(play.conversation.answer(play.ticket, allow("DEALLOCATE", effects=(("deallocate", "p"),))))
    done = pgwire.complete("DEALLOCATE") + pgwire.READY
    play.upstream(done, ("client", done))
    play.client(pgwire.bind("p") + pgwire.SYNC, ("ask",))
    play.answer(refuse("EXECUTE"), ("client", unknown_statement(3) + pgwire.READY))


def test_a_statement_that_sql_made_unseen_is_judged_as_execute_and_its_portal_as_any() -> None:
    play = logged_in()
    batch = pgwire.bind('o"dd') + pgwire.execute() + pgwire.SYNC
    play.client(pgwire.describe("S", 'o"dd') + batch, ("upstream", pgwire.describe("S", 'o"dd')), ("ask",))
    assert (play.question.via, play.question.text) == ("bind", b'EXECUTE "o""dd"')
    play.answer(allow("EXECUTE"), ("upstream", batch))
    answer = pgwire.NO_DATA + pgwire.BOUND + ROW + pgwire.complete("SELECT 1") + pgwire.READY
    play.upstream(pgwire.message(b"t", b"\x00\x00") + answer, ("client", pgwire.message(b"t", b"\x00\x00") + answer))


def test_a_cursor_of_declare_is_executed_as_a_portal_and_judged_as_fetch() -> None:
    play = logged_in()
    batch = pgwire.execute("c") + pgwire.SYNC
    play.client(batch, ("ask",))
    assert (play.question.via, play.question.text) == ("bind", b'FETCH ALL FROM "c"')
    play.answer(allow("FETCH"), ("upstream", batch))
    answer = ROW + pgwire.complete("FETCH 1") + pgwire.READY
    play.upstream(answer, ("client", answer))
    assert play.outcomes() == [("1", "done")]


def test_an_operation_that_stands_for_its_message_ends_with_it() -> None:
    play = logged_in()
    facts = OperationFacts(action=b"{}", decision=b"{}", privileged=True, effects=[], whole=True)
    verdict = Verdict(operations=[facts], refusal=None, cache="none", ttl_us=0, blots=[])
    for sql, answer in (("SELECT E'\\'; SELECT 2", RESULT + RESULT), ("-- words", pgwire.EMPTY)):
        play.client(pgwire.query(sql), ("ask",))
        play.answer(verdict, ("upstream", pgwire.query(sql)))
        play.upstream(answer, ("client", answer))
        play.upstream(pgwire.READY, ("client", pgwire.READY))
    assert play.outcomes() == [("1", "done"), ("2", "done")]
    assert play.events("operation.outcome")[0]["effect"]["rows"] == 2


def test_replication_streams_both_ways_until_both_sides_are_done() -> None:
    play = logged_in()
    facts = OperationFacts(action=b"{}", decision=b"{}", privileged=True, effects=[], whole=True)
    start = pgwire.query("START_REPLICATION 0/0")
    play.client(start, ("ask",))
    play.answer(Verdict(operations=[facts], refusal=None, cache="none", ttl_us=0, blots=[]), ("upstream", start))
    begins, wal, reply, done = (
        pgwire.message(kind, body) for kind, body in ((b"W", b"\0\0\0"), (b"d", b"wal"), (b"d", b"r"), (b"c", b""))
    )
    play.upstream(begins + wal, ("client", begins + wal))
    play.client(reply, ("upstream", reply))
    play.upstream(wal, ("client", wal))
    play.client(done, ("upstream", done))
    ends = wal + done + pgwire.complete("COPY 0") + pgwire.complete("START_STREAMING") + pgwire.READY
    play.upstream(ends, ("client", ends))
    effect = play.events("operation.outcome")[0]["effect"]
    assert (effect["bytes"], effect["received_bytes"], effect["status"]) == (3 * len(wal), len(reply), "done")


def test_streaming_both_ways_that_nobody_asked_for_ends_the_session() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))
    got = play.take(play.conversation.upstream(pgwire.message(b"W", b"\0\0\0")))
    assert got[-1][:2] == ("end", "upstream violation")


def test_a_query_that_the_server_has_to_refuse_within_copy_is_judged_and_forwarded() -> None:
    play = logged_in()
    play.client(pgwire.query("COPY t FROM STDIN"), ("ask",))
    play.answer(allow("COPY"), ("upstream", pgwire.query("COPY t FROM STDIN")))
    begins = pgwire.message(b"G", b"\x00\x00\x00")
    play.upstream(begins, ("client", begins))
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))
    unexpected = pgwire.error("08P01", "unexpected message type 0x51 during COPY from stdin")
    lost = pgwire.error("08P01", "terminating connection because protocol synchronization was lost", "FATAL")
    play.upstream(unexpected + lost, ("client", unexpected + lost))
    got = play.take(play.conversation.upstream_closed())
    assert [output[:2] for output in got if output[0] in {"client", "end"}] == [("end", "upstream lost")]


def test_ddl_tells_the_desk_when_its_transaction_ends() -> None:
    play = logged_in()
    play.client(pgwire.query("CREATE TABLE t ()"), ("ask",))
    verdict = allow("CREATE TABLE", effects=(("catalogue_changed", ""),))
    play.answer(verdict, ("upstream", pgwire.query("CREATE TABLE t ()")))
    done = pgwire.complete("CREATE TABLE") + pgwire.READY
    play.upstream(done, ("client", done), ("catalogue_changed", "s_play"))


def test_password_literals_are_blotted_out_of_the_recording() -> None:
    play = logged_in()
    sql = "ALTER ROLE x PASSWORD 'geheim'"
    play.client(pgwire.query(sql), ("ask",))
    facts = OperationFacts(action=b"{}", decision=b"{}", privileged=True, effects=[])
    start = sql.index("'")
    verdict = Verdict(operations=[facts], refusal=None, cache="none", ttl_us=0, blots=[(start, len(sql))])
    play.answer(verdict, ("upstream", pgwire.query(sql)))
    assert b"geheim" not in play.frames
    assert b"ALTER ROLE x PASSWORD ********" in play.frames
