# SPDX-License-Identifier: Apache-2.0
"""Quotas of evidence: what would go over is refused, which the book says once, and the session lives on."""

from __future__ import annotations

import pytest
from support import pgwire, states
from support.play import Play, allow, constant_query, logged_in

HOUR_US = 3_600_000_000
RESULT = pgwire.row_description("n") + pgwire.row(b"1") + pgwire.complete("SELECT 1") + pgwire.READY
SELECT = pgwire.query("SELECT 1")


def used_up(**limits: int) -> Play:
    """A session that has used up what its identity may make, with nothing outstanding."""
    play = logged_in(**(limits or {"journal_bytes_per_hour": 3_000}))
    for _ in range(100):
        turn = play.take(play.conversation.client(SELECT))
        if turn != [("ask",)]:
            assert states.forwarded(turn) == b""
            return play
        play.answer(allow("SELECT"), ("upstream", SELECT))
        play.upstream(RESULT, ("client", RESULT))
    raise AssertionError("it was never used up")


def error(play: Play, message: bytes, at: int = 0) -> dict[str, str]:
    (output,) = play.take(play.conversation.client(message, at))
    assert output[0] == "client"
    return pgwire.error_fields(next(pgwire.split(output[1]))[1])


@pytest.mark.parametrize("limit", ["journal_bytes_per_hour", "recording_bytes_per_hour"])
def test_au_07_what_would_go_over_is_refused_with_a_code_of_its_own(limit: str) -> None:
    play = used_up(**{limit: 3_000})
    refused = error(play, SELECT)
    assert (refused["S"], refused["C"]) == ("ERROR", "53400")
    assert '"code":"limit.evidence"' in refused["D"]


def test_au_07_an_entry_says_so_once_and_the_end_counts_the_rest() -> None:
    play = used_up()
    for _ in range(50):
        error(play, SELECT)
    (entry,) = play.events("operation.refused")
    assert entry["refusal"]["code"] == "limit.evidence"
    play.take(play.conversation.client_closed())
    assert play.events("session.end")[-1]["counts"]["refused"] == 51
    assert [one["seq"] for one in play.entries] == list(range(len(play.entries)))


def test_au_07_refused_messages_are_not_recorded_and_cost_no_journal() -> None:
    play = used_up()
    before, frames = len(play.entries), len(play.frames)
    for _ in range(10):
        error(play, pgwire.query("SELECT '" + "x" * 100_000 + "'"))
    assert len(play.entries) == before
    assert len(play.frames) - frames < 10_000


def test_au_07_the_next_hour_is_a_new_one() -> None:
    play = used_up()
    play.client(SELECT, ("ask",), at=HOUR_US)
    play.answer(allow("SELECT"), ("upstream", SELECT), at=HOUR_US)


@pytest.mark.parametrize(
    "message",
    [
        pgwire.parse("SELECT 1", "s"),
        pgwire.bind(),
        pgwire.describe("P"),
        pgwire.execute(),
    ],
    ids=["parse", "bind", "describe", "execute"],
)
def test_au_07_the_extended_protocol_is_refused_as_it_is_elsewhere(message: bytes) -> None:
    play = used_up()
    (output,) = play.take(play.conversation.client(message + pgwire.execute() + pgwire.SYNC))
    assert [kind for kind, _ in pgwire.split(output[1])] == ["E", "Z"]


def test_au_07_a_function_call_is_refused_too() -> None:
    play = used_up()
    (output,) = play.take(play.conversation.client(pgwire.message(b"F", b"\x00\x00\x00\x2a" + bytes(6))))
    assert [kind for kind, _ in pgwire.split(output[1])] == ["E", "Z"]


def test_au_07_in_a_block_the_block_fails_at_the_server() -> None:
    play = logged_in(recording_bytes_per_hour=10_000)
    play.client(pgwire.query("BEGIN"), ("ask",))
    play.answer(allow("BEGIN"), ("upstream", pgwire.query("BEGIN")))
    begun = pgwire.complete("BEGIN") + pgwire.message(b"N", b"x" * 20_000) + pgwire.READY_IN_BLOCK
    play.upstream(begun, ("client", begun))
    play.client(SELECT, ("upstream", constant_query(2)))
    play.take(play.conversation.upstream(pgwire.error("42601", "syntax error") + pgwire.READY_FAILED))
    play.client(SELECT, ("upstream", constant_query(3)))  # as the second is not entered, its number is given again
    play.take(play.conversation.upstream(pgwire.error("42601", "syntax error") + pgwire.READY_FAILED))


def test_au_07_what_was_begun_is_carried_to_its_end() -> None:
    play = logged_in(recording_bytes_per_hour=3_000)
    play.client(pgwire.query("COPY t FROM STDIN"), ("ask",))
    play.answer(allow("COPY"), ("upstream", pgwire.query("COPY t FROM STDIN")))
    play.upstream(states.COPYING, ("client", states.COPYING))
    data = pgwire.message(b"d", b"x" * 2_000)
    for _ in range(5):
        play.client(data, ("upstream", data))
    play.client(pgwire.message(b"c"), ("upstream", pgwire.message(b"c")))
    done = pgwire.complete("COPY 5") + pgwire.READY
    play.upstream(done, ("client", done))
    assert play.outcomes() == [("1", "done")]
    assert error(play, SELECT)["C"] == "53400"


def test_au_07_a_message_whose_verdict_was_asked_for_is_served() -> None:
    play = logged_in(recording_bytes_per_hour=10_000)
    play.client(SELECT, ("ask",))
    notice = pgwire.message(b"N", b"x" * 20_000)
    play.upstream(notice, ("client", notice))  # over the quota, while the desk considers
    play.answer(allow("SELECT"), ("upstream", SELECT))
