# SPDX-License-Identifier: Apache-2.0
"""One recorded conversation, cut at every position of every piece: where the network cuts must never matter."""

from __future__ import annotations

from typing import Any

import pytest
from support import pgwire
from support.play import Play, admission, allow, constant_parse, refuse

# Who sends what, in the order in which it came. The desk answers at once: no to what drops, else yes.
Step = tuple[str, bytes]
LOGIN: list[Step] = [
    ("client", pgwire.startup(user="agent", database="shop", application_name="psql")),
    ("client", pgwire.password("key")),
    (
        "upstream",
        pgwire.AUTHENTICATED
        + pgwire.parameter("server_version", "15.18")
        + pgwire.key_data(7, b"\x09\x09\x09\x09")
        + pgwire.READY,
    ),
]
SIMPLE: list[Step] = [
    ("client", pgwire.query("SELECT 1; SELECT 2")),
    (
        "upstream",
        (pgwire.row_description("n") + pgwire.row(b"1", None) * 2 + pgwire.complete("SELECT 2")) * 2 + pgwire.READY,
    ),
]
EXTENDED: list[Step] = [
    (
        "client",
        pgwire.parse("SELECT $1", "a", (23,))
        + pgwire.bind("a", values=(b"7", None))
        + pgwire.describe("P")
        + pgwire.execute(rows=1)
        + pgwire.FLUSH,
    ),
    ("upstream", pgwire.PARSED + pgwire.BOUND + pgwire.row_description("n") + pgwire.row(b"7") + pgwire.SUSPENDED),
    ("client", pgwire.execute() + pgwire.close("S", "a") + pgwire.SYNC),
    ("upstream", pgwire.complete("SELECT 1") + pgwire.CLOSED + pgwire.READY),
]
COPY_OUT: list[Step] = [
    ("client", pgwire.query("COPY t TO STDOUT")),
    (
        "upstream",
        pgwire.message(b"H", b"\x00\x00\x01\x00\x00")
        + pgwire.message(b"d", b"x" * 40) * 2
        + pgwire.message(b"c")
        + pgwire.complete("COPY 2")
        + pgwire.READY,
    ),
]
COPY_IN: list[Step] = [
    ("client", pgwire.query("COPY t FROM STDIN")),
    ("upstream", pgwire.message(b"G", b"\x00\x00\x01\x00\x00")),
    ("client", pgwire.message(b"d", b"1\n") + pgwire.message(b"d", b"2\n") + pgwire.message(b"c")),
    ("upstream", pgwire.complete("COPY 2") + pgwire.READY),
]
REFUSAL: list[Step] = [
    (
        "client",
        pgwire.parse("INSERT 1")
        + pgwire.bind()
        + pgwire.execute()
        + pgwire.parse("DROP TABLE t")
        + pgwire.bind()
        + pgwire.execute()
        + pgwire.SYNC,
    ),
    (
        "upstream",
        pgwire.PARSED
        + pgwire.BOUND
        + pgwire.complete("INSERT 0 1")
        + pgwire.error("42601", "syntax error")
        + pgwire.READY,
    ),
    ("client", pgwire.TERMINATE),
]
WHOLE = [*LOGIN, *SIMPLE, *EXTENDED, *COPY_OUT, *COPY_IN, *REFUSAL]
CANCEL: list[Step] = [("client", pgwire.cancel(7, b"\x01\x02\x03\x04"))]

Told = tuple[dict[str, bytes], list[Any], list[Any], bytes, bytes]


def play_through(steps: list[Step], cut: tuple[int, int] | None = None) -> Told:
    """Play the steps, one of them in two pieces; give each side's bytes, the commands, entries and recorded bytes."""
    play = Play(insecure_plaintext=True)
    sides = {"client": b"", "upstream": b""}
    commands: list[Any] = []
    frames = {"<": b"", ">": b""}

    def feed(turn: list[tuple[Any, ...]]) -> None:
        for output in turn:
            if output[0] == "record":
                frames[output[1]] += output[2]
        for output in play.take(turn):
            if output[0] in sides:
                sides[output[0]] += output[1]
            elif output == ("ask",):
                answer()
            elif output[0] == "dial":
                commands.append(output)
                feed(play.conversation.upstream_open())
            elif output[0] == "cancel":
                commands.append(output)
                feed(play.conversation.note(output[1]))
            else:
                commands.append(output[:3] if output[0] == "end" else output)

    def answer() -> None:
        if hasattr(play.question, "password"):
            feed(play.conversation.admit(play.ticket, admission()))
            return
        text = play.question.text
        verdict = refuse("DROP") if text.startswith(b"DROP") else allow(*["X"] * (text.count(b";") + 1))
        feed(play.conversation.answer(play.ticket, verdict))

    for number, (side, data) in enumerate(steps):
        at = cut[1] if cut and cut[0] == number else len(data)
        for piece in filter(None, (data[:at], data[at:])):
            feed(play.conversation.client(piece) if side == "client" else play.conversation.upstream(piece))
    return sides, commands, play.entries, frames["<"], frames[">"]


UNCUT = play_through(WHOLE)


def test_the_whole_conversation_is_what_it_should_be() -> None:
    sides, commands, entries, _, _ = UNCUT
    kinds = "".join(kind for kind, _ in pgwire.split(sides["client"]))
    assert kinds == "RRSKZ" + "TDDCTDDCZ" + "12TDsC3Z" + "HddcCZ" + "GCZ" + "12CEZ"
    assert b"DROP" not in sides["upstream"]
    assert constant_parse(9, "") in sides["upstream"]
    assert [command[0] for command in commands] == ["open_recording", "dial", "register", "end"]
    statuses = [entry["effect"]["status"] for entry in entries if entry["event"] == "operation.outcome"]
    assert statuses == ["done"] * 9


@pytest.mark.parametrize("number", range(len(WHOLE)))
def test_pg_39_a_piece_cut_anywhere_gives_the_same_output(number: int) -> None:
    for at in range(1, len(WHOLE[number][1])):
        assert play_through(WHOLE, (number, at)) == UNCUT, f"cut at {at}"


def test_a_cancel_request_cut_anywhere_gives_the_same_output() -> None:
    uncut = play_through(CANCEL)
    assert [command[0] for command in uncut[1]] == ["cancel", "signal", "end"]
    for at in range(1, len(CANCEL[0][1])):
        assert play_through(CANCEL, (0, at)) == uncut, f"cut at {at}"


def test_a_request_for_tls_cut_anywhere_gives_the_same_output() -> None:
    for at in range(1, len(pgwire.SSL_REQUEST)):
        play = Play()
        play.client(pgwire.SSL_REQUEST[:at])
        play.client(pgwire.SSL_REQUEST[at:], ("client", b"S"), ("start_client_tls", b""))
