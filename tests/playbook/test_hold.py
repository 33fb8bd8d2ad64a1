# SPDX-License-Identifier: Apache-2.0
"""Playbooks of holds: a message waits for a person, and those behind it in order; it goes on, fails or is given up."""

from __future__ import annotations

from typing import Any

import pytest
from support import pgwire
from support.play import (
    ASK_FACTS,
    FACTS,
    FACTS_ANSWER,
    NOTICE,
    Play,
    admission,
    allow,
    constant_parse,
    constant_query,
    held,
    logged_in,
    notice_of,
    refusal_of,
    refuse,
)
from support.states import WITHIN, State, in_block

from gatebook.native.pure import Refusal

BEHIND = 64 * 1024
MINUTE = 60_000_000
DELETE = pgwire.query("DELETE FROM t")
DELETED = pgwire.complete("DELETE 1") + pgwire.READY
SELECT = pgwire.query("SELECT 1")
RESULT = pgwire.row_description("n") + pgwire.row(b"1") + pgwire.complete("SELECT 1") + pgwire.READY
SYNTAX_ERROR = pgwire.error("42601", 'syntax error at or near "gatebook"')
DIVIDED = pgwire.error("22012", "division by zero")
QUIET = Refusal(sqlstate="01000", message="", detail="", hint="", code="approval.waiting")


def hold(play: Play, *behind: tuple[Any, ...]) -> Play:
    """The Query is asked about and held; `behind` is what the turn gives beside the notice."""
    play.client(DELETE, ("ask",))
    play.hold(held("DELETE"), ("client", notice_of(play.question.operation)), *behind)
    return play


def holding() -> Play:
    """A session whose first operation is held."""
    return hold(logged_in())


def running_behind() -> Play:
    """A Query runs, and another behind it is held."""
    play = logged_in()
    play.client(SELECT, ("ask",))
    play.answer(allow("SELECT"), ("upstream", SELECT))
    return hold(play)


def errors(turn: list[tuple[Any, ...]]) -> list[str]:
    """The SQLSTATEs of the errors that a turn shows."""
    shown = b"".join(output[1] for output in turn if output[0] == "client")
    return [pgwire.error_fields(body)["C"] for kind, body in pgwire.split(shown) if kind == "E"]


# ── it goes on ───────────────────────────────────────────────────────────────────────────────


def test_a_held_query_that_is_resumed_is_asked_about_again_and_runs() -> None:
    play = holding()
    first = play.ticket
    play.resume(("ask",))
    assert (play.ticket, play.question.operation, play.question.text) == (first + 1, 1, b"DELETE FROM t")
    play.answer(allow("DELETE"), ("upstream", DELETE))
    play.upstream(DELETED, ("client", DELETED))
    assert play.story() == ["held 1", "intent 1", "outcome 1"]


def test_a_held_query_may_be_answered_without_being_asked_about_again() -> None:
    play = holding()
    play.answer(allow("DELETE"), ("upstream", DELETE))
    assert play.story() == ["held 1", "intent 1"]


def test_a_verdict_from_before_a_change_of_policy_does_not_release_what_was_held() -> None:
    play = holding()
    play.conversation.raise_epoch("policy")
    play.answer(allow("DELETE"), ("ask",))


def test_a_hold_says_what_its_intent_says_and_why_only_once() -> None:
    play = holding()
    play.resume(("ask",))
    play.hold(held("DELETE"), ("client", notice_of(1)))
    play.resume(("ask",))
    play.hold(held("DELETE"), notice=QUIET)
    play.resume(("ask",))
    play.answer(allow("DELETE"), ("upstream", DELETE))
    assert play.story() == ["held 1", "intent 1"]
    (told,), (intent,) = play.events("operation.held"), play.events("operation.intent")
    assert told["decision"] == {"result": "hold"}
    same = told.keys() - {"event", "seq", "decision", "private"}
    assert {name: told[name] for name in same} == {name: intent[name] for name in same}
    assert told["private"] != intent["private"]
    assert intent["seq"] == told["seq"] + 1


