# SPDX-License-Identifier: Apache-2.0
"""Playbooks of refusals: alone, in a transaction block, behind forwarded messages; the state is the protocol's own."""

from __future__ import annotations

from support import pgwire
from support.play import allow, constant_parse, constant_query, logged_in, refusal_of, refuse
from support.states import in_block

SYNTAX_ERROR = pgwire.error("42601", 'syntax error at or near "gatebook"')
RESULT = pgwire.row_description("n") + pgwire.row(b"1") + pgwire.complete("SELECT 1")


def test_pg_10_a_refused_query_alone_is_answered_by_the_gate_and_the_next_one_works() -> None:
    play = logged_in()
    play.client(pgwire.query("DROP TABLE t"), ("ask",))
    play.answer(refuse("DROP TABLE"), ("client", refusal_of(1) + pgwire.READY))
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))
    play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY))


def test_a_refusal_is_in_the_book_with_its_reason_and_the_text_sealed() -> None:
    play = logged_in()
    play.client(pgwire.query("DROP TABLE t"), ("ask",))
    play.answer(refuse("DROP TABLE"), ("client", refusal_of(1) + pgwire.READY))
    (refused,) = play.events("operation.refused")
    assert refused["operation"] == "s_play.1"
    assert refused["refusal"] == {"code": "policy.denied", "sqlstate": "42501"}
    assert refused["decision"] == {"result": "refuse"}
    assert refused["private"].startswith("sha256:")
    assert "DROP TABLE t" not in str(play.entries)


def test_a_refused_query_in_a_block_fails_the_block_at_the_server() -> None:
    play = in_block()
    play.client(pgwire.query("DROP TABLE t"), ("ask",))
    play.answer(refuse("DROP TABLE"), ("upstream", constant_query(2)))
    play.upstream(SYNTAX_ERROR + pgwire.READY_FAILED, ("client", refusal_of(2) + pgwire.READY_FAILED))


def test_pg_08_one_refused_statement_refuses_the_whole_message() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1; DROP TABLE t"), ("ask",))
    play.answer(refuse("SELECT", "DROP TABLE"), ("client", refusal_of(1) + pgwire.READY))
    assert [entry["operation"] for entry in play.events("operation.refused")] == ["s_play.1", "s_play.2"]


def test_a_refused_query_behind_a_running_one_is_answered_in_order() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))
    play.client(pgwire.query("DROP TABLE t"), ("ask",))
    play.answer(refuse("DROP TABLE"), ("upstream", constant_query(2)))
    play.upstream(RESULT + pgwire.READY, ("client", RESULT + pgwire.READY))
    play.upstream(SYNTAX_ERROR + pgwire.READY, ("client", refusal_of(2) + pgwire.READY))


