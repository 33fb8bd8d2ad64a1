# SPDX-License-Identifier: Apache-2.0
"""Playbooks of ends: half-close, loss of either side, garbage, oversize, time; each ends with its cause in the book."""

from __future__ import annotations

import pytest
from support import pgwire
from support.play import Play, allow, constant_query, logged_in

CANCEL = ("errand", pgwire.cancel(7, b"\x09\x09\x09\x09"))


def running() -> Play:
    """A session with a statement under way."""
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))
    return play


def cause(play: Play) -> str:
    assert play.entries[-1]["event"] == "session.end"
    return str(play.entries[-1]["cause"])


def test_an_idle_client_that_closes_ends_the_session_with_a_goodbye_upstream() -> None:
    play = logged_in()
    got = play.take(play.conversation.client_closed())
    assert [output[0] for output in got] == ["upstream", "end"]
    assert got[0][1] == pgwire.TERMINATE
    assert cause(play) == "client closed"


def test_a_half_closed_client_still_gets_the_answer_to_what_it_asked() -> None:
    play = running()
    play.does(play.conversation.client_closed)
    answer = pgwire.row_description("n") + pgwire.complete("SELECT 0") + pgwire.READY
    got = play.take(play.conversation.upstream(answer))
    assert got[0] == ("client", answer)
    assert [output[0] for output in got] == ["client", "upstream", "end"]
    assert play.outcomes() == [("1", "done")]


def test_a_closed_client_is_not_waited_for_for_ever() -> None:
    play = running()
    play.take(play.conversation.client_closed(1))
    play.does(lambda: play.conversation.tick(4_000_000))
    got = play.take(play.conversation.tick(6_000_000))
    assert CANCEL in got
    assert play.outcomes() == [("1", "unknown")]
    assert cause(play) == "client closed"


def test_a_client_that_closes_while_it_waits_for_a_verdict_leaves_no_operation() -> None:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    got = play.take(play.conversation.client_closed())
    assert ("forget", play.ticket) in got
    assert play.events("operation.intent") == []
    assert play.take(play.conversation.answer(play.ticket, allow("SELECT"))) == []


def test_terminate_behind_a_statement_lets_it_end() -> None:
    play = logged_in()
    play.client(pgwire.query("INSERT 1") + pgwire.TERMINATE, ("ask",))
    play.answer(allow("INSERT"), ("upstream", pgwire.query("INSERT 1")))
    answer = pgwire.complete("INSERT 0 1") + pgwire.READY
    got = play.take(play.conversation.upstream(answer))
    assert [output[0] for output in got] == ["client", "upstream", "end"]
    assert play.outcomes() == [("1", "done")]


def test_terminate_is_heard_once_however_its_answers_arrive() -> None:
    play = logged_in()
    query = pgwire.query("SELECT 1")
    play.client(query + pgwire.TERMINATE, ("ask",))
    play.answer(allow("SELECT"), ("upstream", query))
    answer = pgwire.row_description("n") + pgwire.complete("SELECT 0") + pgwire.READY
    for at in range(len(answer) - 1):
        assert not any(output[0] == "end" for output in play.take(play.conversation.upstream(answer[at : at + 1])))
    got = play.take(play.conversation.upstream(answer[-1:]))
    assert [output[0] for output in got] == ["client", "upstream", "end"]
    assert play.outcomes() == [("1", "done")]
    assert play.frames.count(pgwire.TERMINATE) == 1


def test_a_lost_upstream_is_told_and_what_ran_is_unknown() -> None:
    play = running()
    got = play.take(play.conversation.upstream_closed())
    fields = pgwire.error_fields(next(pgwire.split(got[0][1]))[1])
    assert (fields["S"], fields["C"]) == ("FATAL", "08006")
    assert play.outcomes() == [("1", "unknown")]
    assert cause(play) == "upstream lost"


def test_the_last_word_of_a_server_that_goes_reaches_the_client() -> None:
    play = logged_in()
    words = pgwire.error("57P01", "terminating connection due to administrator command", "FATAL")
    play.upstream(words, ("client", words))
    got = play.take(play.conversation.upstream_closed())
    assert got[-1][:2] == ("end", "upstream lost")


def test_no_word_of_ours_is_put_into_a_row_half_sent() -> None:
    play = running()
    half = pgwire.row_description("n") + pgwire.row(b"x" * 100)[:50]
    play.upstream(half, ("client", half))
    got = play.take(play.conversation.upstream_closed())
    assert [output[0] for output in got if output[0] == "client"] == []
    assert cause(play) == "upstream lost"


def test_an_ended_session_cancels_what_runs_and_tells_why() -> None:
    play = running()
    got = play.take(play.conversation.end("revoked", "credential 1"))
    fields = pgwire.error_fields(next(pgwire.split(got[0][1]))[1])
    assert (fields["S"], fields["C"]) == ("FATAL", "57P01")
    assert CANCEL in got
    assert (cause(play), play.entries[-1]["note"]) == ("revoked", "credential 1")


def test_a_session_whose_evidence_failed_is_told_so() -> None:
    play = logged_in()
    got = play.take(play.conversation.end("evidence failed", "no space"))
    assert pgwire.error_fields(next(pgwire.split(got[0][1]))[1])["C"] == "58030"


