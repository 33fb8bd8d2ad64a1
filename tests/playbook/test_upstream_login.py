# SPDX-License-Identifier: Apache-2.0
"""Playbooks of the gate's own login: what it answers a server that asks for a password in whichever way."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from support import pgwire
from support.play import Play, admission

NONCE = "abcdefghijklmnopqrstuvwx"
VERIFIED = ("db.example", "full", b"", b"", b"")
CLEARTEXT = pgwire.message(b"R", b"\x00\x00\x00\x03")
MD5 = pgwire.message(b"R", b"\x00\x00\x00\x05salt")
END_POINT = hashlib.sha256(b"certificate").digest()


def sasl(*mechanisms: str) -> bytes:
    return pgwire.message(b"R", b"\x00\x00\x00\x0a" + b"".join(pgwire.text(name) for name in mechanisms) + b"\x00")


def started(tls: tuple[Any, ...] | None = None, end_point: bytes | None = None, **changes: Any) -> Play:  # noqa: ANN401  the admission's own arguments
    """A play in which the gate has sent its start-up message."""
    play = Play(insecure_plaintext=True)
    play.take(play.conversation.client(pgwire.startup(user="agent", database="shop")))
    play.client(pgwire.password("key"), ("ask",))
    play.take(play.conversation.admit(play.ticket, admission(tls=tls, **{"password": b"secret", **changes})))
    play.take(play.conversation.upstream_open())
    if tls is not None:
        play.upstream(b"S", ("start_upstream_tls", "db.example"))
        play.take(play.conversation.upstream_tls(end_point=end_point))
    return play


def failure(play: Play, message: bytes) -> str:
    """The words of a failed login; nothing is sent to the server, and the client learns nothing of them."""
    got = play.take(play.conversation.upstream(message))
    assert not any(output[0] == "upstream" for output in got)
    assert b"secret" not in got[0][1]
    assert got[-1][:2] == ("end", "upstream failed")
    return str(got[-1][2])


def test_a_client_that_leaves_before_the_target_answers_has_a_session_that_began_and_ended() -> None:
    play = started()
    got = play.take(play.conversation.client_closed())
    assert got[-1][:2] == ("end", "client closed")
    (begun,), (over,) = play.events("session.start"), play.events("session.end")
    assert (begun["seq"], over["seq"]) == (0, 1)


def test_a_cleartext_password_is_given_inside_tls_that_is_verified_by_name() -> None:
    play = started(VERIFIED)
    play.upstream(CLEARTEXT, ("upstream", pgwire.password("secret")))
    got = play.take(play.conversation.upstream(pgwire.AUTHENTICATED + pgwire.key_data(7, b"abcd") + pgwire.READY))
    assert got[0][1].startswith(pgwire.AUTHENTICATED)


@pytest.mark.parametrize(
    "tls", [None, ("db.example", "chain", *VERIFIED[2:]), ("db.example", "insecure_none", *VERIFIED[2:])]
)
def test_a_cleartext_password_is_given_nowhere_else(tls: tuple[Any, ...] | None) -> None:
    assert "verified by name" in failure(started(tls), CLEARTEXT)


def test_an_md5_password_is_answered_where_the_target_is_set_so() -> None:
    inner = hashlib.md5(b"secretshop_reader").hexdigest()
    outer = hashlib.md5(inner.encode() + b"salt").hexdigest()
    play = started(insecure_md5=True)
    play.upstream(MD5, ("upstream", pgwire.password("md5" + outer)))


def test_an_md5_password_is_not_answered_otherwise() -> None:
    assert "insecure_md5" in failure(started(VERIFIED), MD5)


def test_a_salt_of_another_length_is_not_answered() -> None:
    assert "four bytes" in failure(started(insecure_md5=True), pgwire.message(b"R", b"\x00\x00\x00\x05sal"))


@pytest.mark.parametrize("message", [CLEARTEXT, MD5, sasl("SCRAM-SHA-256")])
def test_a_role_without_password_answers_no_question_for_one(message: bytes) -> None:
    assert "the role has none" in failure(started(VERIFIED, password=b"", insecure_md5=True), message)


def test_a_server_that_asks_twice_gets_one_answer() -> None:
    play = started(VERIFIED)
    play.upstream(CLEARTEXT, ("upstream", pgwire.password("secret")))
    assert "does not speak" in failure(play, CLEARTEXT)


def first_message(mechanism: str, header: str) -> bytes:
    return pgwire.sasl_initial(f"{header}n=,r={NONCE}".encode(), mechanism)


def test_scram_is_bound_to_the_servers_certificate_where_the_server_offers_it() -> None:
    play = started(VERIFIED, END_POINT)
    expected = first_message("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,")
    play.upstream(sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"), ("upstream", expected))
    server = b"\x00\x00\x00\x0br=" + NONCE.encode() + b"xyz,s=c2FsdHNhbHQ=,i=4096"
    got = play.take(play.conversation.upstream(pgwire.message(b"R", server)))
    bound = base64.b64encode(b"p=tls-server-end-point,," + END_POINT)
    assert got[0][1][5:].startswith(b"c=" + bound + b",r=" + NONCE.encode() + b"xyz,p=")


def test_scram_says_that_it_could_be_bound_where_the_server_does_not_offer_it() -> None:
    play = started(VERIFIED, END_POINT)
    play.upstream(sasl("SCRAM-SHA-256"), ("upstream", first_message("SCRAM-SHA-256", "y,,")))


@pytest.mark.parametrize("tls", [None, VERIFIED])
def test_scram_is_not_bound_where_there_is_nothing_to_bind_it_to(tls: tuple[Any, ...] | None) -> None:
    play = started(tls)
    offer = sasl("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
    play.upstream(offer, ("upstream", first_message("SCRAM-SHA-256", "n,,")))


def test_a_server_that_offers_only_what_cannot_be_had_is_refused() -> None:
    assert "offers no SCRAM-SHA-256" in failure(started(), sasl("SCRAM-SHA-256-PLUS"))
    assert "offers no SCRAM-SHA-256" in failure(started(), sasl("SCRAM-SHA-1"))
