# SPDX-License-Identifier: Apache-2.0
"""Every lie about a length, for every kind of message: an error or silence, and nothing that was not judged goes on."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

import pytest
from support import pgwire, states
from support.play import Play, logged_in
from support.states import forwarded

MESSAGE_BYTES = 16 * 1024 * 1024
PASSWORD_BYTES = 65_535
STARTUP_BYTES = 10_000
HELD_BYTES = 8 * 1024 * 1024
ALWAYS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 2**31 - 1, 2**31, 2**32 - 1)
SECRET = b"DROP TABLE t"
# One good message of each kind that a client may send.
GOOD = {
    "Q": pgwire.query(SECRET.decode()),
    "P": pgwire.parse(SECRET.decode(), "s", (23,)),
    "B": pgwire.bind("s", "p", (b"7", None, SECRET)),
    "D": pgwire.describe("S", "s"),
    "E": pgwire.execute("p"),
    "C": pgwire.close("S", "s"),
    "H": pgwire.FLUSH,
    "S": pgwire.SYNC,
    "F": pgwire.message(b"F", struct.pack(">IHHI", 42, 0, 1, len(SECRET)) + SECRET + b"\x00\x00"),
    "d": pgwire.message(b"d", SECRET),
    "c": pgwire.message(b"c"),
    "f": pgwire.message(b"f", pgwire.text(SECRET)),
    "X": pgwire.TERMINATE,
    "y": pgwire.message(b"y", SECRET),
}
# What may be forwarded without a verdict: it asks for nothing that was not judged before.
ORDER = frozenset("HSXDCE")


def lie(message: bytes, length: int) -> bytes:
    return message[:1] + struct.pack(">I", length) + message[5:]


def lies(message: bytes, limit: int) -> Iterable[int]:
    true = len(message) - 1
    return sorted({*ALWAYS, true - 1, true + 1, limit + 5} - {true})


@pytest.mark.parametrize("state", [states.idle, states.answered_group, states.in_block], ids=lambda s: s.__name__)
@pytest.mark.parametrize("kind", GOOD)
def test_pg_13_no_length_that_lies_gets_a_message_past_its_judgement(kind: str, state: states.State) -> None:
    for length in lies(GOOD[kind], MESSAGE_BYTES):
        play = state()
        turn = play.take(play.conversation.client(lie(GOOD[kind], length) + pgwire.SYNC))
        sent = forwarded(turn)
        assert SECRET not in sent, f"length {length}"
        for told, body in pgwire.split(sent):
            assert told in ORDER or body.startswith((b"gatebook", b"\x00gatebook")), f"length {length}: {told}"
        if not 4 <= length <= MESSAGE_BYTES + 4:
            assert turn[-1][:2] == ("end", "protocol violation"), f"length {length}"
            assert _error(turn)["C"] == "08P01" or _error(turn)["C"] == "54000"


def test_pg_13_a_message_is_served_up_to_its_limit_and_not_one_byte_above() -> None:
    limit = 65_536
    text = "x" * (limit - 1)
    play = logged_in(message_bytes=limit)
    play.client(pgwire.query(text), ("ask",))
    play = logged_in(message_bytes=limit)
    turn = play.take(play.conversation.client(pgwire.query(text + "x")[:5]))  # its length alone is enough
    assert turn[-1][:3] == ("end", "protocol violation", "message of 65537 bytes, at most 65536")
    assert '"code":"limit.message"' in _error(turn)["D"]


@pytest.mark.parametrize("length", [*ALWAYS, PASSWORD_BYTES + 5])
@pytest.mark.parametrize("state", [states.awaiting_password, states.awaiting_token, states.challenged])
def test_pg_13_no_length_that_lies_gets_a_credential_past_its_form(state: states.State, length: int) -> None:
    good = {
        states.awaiting_password: pgwire.password("key"),
        states.awaiting_token: pgwire.bearer("a.b.c"),
        states.challenged: pgwire.message(b"p", b"\x01"),
    }[state]
    if length == len(good) - 1:
        return
    play = state()
    turn = play.take(play.conversation.client(lie(good, length)))
    if 4 <= length <= PASSWORD_BYTES + 4:
        asked = turn == [("ask",)]
        assert not asked or play.question.password() == b""  # a text without its end is no key
        assert forwarded(turn) == b""
    else:
        assert turn[-1][:2] == ("end", "protocol violation")


@pytest.mark.parametrize("state", [states.before_start_up, states.inside_tls], ids=lambda s: s.__name__)
@pytest.mark.parametrize(
    "packet",
    [
        pgwire.startup(user="agent", database="shop"),
        pgwire.SSL_REQUEST,
        pgwire.GSSENC_REQUEST,
        pgwire.cancel(7, b"\x01\x02\x03\x04"),
    ],
    ids=["start-up", "tls", "gss", "cancel"],
)
def test_pg_13_no_length_that_lies_gets_a_packet_past_its_form(packet: bytes, state: states.State) -> None:
    true = len(packet)
    for length in sorted({*ALWAYS, true - 1, true + 1, STARTUP_BYTES + 1} - {true}):
        play = state()
        turn = play.take(play.conversation.client(struct.pack(">I", length) + packet[4:]))
        assert forwarded(turn) == b""
        if length <= true:
            # 8 is the length of a request: a cancel request or start-up that says so is cut short
            assert turn[-1][0] == "end", f"length {length}"
        elif length <= STARTUP_BYTES:
            assert turn == []  # the rest is awaited, for as long as a login may take
        else:
            assert turn[-1][:3] == ("end", "protocol violation", "start-up packet of an invalid length")


@pytest.mark.parametrize("kind", "RSKTDdCEINZAnst123GHWcVv")
def test_pg_13_no_length_of_an_upstream_that_lies_is_held_or_reaches_the_client_unowed(kind: str) -> None:
    for length in (0, 1, 2, 3, HELD_BYTES + 5, 2**31 - 1, 2**31, 2**32 - 1):
        play = states.running()
        turn = play.take(play.conversation.upstream(kind.encode() + struct.pack(">I", length) + b"x" * 64))
        if kind in "Dd" and length > 3:
            # A row of any length is passed on as it comes; nothing of it is held.
            assert turn == [("client", kind.encode() + struct.pack(">I", length) + b"x" * 64)]
        else:
            assert turn[-1][:2] == ("end", "upstream violation"), f"{kind} {length}"


def _error(turn: list[tuple[Any, ...]]) -> dict[str, str]:
    (shown,) = [output[1] for output in turn if output[0] == "client"]
    (body,) = [body for kind, body in pgwire.split(shown) if kind == "E"]
    return pgwire.error_fields(body)


def test_pg_39_a_message_in_pieces_of_one_byte_is_one_question() -> None:
    play: Play = logged_in()
    message = GOOD["P"]
    for at in range(len(message) - 1):
        play.client(message[at : at + 1])
    play.client(message[-1:], ("ask",))
