# SPDX-License-Identifier: Apache-2.0
"""Every state that a conversation can be in when a client speaks, each made from its first byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gatebook.native.pure import Refusal
from support import pgwire
from support.play import Play, admission, allow, logged_in, refuse

COPYING = pgwire.message(b"G", b"\x00\x00\x01\x00\x00")
NO_ENTRY = Refusal(sqlstate="28P01", message="no", detail="{}", hint="", code="authn.failed")


def before_start_up() -> Play:
    return Play(insecure_plaintext=True)


def inside_tls() -> Play:
    play = Play()
    play.client(pgwire.SSL_REQUEST, ("client", b"S"), ("start_client_tls", b""))
    play.does(play.conversation.client_tls)
    return play


def awaiting_password() -> Play:
    play = before_start_up()
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    return play


def awaiting_token() -> Play:
    play = Play(insecure_plaintext=True, bearer=b"{}")
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.OFFER_BEARER))
    return play


def challenged() -> Play:
    play = awaiting_token()
    play.client(pgwire.bearer("a.b.c"), ("ask",))
    play.take(play.conversation.refuse(play.ticket, NO_ENTRY))
    return play


def admitting() -> Play:
    play = awaiting_password()
    play.client(pgwire.password("key"), ("ask",))
    return play


def logging_in() -> Play:
    play = admitting()
    play.take(play.conversation.admit(play.ticket, admission()))
    play.take(play.conversation.upstream_open())
    return play


def idle() -> Play:
    return logged_in()


def running() -> Play:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1")))
    return play


def open_group() -> Play:
    play = logged_in()
    play.client(pgwire.parse("SELECT 1"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.parse("SELECT 1")))
    return play


def answered_group() -> Play:
    play = open_group()
    play.upstream(pgwire.PARSED, ("client", pgwire.PARSED))
    return play


def refused_group() -> Play:
    """The gate refused by itself: it skips to the Sync, the server knows of nothing."""
    play = logged_in()
    play.client(pgwire.parse("DROP TABLE t"), ("ask",))
    play.take(play.conversation.answer(play.ticket, refuse("DROP TABLE")))
    return play


def failed_group() -> Play:
    """The server failed: it skips to the Sync, and the gate with it."""
    play = answered_group()
    error = pgwire.error("22012", "division by zero")
    play.client(pgwire.describe("P"), ("upstream", pgwire.describe("P")))
    play.upstream(error, ("client", error))
    return play


def copy_in() -> Play:
    play = logged_in()
    play.client(pgwire.query("COPY t FROM STDIN"), ("ask",))
    play.answer(allow("COPY"), ("upstream", pgwire.query("COPY t FROM STDIN")))
    play.upstream(COPYING, ("client", COPYING))
    return play


def in_block() -> Play:
    play = logged_in()
    play.client(pgwire.query("BEGIN"), ("ask",))
    play.answer(allow("BEGIN"), ("upstream", pgwire.query("BEGIN")))
    begun = pgwire.complete("BEGIN") + pgwire.READY_IN_BLOCK
    play.upstream(begun, ("client", begun))
    return play


def failed_block() -> Play:
    play = in_block()
    play.client(pgwire.query("SELECT 1/0"), ("ask",))
    play.answer(allow("SELECT"), ("upstream", pgwire.query("SELECT 1/0")))
    failed = pgwire.error("22012", "division by zero") + pgwire.READY_FAILED
    play.upstream(failed, ("client", failed))
    return play


def question_open() -> Play:
    play = logged_in()
    play.client(pgwire.query("SELECT 1"), ("ask",))
    return play


State = Callable[[], Play]
BEFORE: tuple[State, ...] = (
    before_start_up,
    inside_tls,
    awaiting_password,
    awaiting_token,
    challenged,
    admitting,
    logging_in,
)
WITHIN: tuple[State, ...] = (
    idle,
    running,
    open_group,
    answered_group,
    refused_group,
    failed_group,
    copy_in,
    in_block,
    failed_block,
    question_open,
)


def forwarded(turn: list[tuple[Any, ...]]) -> bytes:
    """The bytes of a turn that go upstream."""
    return b"".join(output[1] for output in turn if output[0] == "upstream")