def test_a_session_ends_at_its_instant() -> None:
    play = logged_in(ends_at_us=1_000)
    play.does(lambda: play.conversation.tick(999))
    assert play.take(play.conversation.tick(1_000))[-1][:2] == ("end", "expired")


def test_an_idle_session_ends_and_a_busy_one_does_not() -> None:
    play = logged_in(idle_us=10)
    assert play.take(play.conversation.tick(11))[-1][:2] == ("end", "idle")
    play = logged_in(idle_us=10)
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.does(lambda: play.conversation.tick(1_000))


@pytest.mark.parametrize("kind", [bytes([kind]) for kind in range(256)])
def test_pg_13_every_type_byte_is_listed_or_ends_the_session(kind: bytes) -> None:
    play = logged_in()
    got = play.take(play.conversation.client(pgwire.message(kind, b"\x01")))
    assert not any(output[0] == "upstream" and output[1] != pgwire.TERMINATE for output in got)
    if kind in {b"d", b"c", b"f"}:
        assert got == []  # dropped, as the server drops them outside COPY
    elif kind in {b"Q", b"P", b"B", b"E", b"D", b"C", b"H", b"S"}:
        assert [output[0] for output in got] == ["client"]  # refused in the server's words, and the session goes on
    elif kind == b"X":
        assert got[-1][:2] == ("end", "client closed")
    elif kind == b"F":
        assert got == [("ask",)]
    else:
        assert got[-1][:2] == ("end", "protocol violation")


@pytest.mark.parametrize("length", [0, 1, 3, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_pg_13_a_length_that_lies_ends_the_session_and_nothing_is_forwarded(length: int) -> None:
    play = logged_in()
    got = play.take(play.conversation.client(b"Q" + length.to_bytes(4, "big") + b"SELECT 1\x00"))
    assert got[-1][:2] == ("end", "protocol violation")
    assert [output for output in got if output[0] == "upstream"] == [("upstream", pgwire.TERMINATE)]


@pytest.mark.parametrize(
    "broken",
    [
        pgwire.message(b"Q", b"no terminator"),
        pgwire.message(b"Q", b"one\x00two\x00"),
        pgwire.message(b"P", b"\x00\x00"),
        pgwire.message(b"P", b"\x00SELECT 1\x00\x00\x02\x00\x00\x00\x17"),
        pgwire.message(b"D", b"X\x00"),
        pgwire.message(b"C", b"S"),
        pgwire.message(b"E", b"\x00\x00"),
        pgwire.message(b"S", b"x"),
        pgwire.message(b"H", b"x"),
        pgwire.message(b"B", b"\x00\x00\x00\x00\x00\x01\x00\x00\x00\x09a\x00\x00"),
    ],
)
def test_pg_13_a_malformed_message_is_refused_as_at_the_server_and_never_forwarded(broken: bytes) -> None:
    play = logged_in()
    behind = b"" if broken[:1] in {b"Q", b"S"} else pgwire.SYNC
    ((side, shown),) = play.take(play.conversation.client(broken + behind))
    assert (side, [kind for kind, _ in pgwire.split(shown)]) == ("client", ["E", "Z"])
    assert pgwire.error_fields(next(pgwire.split(shown))[1])["C"] == "08P01"
    play.client(pgwire.query("SELECT 1"), ("ask",))


def test_a_malformed_message_fails_the_transaction_that_it_stands_in() -> None:
    play = logged_in()
    play.client(pgwire.query("BEGIN"), ("ask",))
    play.answer(allow("BEGIN"), ("upstream", pgwire.query("BEGIN")))
    begun = pgwire.complete("BEGIN") + pgwire.READY_IN_BLOCK
    play.upstream(begun, ("client", begun))
    play.client(pgwire.message(b"S", b"x"), ("upstream", constant_query(2)))
    syntax_error = pgwire.error("42601", 'syntax error at or near "gatebook"')
    got = play.take(play.conversation.upstream(syntax_error + pgwire.READY_FAILED))
    kinds = [kind for kind, _ in pgwire.split(got[0][1])]
    assert kinds == ["E", "Z"]


@pytest.mark.parametrize("kind", [bytes([kind]) for kind in range(256)])
def test_every_type_byte_of_an_upstream_fits_or_ends_the_session(kind: bytes) -> None:
    play = logged_in()
    got = play.take(play.conversation.upstream(pgwire.message(kind, b"\x00")))
    if kind in {b"N", b"S", b"A", b"E"}:
        assert got == [("client", pgwire.message(kind, b"\x00"))]
    else:
        assert got[-1][:2] == ("end", "upstream violation")


def test_an_upstream_message_too_long_to_hold_ends_the_session() -> None:
    play = running()
    got = play.take(play.conversation.upstream(b"T\x7f\xff\xff\xff"))
    assert got[-1][:2] == ("end", "upstream violation")


def test_an_upstream_with_more_results_than_statements_ends_the_session() -> None:
    play = running()
    first = pgwire.row_description("n") + pgwire.complete("SELECT 0")
    play.upstream(first, ("client", first))
    got = play.take(play.conversation.upstream(pgwire.complete("DROP TABLE")))
    assert got[-1][:2] == ("end", "upstream violation")
