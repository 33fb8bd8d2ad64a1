# SPDX-License-Identifier: Apache-2.0
"""Playbooks of the login: TLS first, one password, nothing slipped in behind a request."""

from __future__ import annotations

import pytest
from support import pgwire
from support.play import Play, admission, logged_in

from gatebook.native.pure import Refusal


def error_codes(data: bytes) -> list[tuple[str, str]]:
    return [
        (fields["S"], fields["C"])
        for kind, body in pgwire.split(data)
        if kind == "E"
        for fields in [pgwire.error_fields(body)]
    ]


def test_asks_for_a_password_only_after_tls() -> None:
    play = Play()
    play.client(pgwire.SSL_REQUEST, ("client", b"S"), ("start_client_tls", b""))
    play.does(play.conversation.client_tls)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    assert play.question.parameters == [("user", "agent"), ("database", "shop")]
    assert play.question.password() == b"key"


def test_pg_16_plaintext_start_up_is_refused_before_any_password() -> None:
    play = Play()
    got = play.take(play.conversation.client(pgwire.startup(user="agent", database="shop")))
    assert error_codes(got[0][1]) == [("FATAL", "28000")]
    assert got[1] == ("not_secured", "tls", "plaintext")
    assert got[-1][0] == "end"
    assert b"R\x00\x00\x00\x08\x00\x00\x00\x03" not in got[0][1]


def test_pg_16_gssenc_is_answered_no_and_tls_may_follow() -> None:
    play = Play()
    play.client(pgwire.GSSENC_REQUEST, ("client", b"N"))
    play.client(pgwire.SSL_REQUEST, ("client", b"S"), ("start_client_tls", b""))


def test_pg_15_bytes_behind_the_tls_request_end_the_connection() -> None:
    play = Play()
    slipped = pgwire.SSL_REQUEST + pgwire.startup(user="agent", database="shop")
    got = play.take(play.conversation.client(slipped))
    assert [output[0] for output in got] == ["client", "not_secured", "end"]
    assert got[1] == ("not_secured", "tls", "plaintext")
    assert got[2][1] == "protocol violation"


def test_pg_15_bytes_behind_the_upstreams_tls_answer_end_the_login() -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    play.take(play.conversation.admit(play.ticket, admission(tls=("db.example", "full", b"", b"", b""))))
    play.does(play.conversation.upstream_open, ("upstream", pgwire.SSL_REQUEST))
    got = play.take(play.conversation.upstream(b"S" + pgwire.AUTHENTICATED))
    assert error_codes(got[0][1]) == [("FATAL", "08001")]
    assert got[-1][:2] == ("end", "upstream failed")


def test_upstream_tls_is_spoken_before_the_start_up() -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    play.take(play.conversation.admit(play.ticket, admission(tls=("db.example", "full", b"", b"", b""))))
    play.does(play.conversation.upstream_open, ("upstream", pgwire.SSL_REQUEST))
    play.upstream(b"S", ("start_upstream_tls", "db.example"))
    play.does(play.conversation.upstream_tls, ("upstream", pgwire.startup(user="shop_reader", database="shop")))


def test_a_target_without_tls_is_not_spoken_to_when_tls_is_demanded() -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    play.take(play.conversation.admit(play.ticket, admission(tls=("db.example", "full", b"", b"", b""))))
    play.does(play.conversation.upstream_open, ("upstream", pgwire.SSL_REQUEST))
    got = play.take(play.conversation.upstream(b"N"))
    assert error_codes(got[0][1]) == [("FATAL", "08001")]
    assert not any(output[0] == "upstream" for output in got)


def test_a_refused_login_is_told_and_nothing_is_dialled() -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("wrong"), ("ask",))
    refusal = Refusal(sqlstate="28P01", message="no", detail="{}", hint="", code="authn.failed")
    got = play.take(play.conversation.refuse(play.ticket, refusal))
    assert error_codes(got[0][1]) == [("FATAL", "28P01")]
    assert [output[0] for output in got] == ["client", "end"]


