# SPDX-License-Identifier: Apache-2.0
"""Any split of the bytes gives the same output: how the network cuts must never matter."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support import pgwire
from support.play import NOTICE, Play, allow, constant_parse, held, logged_in, refuse

from gatebook.native.pure import Refusal

CLIENT = (
    pgwire.query("SELECT 1; SELECT 2")
    + pgwire.parse("INSERT 1", "a", (23,))
    + pgwire.bind("a", values=(b"7", None))
    + pgwire.describe("P")
    + pgwire.execute()
    + pgwire.parse("DROP TABLE t")
    + pgwire.bind()
    + pgwire.execute()
    + pgwire.SYNC
    + pgwire.query("COPY t TO STDOUT")
)
RESULT = pgwire.row_description("n") + pgwire.row(b"1", None) * 3
UPSTREAM = (
    RESULT
    + pgwire.complete("SELECT 3")
    + pgwire.message(b"N", b"SNOTICE\x00\x00")
    + RESULT
    + pgwire.complete("SELECT 3")
    + pgwire.READY
    + pgwire.PARSED
    + pgwire.BOUND
    + pgwire.NO_DATA
    + pgwire.complete("INSERT 0 1")
    + pgwire.error("42601", "syntax error")
    + pgwire.READY
    + pgwire.message(b"H", b"\x00\x00\x01\x00\x00")
    + pgwire.message(b"d", b"x" * 300)
    + pgwire.message(b"c")
    + pgwire.complete("COPY 1")
    + pgwire.READY
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


def play_through(client_cuts: list[int], upstream_cuts: list[int]) -> tuple[bytes, bytes, list[Any], bytes]:
    """Play the whole conversation; give the bytes of both sides, the entries and the client's recorded bytes."""
    play = logged_in()
    play.frames = b""
    sides = {"client": b"", "upstream": b""}

    def feed(turn: list[tuple[Any, ...]]) -> None:
        for output in play.take(turn):
            if output[0] in sides:
                sides[output[0]] += output[1]
            if output == ("ask",):
                answer(play.question.text)

    def answer(text: bytes) -> None:
        verdict = refuse("DROP") if text.startswith(b"DROP") else allow(*["X"] * (text.count(b";") + 1))
        feed(play.conversation.answer(play.ticket, verdict))

    for piece in pieces(CLIENT, client_cuts):
        feed(play.conversation.client(piece))
    for piece in pieces(UPSTREAM, upstream_cuts):
        feed(play.conversation.upstream(piece))
    return sides["client"], sides["upstream"], play.entries, play.shown


WHOLE = play_through([], [])


def test_the_whole_conversation_is_what_it_should_be() -> None:
    shown, forwarded, entries, _ = WHOLE
    assert b"DROP TABLE" not in forwarded
    assert constant_parse(5, "") in forwarded or constant_parse(5) in forwarded
    assert [kind for kind, _ in pgwire.split(shown)] == list("TDDDCNTDDDCZ12nCEZHdcCZ")
    outcomes = [entry["effect"]["status"] for entry in entries if entry["event"] == "operation.outcome"]
    assert outcomes == ["done"] * 5


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 4000), max_size=12), st.lists(st.integers(0, 4000), max_size=12))
def test_any_split_gives_the_same_bytes_and_entries(client_cuts: list[int], upstream_cuts: list[int]) -> None:
    assert play_through(client_cuts, upstream_cuts) == WHOLE


def test_one_byte_at_a_time_gives_the_same() -> None:
    assert play_through(list(range(len(CLIENT))), list(range(len(UPSTREAM)))) == WHOLE


SELECT = pgwire.query("SELECT 1")
HELD = pgwire.parse("DELETE FROM t", "d")
BEHIND = pgwire.bind("d") + pgwire.execute() + pgwire.SYNC
ANSWER = RESULT + pgwire.message(b"N", b"SNOTICE\x00\x00") + RESULT + pgwire.complete("SELECT 6") + pgwire.READY


