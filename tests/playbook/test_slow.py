# SPDX-License-Identifier: Apache-2.0
"""Peers that are silent, slow or greedy: each wait and each store has a bound (docs/reference/postgres.md, Limits)."""

from __future__ import annotations

import pytest
from support import pgwire, states
from support.play import Play, allow, logged_in
from support.states import State

LOGIN_US = 60_000_000
IDLE_US = 8 * 3_600_000_000
KIB = 1024
ANSWERED = pgwire.PARSED + pgwire.READY


def cause(turn: list[tuple[object, ...]]) -> object:
    return turn[-1][1] if turn and turn[-1][0] == "end" else None


@pytest.mark.parametrize("state", states.BEFORE, ids=lambda state: state.__name__)
def test_pg_39_half_a_message_and_silence_end_a_login_after_a_minute(state: State) -> None:
    play = state()
    play.client(b"\x00\x00" if "password" not in state.__name__ else b"p\x00")
    assert play.take(play.conversation.tick(LOGIN_US - 1)) == []
    assert cause(play.take(play.conversation.tick(LOGIN_US))) == "login too slow"


def test_pg_39_bytes_that_trickle_do_not_stretch_a_login() -> None:
    play = states.awaiting_password()
    for second in range(59):
        play.client(pgwire.password("x" * 100)[second : second + 1], at=second * 1_000_000)
    assert cause(play.take(play.conversation.tick(LOGIN_US))) == "login too slow"


@pytest.mark.parametrize(
    "state",
    [
        states.idle,
        states.answered_group,
        states.refused_group,
        states.failed_group,
        states.copy_in,
        states.in_block,
        states.failed_block,
    ],
    ids=lambda state: state.__name__,
)
def test_pg_39_half_a_message_and_silence_end_a_session_that_waits_for_its_client(state: State) -> None:
    play = state()
    play.client(b"Q\x00\x00\x00\xffSELECT")
    assert play.take(play.conversation.tick(IDLE_US - 1)) == []
    assert cause(play.take(play.conversation.tick(IDLE_US))) == "idle"


@pytest.mark.parametrize("state", [states.running, states.open_group], ids=lambda state: state.__name__)
def test_pg_39_a_server_that_never_answers_is_waited_for_until_the_session_ends_and_then_cancelled(
    state: State,
) -> None:
    play = state()
    assert play.take(play.conversation.tick(IDLE_US * 3)) == []
    turn = play.take(play.conversation.end("expired"))
    assert [output[0] for output in turn] == ["client", "errand", "end"]
    assert play.outcomes()[-1][1] == "unknown"


def test_pg_39_a_flush_that_never_ends_is_passed_on_and_nothing_of_it_is_kept() -> None:
    play = states.answered_group()
    for _ in range(100):
        play.client(pgwire.FLUSH * 1_000, ("upstream", pgwire.FLUSH * 1_000))
    assert play.conversation.wants_client()
    play.client(pgwire.SYNC, ("upstream", pgwire.SYNC))
    play.upstream(pgwire.READY, ("client", pgwire.READY))


def test_pg_39_a_pipeline_is_read_no_further_than_its_bound() -> None:
    play = logged_in(pipeline=16)
    one = pgwire.describe("P")
    play.client(one * 20, ("upstream", one * 16))
    assert not play.conversation.wants_client()
    turn = play.take(play.conversation.upstream(pgwire.NO_DATA * 16))
    assert states.forwarded(turn) == one * 4
    assert play.conversation.wants_client()


def parsed(play: Play, name: str, size: int) -> bytes:
    """Parse a statement of so many bytes, and answer for desk and server; what the client was shown."""
    message = pgwire.parse("SELECT '" + "x" * size + "'", name) + pgwire.SYNC
    turn = play.take(play.conversation.client(message))
    if turn == [("ask",)]:
        turn = play.take(play.conversation.answer(play.ticket, allow("SELECT")))
    if states.forwarded(turn):
        turn = play.take(play.conversation.upstream(ANSWERED))
    play.frames = b""  # nobody looks at them, and they are many
    return b"".join(output[1] for output in turn if output[0] == "client")


def test_pg_39_statements_of_a_session_hold_64_mib_at_the_most() -> None:
    play = logged_in()
    size = 200 * KIB
    held = 0
    while parsed(play, f"s{held}", size) == ANSWERED:
        held += 1
        assert held < 1_000
    assert held == 328  # 64 MiB and the one that passed it
    error = pgwire.error_fields(next(pgwire.split(parsed(play, "more", size)))[1])
    assert (error["C"], '"code":"limit.names"' in error["D"]) == ("54000", True)
    close = pgwire.close("S", "s0") + pgwire.SYNC
    play.client(close, ("upstream", close))
    play.upstream(pgwire.CLOSED + pgwire.READY, ("client", pgwire.CLOSED + pgwire.READY))
    assert parsed(play, "again", size) == ANSWERED


def test_pg_39_a_statement_that_is_parsed_again_and_again_holds_no_more() -> None:
    play = logged_in()
    for _ in range(700):
        assert parsed(play, "same", 100 * KIB) == ANSWERED


def test_pg_39_portals_of_a_session_hold_64_mib_at_the_most() -> None:
    play = states.in_block()
    assert parsed(play, "s", 10) == ANSWERED
    value = b"x" * (KIB * KIB)
    verdict = allow("SELECT")
    for number in range(64):
        message = pgwire.bind("s", f"p{number}", (value,)) + pgwire.SYNC
        play.client(message, ("ask",))
        play.answer(verdict, ("upstream", message))
        answer = pgwire.BOUND + pgwire.READY_IN_BLOCK
        play.upstream(answer, ("client", answer))
        play.frames = b""
    turn = play.take(play.conversation.client(pgwire.bind("s", "more", (value,))))
    assert value not in states.forwarded(turn)
    assert play.events("operation.refused")[-1]["refusal"]["code"] == "limit.names"


def prepared(play: Play, sql: str, count: int) -> bytes:
    """A Query of so many PREPAREs that the desk allows and the server runs; what of it was forwarded."""
    play.client(pgwire.query(sql), ("ask",))
    verdict = allow(*["PREPARE"] * count, effects=(("prepare", sql.split()[1]),))
    sent = states.forwarded(play.take(play.conversation.answer(play.ticket, verdict)))
    if sent:
        play.take(play.conversation.upstream(pgwire.complete("PREPARE") * count + pgwire.READY))
    return sent


def test_pg_39_prepare_in_sql_counts_as_the_protocols_own() -> None:
    play = logged_in(names=16)
    for number in range(16):
        assert prepared(play, f"PREPARE p{number} AS SELECT 1", 1) != b""
    assert prepared(play, "PREPARE more AS SELECT 1", 1) == b""
    assert play.events("operation.refused")[-1]["refusal"]["code"] == "limit.names"


def test_pg_39_one_message_of_many_prepares_holds_no_more_than_a_session_may() -> None:
    play = logged_in()
    text = "PREPARE p AS SELECT 1" + " " * 200 * KIB
    assert prepared(play, text, 300) != b""
    assert prepared(play, text, 400) == b""
    assert play.events("operation.refused")[-1]["refusal"]["code"] == "limit.names"
