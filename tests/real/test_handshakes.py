# SPDX-License-Identifier: Apache-2.0
"""Logins that fail before anything is said inside TLS: each is in the book with its reason, and a flood is counted.

Each client has an address of its own, so that none has used up the room of another.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support import pgwire
from support.certificates import Maker
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

HTTP = b"GET / HTTP/1.1\r\nHost: \xff\x1b[31m\r\n\r\n"
_hosts = itertools.count(10)


@pytest.fixture(scope="module")
def place(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    make_database(server, "handshakes")
    made = make_place(tmp_path_factory.mktemp("handshakes") / "gate", server, "handshakes")
    made.gate.serve()
    yield made
    made.gate.stop()


class Stranger:
    """A client of an address of its own, which has shown nothing yet."""

    def __init__(self, place: Place) -> None:
        self.address = f"127.0.0.{next(_hosts)}"
        self.place = place

    def connect(self) -> socket.socket:
        gate = ("127.0.0.1", self.place.gate.port)
        return socket.create_connection(gate, timeout=20, source_address=(self.address, 0))

    def ask_for_tls(self) -> socket.socket:
        plain = self.connect()
        plain.sendall(pgwire.SSL_REQUEST)
        assert plain.recv(1) == b"S"
        return plain

    def told(self) -> list[dict[str, Any]]:
        return [one for one in self.place.entries("authn") if one["source"]["ip"] == self.address]

    def reason(self) -> str:
        """The reason of the one attempt, which failed at `tls`."""
        (attempt,) = eventually(self.told)
        assert (attempt["result"], attempt["failed"]) == ("refused", "tls")
        assert attempt["checks"] == [{"name": "tls", "passed": False}]
        assert sorted(attempt["source"]) == ["ip", "port"]
        return str(attempt["reason"])


def context(place: Place) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(place.gate.root))


def shake(plain: socket.socket, context: ssl.SSLContext) -> str:
    """Shake hands and fail; what the client's library says of it."""
    with plain, pytest.raises((ssl.SSLError, ConnectionError)) as failed:
        context.wrap_socket(plain, server_hostname="localhost").recv(1)
    return str(failed.value).lower()


def end(plain: socket.socket, *said: bytes) -> None:
    """Say something, and read until the gate closes."""
    with plain, suppress(ConnectionError):
        plain.sendall(b"".join(said))
        while plain.recv(4096):
            pass


def test_pg_16_a_client_of_old_tls_is_told_by_an_alert_and_the_book(place: Place) -> None:
    stranger, old = Stranger(place), context(place)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        old.minimum_version = ssl.TLSVersion.TLSv1
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    assert "alert handshake failure" in shake(stranger.ask_for_tls(), old)
    assert stranger.reason() == "version"


def test_pg_16_a_client_of_another_protocol_is_told_by_an_alert_and_the_book(place: Place) -> None:
    stranger, other = Stranger(place), context(place)
    other.set_alpn_protocols(["http/1.1"])
    assert "no application protocol" in shake(stranger.ask_for_tls(), other)
    assert stranger.reason() == "alpn"


def test_pg_16_direct_tls_without_the_protocols_name_is_in_the_book(place: Place) -> None:
    stranger = Stranger(place)
    with context(place).wrap_socket(stranger.connect(), server_hostname="localhost") as inside:
        assert inside.recv(1) == b"E"
    assert stranger.reason() == "alpn"


def test_a_client_that_does_not_trust_the_gate_is_in_the_book(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other.crt"
    other.write_bytes(Maker.root("another").pem)
    before = len(place.entries("authn"))
    done = place.through_with(sslrootcert=other).psql("-c", "SELECT 1")
    assert "certificate verify failed" in done.stderr
    (attempt,) = eventually(lambda: place.entries("authn")[before:])
    assert (attempt["result"], attempt["failed"], attempt["reason"]) == ("refused", "tls", "alert")


@pytest.mark.parametrize(
    ("fail", "reason"),
    [
        (lambda stranger: end(stranger.ask_for_tls(), HTTP), "malformed"),
        (lambda stranger: end(stranger.connect(), b"\x16", HTTP), "malformed"),
        (lambda stranger: stranger.ask_for_tls().close(), "closed"),
        (lambda stranger: end(stranger.connect(), HTTP), "plaintext"),
        (lambda stranger: end(stranger.connect(), pgwire.startup(user="helper", database="work")), "plaintext"),
    ],
    ids=["garbage in the handshake", "garbage as direct TLS", "closed", "garbage", "start-up"],
)
def test_pg_16_what_is_no_tls_is_a_failed_login(place: Place, fail: Callable[[Stranger], None], reason: str) -> None:
    stranger = Stranger(place)
    fail(stranger)
    assert stranger.reason() == reason


def test_pg_15_plaintext_behind_the_request_for_tls_is_in_the_book(place: Place) -> None:
    stranger = Stranger(place)
    end(stranger.connect(), pgwire.SSL_REQUEST, pgwire.startup(user="helper", database="work"))
    assert stranger.reason() in {"plaintext", "malformed"}  # as the network cuts it


def test_pg_39_a_client_that_is_silent_in_the_handshake_is_in_the_book(place: Place) -> None:
    stranger = Stranger(place)
    end(stranger.ask_for_tls())
    assert stranger.reason() == "timeout"


def test_a_connection_without_a_byte_is_no_login(place: Place) -> None:
    stranger = Stranger(place)
    for _ in range(3):
        stranger.connect().close()
    stranger.ask_for_tls().close()
    assert stranger.reason() == "closed"  # the one that said something
    time.sleep(0.2)
    assert len(stranger.told()) == 1


def test_au_07_a_flood_of_failed_handshakes_is_twenty_entries_and_a_count_and_slows_nobody(place: Place) -> None:
    stranger = Stranger(place)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: end(stranger.ask_for_tls(), HTTP), range(70)))
    began = time.monotonic()
    assert place.through.psql("-c", "SELECT 1").stdout == "1\n"
    assert time.monotonic() - began < 3
    counts = eventually(
        lambda: [one for one in place.entries("authn.counted") if one["source"]["ip"] == stranger.address], within_s=20
    )
    assert len(stranger.told()) == 20
    assert [(count["failures"], count["checks"]) for count in counts] == [(50, {"tls": 50})]