def hold_within(place: int, upstream_cuts: list[int], client_cuts: list[int]) -> tuple[bytes, bytes, list[Any], bytes]:
    """Hold a message when the answer to the one before it has come up to `place`; more comes behind it meanwhile."""
    play = logged_in()
    play.frames = b""
    shown, forwarded = b"", b""

    def feed(turn: list[tuple[Any, ...]]) -> None:
        nonlocal shown, forwarded
        for output in play.take(turn):
            shown += output[1] if output[0] == "client" else b""
            forwarded += output[1] if output[0] == "upstream" else b""

    feed(play.conversation.client(SELECT))
    feed(play.conversation.answer(play.ticket, allow("SELECT")))
    for piece in pieces(ANSWER[:place], upstream_cuts):
        feed(play.conversation.upstream(piece))
    feed(play.conversation.client(HELD))
    feed(play.conversation.hold(play.ticket, held("DELETE"), NOTICE))
    for piece in pieces(BEHIND, client_cuts):
        feed(play.conversation.client(piece))
    for piece in pieces(ANSWER[place:], upstream_cuts):
        feed(play.conversation.upstream(piece))
    feed(play.conversation.resume(play.ticket))
    for _ in range(2):  # the Parse, and the Bind behind it
        feed(play.conversation.answer(play.ticket, allow("DELETE")))
    return shown, forwarded, play.entries, play.shown


@settings(max_examples=300, deadline=None)
@given(
    st.integers(1, len(ANSWER) - 1),
    st.lists(st.integers(0, len(ANSWER)), max_size=12),
    st.lists(st.integers(0, len(BEHIND)), max_size=12),
)
def test_any_split_around_a_hold_gives_the_same_and_its_notice_cuts_no_message(
    place: int, upstream_cuts: list[int], client_cuts: list[int]
) -> None:
    whole = hold_within(place, [], [])
    assert hold_within(place, upstream_cuts, client_cuts) == whole
    assert sorted(kind for kind, _ in pgwire.split(whole[0])) == sorted("TDDDNTDDDCZN")
    assert whole[1] == SELECT + HELD + BEHIND


LOGIN = pgwire.startup(user="agent", database="shop") + pgwire.bearer("a.b.c") + pgwire.message(b"p", b"\x01")
WRONG = Refusal(sqlstate="28P01", message="no", detail="{}", hint="", code="authn.failed")


def log_in(cuts: list[int]) -> tuple[bytes, bytes, tuple[Any, ...]]:
    """Play a login by SASL that is refused; give the client's bytes, the token that was asked about, and the end."""
    play, shown, token, end = Play(insecure_plaintext=True, bearer=b"{}"), b"", b"", ("",)
    for piece in pieces(LOGIN, cuts):
        waiting = play.take(play.conversation.client(piece))
        while waiting:
            output, *waiting = waiting
            if output[0] == "client":
                shown += output[1]
            elif output == ("ask",):
                token = play.question.password()
                waiting += play.take(play.conversation.refuse(play.ticket, WRONG))
            else:
                end = output[:3]
    return shown, token, end


@given(st.lists(st.integers(0, len(LOGIN)), max_size=12))
def test_any_split_of_a_login_by_sasl_gives_the_same(cuts: list[int]) -> None:
    shown, token, end = log_in(cuts)
    assert (shown, token, end) == log_in([])
    assert [kind for kind, _ in pgwire.split(shown)] == list("RRE")
    assert token == b"a.b.c"
    assert end == ("end", "not admitted", "authn.failed")


@settings(max_examples=300, deadline=None)
@given(st.binary(min_size=1, max_size=200), st.binary(min_size=1, max_size=200))
def test_garbage_from_either_side_never_raises_and_never_reaches_the_upstream(client: bytes, upstream: bytes) -> None:
    play = logged_in()
    forwarded = b""
    for turn in (play.conversation.client(client), play.conversation.upstream(upstream)):
        for output in play.take(turn):
            forwarded += output[1] if output[0] == "upstream" else b""
    assert forwarded.removesuffix(pgwire.TERMINATE).replace(pgwire.SYNC, b"").replace(pgwire.FLUSH, b"") == b"" or all(
        kind in "SHCX" for kind, _ in pgwire.split(forwarded)
    )


def test_a_play_begins_where_a_login_ends() -> None:
    play = Play(insecure_plaintext=True)
    play.log_in()
    assert play.conversation.wants_client()
    assert play.conversation.wants_upstream()
