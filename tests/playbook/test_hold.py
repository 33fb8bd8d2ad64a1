# SPDX-License-Identifier: Apache-2.0
"""Playbooks of holds: a message waits for a person, and those behind it in order; it goes on, fails or is given up."""

from __future__ import annotations

from support import pgwire
from support.play import (
    Play,
    allow,
    held,
    logged_in,
    notice_of,
)

DELETE = pgwire.query("DELETE FROM t")
DONE = pgwire.complete("DELETE 1") + pgwire.READY
RESULT = pgwire.row_description("n") + pgwire.row(b"1") + pgwire.complete("SELECT 1") + pgwire.READY
SYNTAX_ERROR = pgwire.error("42601", 'syntax error at or near "gatebook"')


def holding(play: Play | None = None) -> Play:
    """A Query that is held, as operation 1 of a session or as the next of another."""
    play = play or logged_in()
    play.client(DELETE, ("ask",))
    play.hold(held("DELETE"), ("client", notice_of(play.question.operation)))
    return play


def cancelled(turn: list[tuple[object, ...]]) -> dict[str, str]:
    """The fields of the one ErrorResponse that a turn shows."""
    (shown,) = [output[1] for output in turn if output[0] == "client"]
    assert isinstance(shown, bytes)
    return pgwire.error_fields(next(pgwire.split(shown))[1])


def test_a_held_query_goes_on_when_it_is_resumed_and_allowed() -> None:
    play = holding()
    first = play.ticket
    play.resume(("ask",))
    assert (play.ticket, play.question.operation) == (first + 1, 1)
    play.answer(allow("DELETE"), ("upstream", DELETE))
    play.upstream(DONE, ("client", DONE))
    assert play.story() == ["held 1", "intent 1", "outcome 1"]