BEARER = b'{"status":"invalid_token"}'
CHALLENGE = pgwire.message(b"R", b"\x00\x00\x00\x0b" + BEARER)
WRONG = Refusal(sqlstate="28P01", message="no", detail="{}", hint="", code="authn.failed")


def asked_for_a_token() -> Play:
    play = Play(insecure_plaintext=True, bearer=BEARER)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.OFFER_BEARER))
    return play


def test_a_token_by_sasl_is_what_a_password_would_be() -> None:
    play = asked_for_a_token()
    play.client(pgwire.bearer("a.b.c"), ("ask",))
    assert play.question.password() == b"a.b.c"
    assert play.question.parameters == [("user", "agent"), ("database", "shop")]
    play.take(play.conversation.admit(play.ticket, admission()))
    play.take(play.conversation.upstream_open())
    got = play.take(play.conversation.upstream(pgwire.AUTHENTICATED + pgwire.key_data(7, b"abcd") + pgwire.READY))
    assert got[0][1].startswith(pgwire.AUTHENTICATED)  # and no SASLFinal before it


def test_a_token_is_offered_to_be_shown_inside_tls_only() -> None:
    play = Play(bearer=BEARER)
    got = play.take(play.conversation.client(pgwire.startup(user="agent", database="shop")))
    assert error_codes(got[0][1]) == [("FATAL", "28000")]
    assert b"OAUTHBEARER" not in got[0][1]


def test_a_refused_token_is_answered_by_a_challenge_and_then_the_error() -> None:
    play = asked_for_a_token()
    play.client(pgwire.bearer("a.b.c"), ("ask",))
    play.does(lambda: play.conversation.refuse(play.ticket, WRONG), ("client", CHALLENGE))
    got = play.take(play.conversation.client(pgwire.message(b"p", b"\x01")))
    assert error_codes(got[0][1]) == [("FATAL", "28P01")]
    assert got[1][:3] == ("end", "not admitted", "authn.failed")


def test_a_client_without_a_token_is_told_where_one_can_be_had_and_the_desk_is_not_asked() -> None:
    play = asked_for_a_token()
    play.client(pgwire.sasl_initial(b"n,,\x01auth=\x01\x01"), ("client", CHALLENGE))
    got = play.take(play.conversation.client(pgwire.message(b"p", b"\x01")))
    assert error_codes(got[0][1]) == [("FATAL", "28P01")]
    assert got[1][:3] == ("end", "not admitted", "discovery")


def test_a_client_that_waits_for_an_empty_challenge_gets_one() -> None:
    play = asked_for_a_token()
    play.client(pgwire.sasl_initial(None), ("client", pgwire.message(b"R", b"\x00\x00\x00\x0b")))
    play.client(pgwire.message(b"p", b"n,,\x01auth=Bearer a.b.c\x01\x01"), ("ask",))
    assert play.question.password() == b"a.b.c"


def test_an_identity_that_may_not_come_in_is_told_so_without_a_challenge() -> None:
    play = asked_for_a_token()
    play.client(pgwire.bearer("a.b.c"), ("ask",))
    refusal = Refusal(sqlstate="28000", message="no", detail="{}", hint="", code="admit.denied")
    got = play.take(play.conversation.refuse(play.ticket, refusal))
    assert error_codes(got[0][1]) == [("FATAL", "28000")]
    assert [output[0] for output in got] == ["client", "end"]


def test_what_a_client_sent_ahead_of_the_challenge_is_its_answer() -> None:
    play = asked_for_a_token()
    play.client(pgwire.bearer("a.b.c") + pgwire.message(b"p", b"\x01"), ("ask",))
    got = play.take(play.conversation.refuse(play.ticket, WRONG))
    assert got[0][1].startswith(CHALLENGE)
    assert error_codes(got[0][1][len(CHALLENGE) :]) == [("FATAL", "28P01")]


