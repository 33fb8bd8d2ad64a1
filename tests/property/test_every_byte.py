# SPDX-License-Identifier: Apache-2.0
"""Every type byte in every state of the conversation: what is listed behaves, all else is refused and goes nowhere.

The body fits no kind of message that has a form. So whatever of it reaches the upstream got there unread, which only
COPY data may.
"""

from __future__ import annotations

import pytest
from support import pgwire, states
from support.play import Play, refuse
from support.states import State, forwarded

BODY = b"\x07MARK\x07"
UNLISTED = "an error, the end"
REFUSED, REFUSED_AND_READY = "E", "EZ"
# What each listed kind does with this body; every other kind ends the session.
LISTED: dict[State, dict[str, str]] = {
    states.idle: {"BCDEHP": REFUSED, "QS": REFUSED_AND_READY, "F": "asked", "X": "closed", "cdf": "dropped"},
    states.running: {"BCDEHP": "constant P", "QS": "constant Q", "F": "asked", "Xcdf": "waits"},
    states.open_group: {"BCDEHP": "constant P", "QS": "constant Q", "F": "asked", "Xcdf": "waits"},
    states.answered_group: {
        "BCDEHP": "constant P",
        "QS": "constant Q",
        "F": "asked",
        "X": "closed",
        "cdf": "dropped",
    },
    states.refused_group: {"BCDEFHPQcdf": "dropped", "S": UNLISTED, "X": "closed"},
    states.failed_group: {"BCDEFHPQcdf": "dropped", "S": UNLISTED, "X": "closed"},
    states.copy_in: {
        "BCDEP": "constant P",
        "QS": "constant Q",
        "F": "asked",
        "H": "dropped",
        "X": "closed",
        "cdf": "forwarded",
    },
    states.in_block: {"BCDEHP": "constant P", "QS": "constant Q", "F": "asked", "X": "closed", "cdf": "dropped"},
    states.failed_block: {"BCDEHP": "constant P", "QS": "constant Q", "F": "asked", "X": "closed", "cdf": "dropped"},
    states.awaiting_password: {"p": "asked"},
    states.before_start_up: {"\x16": "begins TLS"},
    states.inside_tls: {},
    states.awaiting_token: {},
    states.challenged: {},
}
HOLDS = (states.admitting, states.logging_in, states.question_open)


def told(play: Play, message: bytes) -> str:
    """One word, or two, for what a message brought."""
    turn = play.take(play.conversation.client(message))
    sent = forwarded(turn)
    if turn and turn[-1][0] == "end":
        assert sent in {b"", pgwire.TERMINATE}
        return "closed" if turn[-1][1] == "client closed" else f"{_shown(turn)}, the end".replace("E,", "an error,")
    if BODY in sent:
        return "forwarded"
    if sent:
        assert b"gatebook refused operation" in sent
        return f"constant {sent[:1].decode()}"
    match [output[0] for output in turn]:
        case ["ask"]:
            return "asked"
        case ["start_client_tls"]:
            return "begins TLS"
        case []:
            return "dropped" if play.conversation.wants_client() else "waits"
    return _shown(turn)


def _shown(turn: list[tuple[object, ...]]) -> str:
    return "".join(
        kind
        for output in turn
        if output[0] == "client" and isinstance(output[1], bytes)
        for kind, _ in pgwire.split(output[1])
    )


@pytest.mark.parametrize("state", LISTED, ids=lambda state: state.__name__)
def test_pg_13_every_type_byte_in_every_state_does_what_is_listed_or_is_refused(state: State) -> None:
    listed = {kind: does for kinds, does in LISTED[state].items() for kind in kinds}
    for kind in map(chr, range(256)):
        got = told(state(), pgwire.message(kind.encode("latin-1"), BODY))
        wanted = listed.get(kind, UNLISTED)
        assert got == wanted, f"{kind!r}: {got}, not {wanted}"


@pytest.mark.parametrize("state", HOLDS, ids=lambda state: state.__name__)
def test_pg_13_nothing_is_read_while_an_answer_is_due(state: State) -> None:
    for kind in range(256):
        play = state()
        turn = play.conversation.client(pgwire.message(bytes([kind]), BODY))
        assert (turn, play.conversation.wants_client()) == ([], False)


def test_pg_13_what_was_sent_ahead_of_an_admission_that_is_refused_goes_nowhere() -> None:
    for kind in range(256):
        play = states.admitting()
        play.client(pgwire.message(bytes([kind]), BODY))
        turn = play.take(play.conversation.refuse(play.ticket, states.NO_ENTRY))
        assert [output[0] for output in turn] == ["client", "end"]


def test_pg_13_what_was_sent_behind_a_question_is_read_as_in_an_idle_session_once_it_is_answered() -> None:
    for kind in range(256):
        play = states.question_open()
        play.client(pgwire.message(bytes([kind]), BODY))
        turn = play.take(play.conversation.answer(play.ticket, refuse("SELECT")))
        assert forwarded(turn) in {b"", pgwire.TERMINATE}
        is_listed = bytes([kind]) in b"BCDEFHPQSXcdf"
        assert is_listed or turn[-1][:2] == ("end", "protocol violation")


@pytest.mark.parametrize("state", [*LISTED, *HOLDS], ids=lambda state: state.__name__)
def test_pg_13_every_type_byte_of_an_upstream_in_every_state_ends_in_a_known_way(state: State) -> None:
    """No panic, and no byte for the upstream that the gate did not owe it."""
    for kind in range(256):
        play = state()
        turn = play.take(play.conversation.upstream(pgwire.message(bytes([kind]), BODY)))
        assert BODY not in forwarded(turn)
        if turn and turn[-1][0] == "end":
            assert turn[-1][1] in {"upstream violation", "upstream failed", "client closed"}