def test_pg_09_a_refused_parse_discards_everything_up_to_the_sync() -> None:
    play = logged_in()
    allowed = pgwire.parse("SELECT 1") + pgwire.bind() + pgwire.execute() + pgwire.SYNC
    play.client(allowed, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", allowed))
    answer = pgwire.PARSED + pgwire.BOUND + pgwire.row(b"1") + pgwire.complete("SELECT 1") + pgwire.READY
    play.upstream(answer, ("client", answer))
    # The old unnamed statement must not run in its place.
    play.client(pgwire.parse("DROP TABLE t") + pgwire.bind() + pgwire.execute(), ("ask",))
    play.answer(refuse("DROP TABLE"), ("upstream", constant_parse(3, "")))
    play.client(pgwire.SYNC, ("upstream", pgwire.SYNC))
    play.upstream(SYNTAX_ERROR + pgwire.READY, ("client", refusal_of(3) + pgwire.READY))
    # As at the server: a failed Parse has dropped the unnamed statement.
    play.client(pgwire.bind() + pgwire.execute() + pgwire.SYNC, ("ask",))
    got = play.take(play.conversation.answer(play.ticket, refuse("EXECUTE")))
    assert [output[0] for output in got] == ["client"]
    assert pgwire.error_fields(next(pgwire.split(got[0][1]))[1])["C"] == "26000"


def test_a_refused_parse_with_nothing_forwarded_never_touches_the_server() -> None:
    play = logged_in()
    play.client(pgwire.parse("DROP TABLE t", "p") + pgwire.bind("p") + pgwire.execute() + pgwire.SYNC, ("ask",))
    play.answer(refuse("DROP TABLE"), ("client", refusal_of(1) + pgwire.READY))


def test_pg_11_allow_refuse_allow_in_a_pipeline_keeps_the_order_and_skips_the_third() -> None:
    play = logged_in()
    first = pgwire.parse("INSERT 1", "a") + pgwire.bind("a") + pgwire.execute()
    second = pgwire.parse("DROP TABLE t", "b") + pgwire.bind("b") + pgwire.execute()
    third = pgwire.parse("INSERT 2", "c") + pgwire.bind("c") + pgwire.execute()
    play.client(first + second + third + pgwire.SYNC, ("ask",))
    play.answer(allow("INSERT", cache="exact"), ("upstream", first), ("ask",))
    play.answer(refuse("DROP TABLE"), ("upstream", constant_parse(3) + pgwire.SYNC))
    done = pgwire.PARSED + pgwire.BOUND + pgwire.complete("INSERT 0 1")
    play.upstream(
        done + SYNTAX_ERROR + pgwire.READY,
        ("client", done + refusal_of(3) + pgwire.READY),
    )
    assert [entry["event"] for entry in play.entries][-3:] == [
        "operation.refused",
        "operation.outcome",
        "operation.outcome",
    ]


def test_a_refusal_behind_flushed_messages_still_rolls_them_back() -> None:
    play = logged_in()
    first = pgwire.parse("INSERT 1") + pgwire.bind() + pgwire.execute() + pgwire.FLUSH
    play.client(first, ("ask",))
    play.answer(allow("INSERT", cache="exact"), ("upstream", first))
    done = pgwire.PARSED + pgwire.BOUND + pgwire.complete("INSERT 0 1")
    play.upstream(done, ("client", done))
    # Nothing is outstanding, but the implicit transaction is open: the server has to fail it.
    play.client(pgwire.parse("DROP TABLE t", "d"), ("ask",))
    play.answer(refuse("DROP TABLE"), ("upstream", constant_parse(3)))
    play.client(pgwire.SYNC, ("upstream", pgwire.SYNC))
    play.upstream(SYNTAX_ERROR + pgwire.READY, ("client", refusal_of(3) + pgwire.READY))


def test_a_bind_refused_in_a_block_fails_the_block() -> None:
    play = in_block()
    play.client(pgwire.parse("SELECT $1", "p"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.parse("SELECT $1", "p")))
    play.client(pgwire.bind("p", values=(b"x",)) + pgwire.execute() + pgwire.SYNC, ("ask",))
    play.answer(refuse("SELECT"), ("upstream", constant_parse(3) + pgwire.SYNC))
    play.upstream(
        pgwire.PARSED + SYNTAX_ERROR + pgwire.READY_FAILED,
        ("client", pgwire.PARSED + refusal_of(3) + pgwire.READY_FAILED),
    )


def test_pg_12_an_open_portal_is_judged_again_when_policy_changed() -> None:
    play = in_block()
    opened = pgwire.parse("SELECT 1", "p") + pgwire.bind("p", "c") + pgwire.execute("c", 1) + pgwire.SYNC
    play.client(opened, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", opened))
    answer = pgwire.PARSED + pgwire.BOUND + pgwire.row(b"1") + pgwire.SUSPENDED + pgwire.READY_IN_BLOCK
    play.upstream(answer, ("client", answer))
    play.conversation.raise_epoch("policy")
    play.client(pgwire.execute("c", 1) + pgwire.SYNC, ("ask",))
    assert play.question.via == "bind"
    play.answer(refuse("SELECT"), ("upstream", constant_parse(4) + pgwire.SYNC))
    play.upstream(SYNTAX_ERROR + pgwire.READY_FAILED, ("client", refusal_of(4) + pgwire.READY_FAILED))


def test_pg_12_an_open_portal_that_is_still_allowed_goes_on_under_a_new_intent() -> None:
    play = in_block()
    opened = pgwire.parse("SELECT 1", "p") + pgwire.bind("p", "c") + pgwire.execute("c", 1) + pgwire.SYNC
    play.client(opened, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", opened))
    answer = pgwire.PARSED + pgwire.BOUND + pgwire.row(b"1") + pgwire.SUSPENDED + pgwire.READY_IN_BLOCK
    play.upstream(answer, ("client", answer))
    play.conversation.raise_epoch("policy")
    resume = pgwire.execute("c", 1) + pgwire.SYNC
    play.client(resume, ("ask",))
    play.answer(allow("SELECT"), ("upstream", resume))
    assert [intent["operation"] for intent in play.events("operation.intent")][-1] == "s_play.4"


def test_a_function_call_is_an_operation() -> None:
    play = logged_in()
    call = pgwire.message(b"F", b"\x00\x00\x00\x2a" + bytes(6))
    play.client(call, ("ask",))
    assert (play.question.via, play.question.arguments[:4]) == ("function", b"\x00\x00\x00\x2a")
    play.answer(refuse("FUNCTION CALL"), ("client", refusal_of(1) + pgwire.READY))
    play.client(call, ("ask",))
    play.answer(allow("FUNCTION CALL"), ("upstream", call))
    answer = pgwire.message(b"V", b"\x00\x00\x00\x01x") + pgwire.READY
    play.upstream(answer, ("client", answer))
    assert play.outcomes() == [("2", "done")]


def test_a_silent_desk_refuses_and_the_session_goes_on() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    got = play.take(play.conversation.silence(play.ticket))
    ((_, shown),) = got
    kinds = [kind for kind, _ in pgwire.split(shown)]
    assert kinds == ["E", "Z"]
    assert play.events("operation.refused")[0]["refusal"]["code"] == "desk.silent"


def test_a_statement_over_the_limit_is_asked_for_unread() -> None:
    play = logged_in(statement_bytes=64)
    play.client(pgwire.query("SELECT '" + "x" * 100 + "'"), ("ask",))
    assert (play.question.tree, play.question.parse_error) == (None, "too long")
    play.answer(refuse("UNKNOWN"), ("client", refusal_of(1) + pgwire.READY))


def test_too_many_names_are_refused() -> None:
    play = logged_in(names=2)
    first, second = (pgwire.parse("SELECT 1", name) + pgwire.SYNC for name in ("p0", "p1"))
    play.client(first, ("ask",))
    play.answer(allow("SELECT", cache="exact"), ("upstream", first))
    play.client(second, ("upstream", second))
    answer = pgwire.PARSED + pgwire.READY
    play.upstream(answer + answer, ("client", answer + answer))
    got = play.take(play.conversation.client(pgwire.parse("SELECT 1", "p2") + pgwire.SYNC))
    assert pgwire.error_fields(next(pgwire.split(got[0][1]))[1])["C"] == "54000"


def test_a_constant_that_does_not_fail_ends_the_session() -> None:
    play = in_block()
    play.client(pgwire.query("DROP TABLE t"), ("ask",))
    play.answer(refuse("DROP TABLE"), ("upstream", constant_query(2)))
    got = play.take(play.conversation.upstream(pgwire.complete("SELECT 0") + pgwire.READY))
    assert got[-1][:2] == ("end", "upstream violation")
