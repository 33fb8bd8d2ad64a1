# SPDX-License-Identifier: Apache-2.0
"""Playbooks of the first bytes: protocol versions, TLS without asking, cancel requests."""

from __future__ import annotations

import pytest
from support import pgwire
from support.play import Play, admission

SECRET = bytes(range(1, 33))
HANDSHAKE = b"\x16\x03\x01\x00\x05hello"
ALPN = "postgresql"


def negotiated(minor: int, *unknown: str) -> bytes:
    names = b"".join(pgwire.text(name) for name in unknown)
    body = b"\x00\x03" + minor.to_bytes(2, "big") + len(unknown).to_bytes(4, "big") + names
    return pgwire.message(b"v", body)


def greeting(minor: int) -> tuple[Play, bytes]:
    """Log in with a minor version; the play, and what the client is shown at the end of it."""
    play = Play(insecure_plaintext=True)
    play.take(play.conversation.client(pgwire.startup(minor, user="agent", database="shop")))
    play.client(pgwire.password("key"), ("ask",))
    play.take(play.conversation.admit(play.ticket, admission()))
    play.take(play.conversation.upstream_open())
    got = play.take(play.conversation.upstream(pgwire.AUTHENTICATED + pgwire.key_data(7, b"\x09" * 4) + pgwire.READY))
    registered = next(output for output in got if output[0] == "register")
    (key,) = [body for kind, body in pgwire.split(got[0][1]) if kind == "K"]
    assert registered[1] == key
    return play, key


@pytest.mark.parametrize("minor", [0, 1, 2])
def test_a_version_that_is_served_is_not_negotiated(minor: int) -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(minor, user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))


@pytest.mark.parametrize("minor", [3, 9999])
def test_a_newer_minor_version_is_negotiated_down(minor: int) -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(minor, user="agent", database="shop"), ("client", negotiated(2) + pgwire.ASK_PASSWORD))


def test_pg_18_an_unknown_protocol_option_is_named_and_dropped() -> None:
    play = Play(insecure_plaintext=True)
    packet = pgwire.startup(0, user="agent", database="shop", **{"_pq_.compress": "on"})
    play.client(packet, ("client", negotiated(0, "_pq_.compress") + pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    assert play.question.parameters == [("user", "agent"), ("database", "shop")]


def test_pg_20_the_process_id_is_the_servers_and_the_secret_is_the_gates() -> None:
    assert greeting(0)[1] == b"\x00\x00\x00\x07" + SECRET[:4]
    assert greeting(1)[1] == b"\x00\x00\x00\x07" + SECRET[:4]


def test_pg_20_from_version_3_2_on_the_secret_has_32_bytes() -> None:
    assert greeting(2)[1] == b"\x00\x00\x00\x07" + SECRET


@pytest.mark.parametrize("secret", [b"\x01\x02\x03\x04", SECRET])
def test_pg_20_a_cancel_request_is_entered_before_it_is_carried_out(secret: bytes) -> None:
    play = Play()
    key = b"\x00\x00\x00\x07" + secret
    play.client(pgwire.cancel(7, secret), ("cancel", 1, key))
    got = play.take(play.conversation.note(1))
    assert got[0] == ("signal", key)
    assert got[1][:2] == ("end", "cancel request")


def test_pg_20_a_cancel_request_that_the_desk_is_silent_on_comes_to_nothing() -> None:
    play = Play()
    play.client(pgwire.cancel(7, b"\x01\x02\x03\x04"), ("cancel", 1, b"\x00\x00\x00\x07\x01\x02\x03\x04"))
    got = play.take(play.conversation.silence(1))
    assert [output[:2] for output in got] == [("end", "cancel request")]


def test_a_cancel_request_inside_tls_is_one_too() -> None:
    play = Play()
    play.client(pgwire.SSL_REQUEST, ("client", b"S"), ("start_client_tls", b""))
    play.does(play.conversation.client_tls)
    play.client(pgwire.cancel(7, b"\x01\x02\x03\x04"), ("cancel", 1, b"\x00\x00\x00\x07\x01\x02\x03\x04"))


def test_nothing_behind_a_cancel_request_is_read() -> None:
    play = Play()
    packet = pgwire.cancel(7, b"\x01\x02\x03\x04")
    play.client(packet + packet, ("cancel", 1, b"\x00\x00\x00\x07\x01\x02\x03\x04"))
    assert not play.conversation.wants_client()
    got = play.take(play.conversation.note(1))
    assert [output[0] for output in got] == ["signal", "end"]


@pytest.mark.parametrize("length", [3, 257])
def test_pg_13_a_cancel_key_of_an_impossible_length_is_malformed(length: int) -> None:
    play = Play()
    got = play.take(play.conversation.client(pgwire.cancel(7, bytes(length))))
    assert got[-1][:2] == ("end", "protocol violation")


@pytest.mark.parametrize("cut", [1, 5, len(HANDSHAKE)])
def test_direct_tls_is_spoken_with_what_was_read_already(cut: int) -> None:
    play = Play()
    play.client(HANDSHAKE[:cut], ("start_client_tls", HANDSHAKE[:cut]))
    play.does(lambda: play.conversation.client_tls(alpn=ALPN))
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))


@pytest.mark.parametrize("alpn", ["", "http/1.1"])
def test_pg_16_direct_tls_without_the_protocols_name_is_refused(alpn: str) -> None:
    play = Play()
    play.client(HANDSHAKE, ("start_client_tls", HANDSHAKE))
    got = play.take(play.conversation.client_tls(alpn=alpn))
    ((kind, body),) = pgwire.split(got[0][1])
    assert (kind, pgwire.error_fields(body)["C"]) == ("E", "08P01")
    assert got[-2] == ("not_secured", "tls", "alpn")
    assert got[-1][:2] == ("end", "protocol violation")


def test_tls_that_was_asked_for_needs_no_name() -> None:
    play = Play()
    play.client(pgwire.SSL_REQUEST, ("client", b"S"), ("start_client_tls", b""))
    play.does(play.conversation.client_tls)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))


def test_pg_16_a_handshake_inside_tls_is_malformed() -> None:
    play = Play()
    play.client(HANDSHAKE, ("start_client_tls", HANDSHAKE))
    play.does(lambda: play.conversation.client_tls(alpn=ALPN))
    got = play.take(play.conversation.client(HANDSHAKE))
    assert [output[0] for output in got] == ["client", "end"]  # inside TLS it is no failed handshake
    assert got[-1][:2] == ("end", "protocol violation")


def test_where_tls_is_not_due_none_is_missed() -> None:
    play = Play(insecure_plaintext=True)
    got = play.take(play.conversation.client(b"GET / HTTP/1.1\r\n\r\n"))
    assert [output[0] for output in got] == ["client", "end"]


def test_a_client_that_leaves_without_a_word_is_no_failed_login() -> None:
    play = Play()
    got = play.take(play.conversation.client_closed())
    assert [output[:2] for output in got] == [("end", "client closed")]