def test_a_message_of_two_statements_is_held_as_two_operations() -> None:
    play = logged_in()
    both = pgwire.query("DELETE FROM t; DELETE FROM u")
    play.client(both, ("ask",))
    play.hold(held("DELETE", "DELETE"), ("client", notice_of(1)))
    assert [told["statement"] for told in play.events("operation.held")] == [
        {"count": 2, "index": 0},
        {"count": 2, "index": 1},
    ]
    play.answer(allow("DELETE", "DELETE"), ("upstream", both))
    assert play.story() == ["held 1", "held 2", "intent 1", "intent 2"]


def test_the_client_is_told_once_the_journal_has_it() -> None:
    play = Play(insecure_plaintext=True, hold_journal=True)
    play.take(play.conversation.client(pgwire.startup(user="agent", database="shop")))
    play.take(play.conversation.client(pgwire.password("key")))
    play.take(play.conversation.admit(play.ticket, admission()))
    play.take(play.conversation.upstream_open())
    play.take(play.conversation.upstream(pgwire.AUTHENTICATED + pgwire.key_data(7, b"abcd") + pgwire.READY))
    play.take(play.conversation.written())
    play.client(DELETE, ("ask",))
    play.hold(held("DELETE"))
    assert play.story() == ["held 1"]
    assert not play.conversation.wants_client()
    play.does(play.conversation.written, ("client", notice_of(1)))
    assert play.conversation.wants_client()


def test_the_message_is_in_the_recording_once_and_before_its_notice() -> None:
    play = logged_in()
    before = len(play.frames)
    hold(play)
    play.resume(("ask",))
    play.answer(allow("DELETE"), ("upstream", DELETE))
    assert play.frames[before:] == b">" + DELETE + b"<" + notice_of(1)
    offsets = [entry["recording"]["offset"] for entry in play.entries if "operation" in entry]
    assert offsets == [before - 1] * 2  # the greeting is one frame, with a sign for its side


def test_passwords_are_blotted_out_of_what_is_held() -> None:
    play = logged_in()
    sql = "ALTER ROLE a PASSWORD 'secret'"
    play.client(pgwire.query(sql), ("ask",))
    blots = ((sql.index("'"), len(sql)),)
    play.hold(held("ALTER", blots=blots), ("client", notice_of(1)))
    assert play.private[-1] == {"text": "ALTER ROLE a PASSWORD ********"}
    assert b"secret" not in play.frames


def test_the_salt_of_a_verdict_stands_in_the_private_part_of_each_entry_on_it() -> None:
    play = logged_in()
    play.client(DELETE, ("ask",))
    play.hold(held("DELETE", salt="c2FsdA"), ("client", notice_of(1)))
    play.resume(("ask",))
    play.answer(allow("DELETE", salt="cGVwcGVy"), ("upstream", DELETE))
    play.client(SELECT, ("ask",))
    play.answer(refuse("SELECT", salt="bGltZQ"), ("upstream", constant_query(2)))
    private = [one for one in play.private if one]
    assert private == [
        {"salt": "c2FsdA", "text": "DELETE FROM t"},
        {"salt": "cGVwcGVy", "text": "DELETE FROM t"},
        {"salt": "bGltZQ", "text": "SELECT 1"},
    ]


# ── the extended protocol ────────────────────────────────────────────────────────────────────


def test_a_bind_is_held_and_what_is_behind_it_waits_in_order() -> None:
    play = logged_in()
    parse = pgwire.parse("DELETE FROM t WHERE a = $1", "d")
    bind = pgwire.bind("d", values=(b"7",))
    rest = pgwire.execute() + pgwire.SYNC
    play.client(parse + bind + rest, ("ask",))
    play.answer(allow("DELETE"), ("upstream", parse), ("ask",))
    assert play.question.via == "bind"
    play.hold(held("DELETE"), ("client", notice_of(2)))
    play.upstream(pgwire.PARSED, ("client", pgwire.PARSED))
    play.resume(("ask",))
    play.answer(allow("DELETE"), ("upstream", bind + rest))
    answer = pgwire.BOUND + pgwire.complete("DELETE 1") + pgwire.READY
    play.upstream(answer, ("client", answer))
    assert play.story() == ["intent 1", "held 2", "outcome 1", "intent 2", "outcome 2"]
    texts = [one for one in play.private if one]
    assert texts[1] == texts[2] == {"params": [{"text": "7"}], "text": "DELETE FROM t WHERE a = $1"}