@pytest.mark.parametrize(
    "message",
    [
        pgwire.password("key"),
        pgwire.sasl_initial(b"n,,\x01auth=Bearer a\x01\x01", "SCRAM-SHA-256"),
        pgwire.sasl_initial(b"p=tls-exporter,,\x01auth=Bearer a\x01\x01"),
        pgwire.sasl_initial(b"n,a=admin,\x01auth=Bearer a\x01\x01"),
        pgwire.sasl_initial(b"n,,\x01auth=Bearer a"),
        pgwire.sasl_initial(b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01"),
        pgwire.query("SELECT 1"),
        b"p\x00\x00\x00\x03",
        b"p\x7f\xff\xff\xff",
    ],
)
def test_pg_13_a_malformed_sasl_response_ends_the_connection(message: bytes) -> None:
    play = asked_for_a_token()
    got = play.take(play.conversation.client(message))
    assert error_codes(got[0][1]) == [("FATAL", "08P01")]
    assert got[1][:2] == ("end", "protocol violation")
    assert len(got) == 2


def test_pg_13_another_answer_to_the_challenge_ends_the_connection() -> None:
    play = asked_for_a_token()
    play.client(pgwire.sasl_initial(b"n,,\x01auth=\x01\x01"), ("client", CHALLENGE))
    got = play.take(play.conversation.client(pgwire.message(b"p", b"n,,\x01auth=Bearer a\x01\x01")))
    assert error_codes(got[0][1]) == [("FATAL", "08P01")]


def test_a_silent_desk_admits_nobody() -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    got = play.take(play.conversation.silence(play.ticket))
    assert error_codes(got[0][1]) == [("FATAL", "42501")]
    assert got[-1][:2] == ("end", "desk silent")


def test_a_session_starts_in_the_book_with_what_the_server_said() -> None:
    play = logged_in()
    (start,) = play.events("session.start")
    assert start["seq"] == 0
    assert start["upstream"] == {"address": "127.0.0.1:5432", "process": 7, "server": "15.18"}
    assert start["parameters"] == {"database": "shop"}


def test_an_upstream_that_refuses_the_gate_is_not_named_to_the_client() -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    play.take(play.conversation.admit(play.ticket, admission()))
    play.take(play.conversation.upstream_open())
    words = 'password authentication failed for user "shop_reader"'
    got = play.take(play.conversation.upstream(pgwire.error("28P01", words, "FATAL")))
    assert b"shop_reader" not in got[0][1]
    assert error_codes(got[0][1]) == [("FATAL", "08001")]
    assert [entry["event"] for entry in play.entries] == ["session.start", "session.end"]


def test_a_missing_database_is_told_in_the_servers_words() -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(user="agent", database="nope"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    play.take(play.conversation.admit(play.ticket, admission()))
    play.take(play.conversation.upstream_open())
    theirs = pgwire.error("3D000", 'database "nope" does not exist', "FATAL")
    got = play.take(play.conversation.upstream(theirs))
    assert got[0] == ("client", theirs)


@pytest.mark.parametrize(
    "packet",
    [
        b"\x00\x00\x00\x03",
        b"\x00\x00\x00\x07\x00\x03\x00",
        b"\xff\xff\xff\xff\x00\x03\x00\x00",
        b"\x00\x00\x27\x11\x00\x03\x00\x00",
        pgwire.startup(user="agent")[:-1] + b"x\x00",
        b"\x00\x00\x00\x08\x00\x02\x00\x00",
        b"\x00\x00\x00\x0c" + pgwire.SSL_REQUEST[4:] + b"junk",
        b"\x00\x00\x00\x0e" + pgwire.cancel(1, b"ab")[4:],
        b"GET / HTTP/1.1\r\nHost: gate\r\n\r\n",
        bytes(64),
    ],
)
def test_pg_13_garbage_before_the_login_is_told_so_and_ends(packet: bytes) -> None:
    play = Play()
    got = play.take(play.conversation.client(packet))
    assert [output[0] for output in got] == ["client", "not_secured", "end"]
    assert got[1] == ("not_secured", "tls", "plaintext")
    assert [severity for severity, _ in error_codes(got[0][1])] == ["FATAL"]


def test_pg_17_a_parameter_given_twice_is_malformed() -> None:
    play = Play(insecure_plaintext=True)
    body = b"\x00\x03\x00\x00" + b"user\x00a\x00user\x00b\x00\x00"
    packet = (len(body) + 4).to_bytes(4, "big") + body
    got = play.take(play.conversation.client(packet))
    assert error_codes(got[0][1]) == [("FATAL", "08P01")]


def test_a_signalled_session_sends_the_upstreams_own_key() -> None:
    play = logged_in()
    play.does(play.conversation.signal, ("errand", pgwire.cancel(7, b"\x09\x09\x09\x09")))


def test_a_login_that_takes_too_long_ends() -> None:
    play = Play()
    play.client(pgwire.SSL_REQUEST, ("client", b"S"), ("start_client_tls", b""))
    play.does(play.conversation.client_tls)
    got = play.take(play.conversation.tick(60_000_000))
    assert got[-1][:2] == ("end", "login too slow")


CERTIFICATES = [b"leaf", b"intermediate"]


def showing(play: Play | None = None) -> Play:
    """A client that showed certificates in the handshake, behind its start-up message."""
    play = play or Play()
    play.client(pgwire.SSL_REQUEST, ("client", b"S"), ("start_client_tls", b""))
    play.does(lambda: play.conversation.client_tls(certificates=CERTIFICATES))
    play.client(pgwire.startup(user="agent", database="shop"), ("ask",))
    return play


def test_a_client_that_showed_a_certificate_is_asked_for_no_password() -> None:
    play = showing()
    assert play.question.certificates == CERTIFICATES
    assert play.question.password() == b""
    assert play.question.parameters == [("user", "agent"), ("database", "shop")]
    play.does(
        lambda: play.conversation.admit(play.ticket, admission()),
        ("open_recording", "s_play"),
        ("dial", "127.0.0.1", 5432),
    )
    play.take(play.conversation.upstream_open())
    got = play.take(play.conversation.upstream(pgwire.AUTHENTICATED + pgwire.key_data(7, b"\x09" * 4) + pgwire.READY))
    assert got[0][1].startswith(pgwire.AUTHENTICATED)


def test_a_client_that_showed_none_is_asked_for_its_password() -> None:
    play = Play()
    play.client(pgwire.SSL_REQUEST, ("client", b"S"), ("start_client_tls", b""))
    play.does(lambda: play.conversation.client_tls(certificates=[]))
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    assert play.question.certificates == []


def test_plaintext_shows_no_certificate() -> None:
    play = Play(insecure_plaintext=True)
    play.client(pgwire.startup(user="agent", database="shop"), ("client", pgwire.ASK_PASSWORD))
    play.client(pgwire.password("key"), ("ask",))
    assert play.question.certificates == []


def test_a_password_beside_a_certificate_is_not_read_and_ends_the_session() -> None:
    play = showing()
    play.client(pgwire.password("key"))
    assert not play.conversation.wants_client()
    play.take(play.conversation.admit(play.ticket, admission()))
    play.take(play.conversation.upstream_open())
    got = play.take(play.conversation.upstream(pgwire.AUTHENTICATED + pgwire.key_data(7, b"\x09" * 4) + pgwire.READY))
    assert got[-1][:2] == ("end", "protocol violation")


def test_a_refused_certificate_is_told_as_an_error_also_where_others_speak_sasl() -> None:
    refusal = Refusal(sqlstate="28000", message="no", detail="{}", hint="", code="authn.failed")
    for play in (showing(), showing(Play(bearer=BEARER))):
        got = play.take(play.conversation.refuse(play.ticket, refusal))
        assert [kind for kind, _ in pgwire.split(got[0][1])] == ["E"]
        assert got[-1][0] == "end"


def test_a_newer_version_is_negotiated_before_the_desk_is_asked() -> None:
    play = Play()
    play.client(pgwire.SSL_REQUEST, ("client", b"S"), ("start_client_tls", b""))
    play.does(lambda: play.conversation.client_tls(certificates=CERTIFICATES))
    got = play.take(play.conversation.client(pgwire.startup(3, user="agent", database="shop")))
    assert [output[0] for output in got] == ["client", "ask"]
    assert [kind for kind, _ in pgwire.split(got[0][1])] == ["v"]