def test_an_execute_that_is_judged_again_can_be_held() -> None:
    play = in_block()
    opened = pgwire.parse("SELECT 1", "p") + pgwire.bind("p", "c") + pgwire.execute("c", 1) + pgwire.SYNC
    play.client(opened, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", opened))
    answer = pgwire.PARSED + pgwire.BOUND + pgwire.row(b"1") + pgwire.SUSPENDED + pgwire.READY_IN_BLOCK
    play.upstream(answer, ("client", answer))
    play.conversation.raise_epoch("policy")
    again = pgwire.execute("c", 1) + pgwire.SYNC
    play.client(again, ("ask",))
    frames = len(play.frames)
    play.hold(held("SELECT"), ("client", notice_of(4)))
    play.resume(("ask",))
    play.answer(allow("SELECT"), ("upstream", again))
    recorded = b">" + pgwire.execute("c", 1) + b"<" + notice_of(4) + b">" + pgwire.SYNC
    assert play.frames[frames:] == recorded


def test_a_function_call_is_held() -> None:
    play = logged_in()
    call = pgwire.message(b"F", b"\x00\x00\x00\x2a" + bytes(6))
    play.client(call, ("ask",))
    play.hold(held("FUNCTION CALL"), ("client", notice_of(1)))
    play.answer(allow("FUNCTION CALL"), ("upstream", call))


# ── what is behind it ────────────────────────────────────────────────────────────────────────


def test_statements_behind_a_held_one_keep_their_order() -> None:
    play = holding()
    play.client(SELECT)
    play.client(pgwire.query("SELECT 2"))
    play.resume(("ask",))
    play.answer(allow("DELETE"), ("upstream", DELETE), ("ask",))
    assert play.question.text == b"SELECT 1"
    play.answer(allow("SELECT"), ("upstream", SELECT), ("ask",))
    assert play.question.text == b"SELECT 2"


def test_no_more_than_64_kib_are_taken_behind_a_held_message_and_reading_goes_on_with_it() -> None:
    play = holding()
    long = pgwire.query("SELECT '" + "x" * BEHIND + "'")
    play.client(long[: BEHIND - 1])
    assert play.conversation.wants_client()
    play.client(long[BEHIND - 1 : BEHIND])
    assert not play.conversation.wants_client()
    assert play.conversation.wants_upstream()
    play.answer(allow("DELETE"), ("upstream", DELETE))
    assert play.conversation.wants_client()
    play.client(long[BEHIND:], ("ask",))
    play.answer(allow("SELECT"), ("upstream", long))


def test_bytes_behind_are_taken_however_long_the_held_message_is() -> None:
    play = logged_in()
    long = pgwire.query("DELETE FROM t WHERE a = '" + "x" * BEHIND + "'")
    play.client(long, ("ask",))
    play.hold(held("DELETE"), ("client", notice_of(1)))
    assert play.conversation.wants_client()
    play.client(SELECT)
    play.answer(allow("DELETE"), ("upstream", long), ("ask",))


@pytest.mark.parametrize("behind", [b"", SELECT, pgwire.SYNC * 3])
def test_a_goodbye_behind_what_is_held_gives_it_up(behind: bytes) -> None:
    play = holding()
    ticket = play.ticket
    for byte in (behind + pgwire.TERMINATE)[:-1]:
        play.client(bytes((byte,)))
    got = play.take(play.conversation.client(pgwire.TERMINATE[-1:]))
    assert [output[:2] for output in got] == [
        ("upstream", pgwire.TERMINATE),
        ("forget", ticket),
        ("end", "client closed"),
    ]
    assert play.story() == ["held 1"]
    assert play.entries[-1]["event"] == "session.end"


def test_a_goodbye_that_came_with_the_message_gives_it_up_as_soon_as_it_is_held() -> None:
    play = logged_in()
    play.client(DELETE + SELECT + pgwire.TERMINATE, ("ask",))
    got = play.take(play.conversation.hold(play.ticket, held("DELETE"), NOTICE))
    assert [output[0] for output in got] == ["client", "upstream", "forget", "end"]


def test_a_goodbye_is_looked_for_among_messages_not_among_their_bytes() -> None:
    play = holding()
    play.client(pgwire.query("SELECT 'X\x00\x00\x00\x04'".replace("\x00", " ")) + pgwire.query("X")[:3])
    assert play.conversation.wants_client()


# ── refused, silent ──────────────────────────────────────────────────────────────────────────


def test_what_is_held_and_then_refused_alone_is_answered_by_the_gate() -> None:
    play = holding()
    play.resume(("ask",))
    play.answer(refuse("DELETE"), ("client", refusal_of(1) + pgwire.READY))
    assert play.story() == ["held 1", "refused 1"]
    play.client(SELECT, ("ask",))
    assert play.question.operation == 2


def test_what_is_held_and_then_refused_in_a_block_fails_the_block() -> None:
    play = hold(in_block())
    play.resume(("ask",))
    play.answer(refuse("DELETE"), ("upstream", constant_query(2)))
    play.upstream(SYNTAX_ERROR + pgwire.READY_FAILED, ("client", refusal_of(2) + pgwire.READY_FAILED))


def test_a_bind_that_is_held_and_then_refused_skips_to_the_sync() -> None:
    play = logged_in()
    parse = pgwire.parse("DELETE FROM t", "d")
    play.client(parse + pgwire.bind("d") + pgwire.execute() + pgwire.SYNC, ("ask",))
    play.answer(allow("DELETE"), ("upstream", parse), ("ask",))
    play.hold(held("DELETE"), ("client", notice_of(2)))
    play.resume(("ask",))
    play.answer(refuse("DELETE"), ("upstream", constant_parse(2) + pgwire.SYNC))
    play.upstream(pgwire.PARSED + SYNTAX_ERROR + pgwire.READY, ("client", pgwire.PARSED + refusal_of(2) + pgwire.READY))


def test_silence_of_the_desk_refuses_what_is_held_with_the_facts_of_the_hold() -> None:
    play = holding()
    got = play.take(play.conversation.silence(play.ticket))
    assert errors(got) == ["42501"]
    (refused,) = play.events("operation.refused")
    assert refused["refusal"]["code"] == "desk.silent"
    assert (refused["action"], refused["decision"]) == ({"verb": "DELETE"}, {"result": "hold"})


# ── given up ─────────────────────────────────────────────────────────────────────────────────


def test_a_cancel_request_gives_up_what_is_held_and_the_session_goes_on() -> None:
    play = holding()
    ticket = play.ticket
    got = play.take(play.conversation.signal())
    assert errors(got) == ["57014"]
    assert got[-1] == ("forget", ticket)
    assert got[0][1].endswith(pgwire.READY)
    (refused,) = play.events("operation.refused")
    assert refused["refusal"] == {"code": "approval.cancelled", "sqlstate": "57014"}
    assert refused["operation"] == "s_play.1"
    play.does(lambda: play.conversation.answer(ticket, allow("DELETE")))
    play.client(SELECT, ("ask",))


def test_a_cancel_request_reaches_what_was_held_while_it_is_asked_about_again() -> None:
    play = holding()
    play.resume(("ask",))
    got = play.take(play.conversation.signal())
    assert errors(got) == ["57014"]
    assert got[-1] == ("forget", play.ticket)


def test_a_cancel_request_in_a_block_fails_the_block() -> None:
    play = hold(in_block())
    play.does(play.conversation.signal, ("upstream", constant_query(2)), ("forget", play.ticket))
    got = play.take(play.conversation.upstream(SYNTAX_ERROR + pgwire.READY_FAILED))
    assert errors(got) == ["57014"]


def test_a_cancel_request_stops_what_runs_too() -> None:
    play = running_behind()
    got = play.take(play.conversation.signal())
    assert [output[0] for output in got] == ["upstream", "errand", "forget"]


def test_a_cancel_request_whose_question_is_not_held_is_for_the_upstream() -> None:
    play = logged_in()
    play.client(DELETE, ("ask",))
    got = play.take(play.conversation.signal())
    assert [output[0] for output in got] == ["errand"]
    play.answer(allow("DELETE"), ("upstream", DELETE))


def test_a_client_that_closes_gives_up_what_is_held() -> None:
    play = holding()
    ticket = play.ticket
    got = play.take(play.conversation.client_closed())
    assert [output[:2] for output in got] == [
        ("upstream", pgwire.TERMINATE),
        ("forget", ticket),
        ("end", "client closed"),
    ]
    assert play.story() == ["held 1"]


def test_an_upstream_that_dies_ends_the_session_of_what_is_held() -> None:
    play = holding()
    got = play.take(play.conversation.upstream_closed())
    assert errors(got) == ["08006"]
    assert [output[0] for output in got][-2:] == ["forget", "end"]
    assert play.story() == ["held 1"]


def test_a_session_that_is_ended_while_it_holds_is_told_and_over() -> None:
    play = holding()
    got = play.take(play.conversation.end("killed"))
    assert errors(got) == ["57P01"]
    assert [output[0] for output in got][-2:] == ["forget", "end"]


def test_what_the_server_skips_is_given_up_with_what_failed_before_it() -> None:
    play = logged_in()
    first = pgwire.parse("SELECT 1/0") + pgwire.bind() + pgwire.execute()
    second = pgwire.parse("DELETE FROM t", "d")
    play.client(first + second + pgwire.SYNC, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", first), ("ask",))
    play.hold(held("DELETE"), ("client", notice_of(3)))
    ticket = play.ticket
    failed = pgwire.PARSED + pgwire.BOUND + DIVIDED
    play.upstream(failed, ("client", failed), ("upstream", pgwire.SYNC), ("forget", ticket))
    play.upstream(pgwire.READY, ("client", pgwire.READY))
    assert play.events("operation.refused")[0]["refusal"]["code"] == "approval.cancelled"
    assert play.story()[-1] == "refused 3"
    play.does(lambda: play.conversation.answer(ticket, allow("DELETE")))
    play.client(SELECT, ("ask",))
    assert play.question.operation == 4


# ── time ─────────────────────────────────────────────────────────────────────────────────────


def test_a_session_that_waits_for_a_person_is_not_idle_and_has_its_time_again_behind_it() -> None:
    play = logged_in(idle_us=5 * MINUTE)
    hold(play)
    for minute in (1, 6, 60):
        play.does(lambda at=minute * MINUTE: play.conversation.tick(at))  # type: ignore[misc]  # bound in the loop
    play.answer(refuse("DELETE"), ("client", refusal_of(1) + pgwire.READY), at=61 * MINUTE)
    play.does(lambda: play.conversation.tick(65 * MINUTE))
    got = play.take(play.conversation.tick(66 * MINUTE))
    assert got[-1][:2] == ("end", "idle")


def test_a_session_whose_time_is_over_does_not_wait_for_a_person() -> None:
    play = logged_in(ends_at_us=5 * MINUTE)
    hold(play)
    got = play.take(play.conversation.tick(5 * MINUTE))
    assert got[-1][:2] == ("end", "expired")


# ── the notice never cuts a message ──────────────────────────────────────────────────────────


def test_the_notice_comes_between_the_rows_of_what_runs_before() -> None:
    play = logged_in()
    play.client(SELECT, ("ask",))
    play.answer(allow("SELECT"), ("upstream", SELECT))
    row = pgwire.row(b"x" * 100)
    beginning = pgwire.row_description("n") + row + row[:20]
    play.upstream(beginning, ("client", beginning))
    play.client(DELETE, ("ask",))
    play.hold(held("DELETE"))
    assert play.story() == ["intent 1", "held 2"]
    play.upstream(row[20:50], ("client", row[20:50]))
    rest = row + pgwire.complete("SELECT 3") + pgwire.READY
    play.upstream(row[50:] + rest, ("client", row[50:] + notice_of(2) + rest))


def test_a_notice_that_is_late_is_not_told_behind_the_end_of_the_hold() -> None:
    play = logged_in()
    play.client(SELECT, ("ask",))
    play.answer(allow("SELECT"), ("upstream", SELECT))
    row = pgwire.row(b"x" * 100)
    play.upstream(pgwire.row_description("n") + row[:20], ("client", pgwire.row_description("n") + row[:20]))
    play.client(DELETE, ("ask",))
    play.hold(held("DELETE"))
    play.answer(refuse("DELETE"), ("upstream", constant_query(2)))
    rest = row[20:] + pgwire.complete("SELECT 1") + pgwire.READY
    play.upstream(rest, ("client", rest))
    play.upstream(SYNTAX_ERROR + pgwire.READY, ("client", refusal_of(2) + pgwire.READY))


def test_what_runs_before_is_answered_while_a_message_behind_it_is_held() -> None:
    play = running_behind()
    play.upstream(RESULT, ("client", RESULT))
    play.answer(allow("DELETE"), ("upstream", DELETE))
    play.upstream(DELETED, ("client", DELETED))


# ── facts, and answers that fit nothing ──────────────────────────────────────────────────────


def test_what_is_resumed_waits_for_facts_that_went_stale() -> None:
    play = Play(insecure_plaintext=True)
    play.log_in(facts_query=FACTS.encode())
    play.client(pgwire.query("SET search_path = s"), ("upstream", ASK_FACTS))
    play.upstream(FACTS_ANSWER, ("ask",))
    stale = pgwire.query("SET search_path = s")
    play.answer(allow("SET", effects=(("facts_stale", ""),)), ("upstream", stale))
    play.client(DELETE, ("ask",))
    play.hold(held("DELETE"), ("client", notice_of(2)))
    done = pgwire.complete("SET") + pgwire.READY
    play.upstream(done, ("client", done))
    play.resume(("upstream", ASK_FACTS))
    assert play.conversation.wants_client()
    play.upstream(FACTS_ANSWER, ("ask",))
    assert (play.question.operation, play.question.facts_known) == (2, True)


def test_a_cancel_request_while_facts_are_read_again_gives_up_what_was_held() -> None:
    play = Play(insecure_plaintext=True)
    play.log_in(facts_query=FACTS.encode())
    stale = pgwire.query("SET search_path = s")
    play.client(stale, ("upstream", ASK_FACTS))
    play.upstream(FACTS_ANSWER, ("ask",))
    play.answer(allow("SET", effects=(("facts_stale", ""),)), ("upstream", stale))
    play.client(DELETE, ("ask",))
    play.hold(held("DELETE"), ("client", notice_of(2)))
    done = pgwire.complete("SET") + pgwire.READY
    play.upstream(done, ("client", done))
    play.resume(("upstream", ASK_FACTS))
    play.take(play.conversation.signal())
    assert play.story()[-1] == "refused 2"


def test_a_second_resume_and_one_of_what_is_not_held_do_nothing() -> None:
    play = logged_in()
    play.client(DELETE, ("ask",))
    play.resume()
    play.hold(held("DELETE"), ("client", notice_of(1)))
    first = play.ticket
    play.resume(("ask",))
    play.does(lambda: play.conversation.resume(first))
    play.does(lambda: play.conversation.resume(first + 1))
    play.does(lambda: play.conversation.resume(99))
    play.answer(allow("DELETE"), ("upstream", DELETE))


def test_a_second_hold_and_one_of_no_ticket_do_nothing() -> None:
    play = holding()
    play.hold(held("DELETE"))
    play.does(lambda: play.conversation.hold(99, held("DELETE"), NOTICE))
    play.answer(allow("DELETE"), ("upstream", DELETE))
    play.does(lambda: play.conversation.hold(1, held("DELETE"), NOTICE))


def test_a_hold_of_a_login_lets_nobody_in() -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    got = play.take(play.conversation.hold(play.ticket, held("DELETE"), NOTICE))
    assert got[-1][:2] == ("end", "desk silent")


@pytest.mark.parametrize("state", WITHIN)
def test_a_hold_or_resume_of_another_ticket_changes_nothing_in_any_state(state: State) -> None:
    play = state()
    play.does(lambda: play.conversation.hold(99, held("DELETE"), NOTICE))
    play.does(lambda: play.conversation.resume(99))
