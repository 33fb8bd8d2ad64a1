# SPDX-License-Identifier: Apache-2.0
"""libpq 18 through the gate: direct TLS, protocol 3.2 with long cancel keys; and cancel requests in the book."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from typing import Any

import psycopg
import pytest
from support import pgwire
from support.servers import Place, eventually

from gatebook.vault.journal import Faults, JournalReader

SLEEP = "SELECT pg_sleep(30)"


def cancels(place: Place) -> list[dict[str, Any]]:
    """Every `cancel` entry of the gate's journal, in order."""
    folder = place.gate.data / "journal" / "gatebook"
    leaves = [json.loads(record.leaf) for record in JournalReader(folder, Faults()).read()]
    return [leaf for leaf in leaves if leaf["event"] == "cancel"]


def test_direct_tls_saves_the_question(place: Place) -> None:
    with psycopg.connect(place.through_with(sslnegotiation="direct").dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def direct(place: Place, alpn: list[str]) -> bytes:
    """Speak TLS without asking, send a start-up packet, and return the first bytes of the answer."""
    context = ssl.create_default_context(cafile=str(place.gate.root))
    if alpn:
        context.set_alpn_protocols(alpn)
    with (
        socket.create_connection(("127.0.0.1", place.gate.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        secured.sendall(pgwire.startup(user="helper", database="work"))
        return secured.recv(4096)


def test_pg_16_direct_tls_needs_the_protocols_name(place: Place) -> None:
    assert direct(place, ["postgresql"]) == pgwire.ASK_PASSWORD
    assert direct(place, [])[:1] == b"E"
    with pytest.raises(ssl.SSLError, match=r"(?i)no application protocol"):
        direct(place, ["http/1.1"])


def test_protocol_3_2_is_spoken_with_who_asks_for_it(place: Place) -> None:
    way = place.through_with(min_protocol_version="3.2", max_protocol_version="3.2")
    with psycopg.connect(way.dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert connection.pgconn.full_protocol_version == 30002


def test_protocol_3_0_is_spoken_with_everybody_else(place: Place) -> None:
    with psycopg.connect(place.through_with(min_protocol_version="3.0").dsn) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_pg_20_the_process_id_is_the_servers_and_a_cancel_is_in_the_book(place: Place, version: str) -> None:
    before = len(cancels(place))
    way = place.through_with(min_protocol_version=version, max_protocol_version=version)
    with psycopg.connect(way.dsn, autocommit=True) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row == (connection.info.backend_pid,)
        threading.Timer(0.5, connection.cancel_safe).start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute(SLEEP)
        assert connection.execute("SELECT 1").fetchone() == (1,)
    (entry,) = eventually(lambda: cancels(place)[before:])
    assert entry["result"] == "sent"
    assert entry["session"].startswith("s_")


def test_pg_20_a_wrong_secret_and_a_foreign_process_cancel_nothing_and_are_in_the_book(place: Place) -> None:
    before = len(cancels(place))
    with (
        psycopg.connect(place.through.dsn, autocommit=True) as busy,
        psycopg.connect(place.through.dsn, autocommit=True) as other,
    ):
        running = threading.Thread(target=lambda: busy.execute("SELECT pg_sleep(1)"))
        running.start()
        for process, secret in ((busy.info.backend_pid, b"\0\0\0\0"), (other.info.backend_pid, bytes(32))):
            with socket.create_connection(("127.0.0.1", place.gate.port), timeout=10) as plain:
                plain.sendall(pgwire.cancel(process, secret))
                assert plain.recv(1) == b""  # no answer, as the protocol has it
        running.join(10)
        assert busy.execute("SELECT 1").fetchone() == (1,)
    told = eventually(lambda: cancels(place)[before + 1 :] and cancels(place)[before:])
    assert [entry["result"] for entry in told] == ["unknown", "unknown"]
    assert all("session" not in entry for entry in told)


def test_a_string_of_several_hosts_finds_the_gate_and_asks_what_it_is(place: Place) -> None:
    with socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))  # and does not listen
        ports = f"{dead.getsockname()[1]},{place.gate.port}"
        for attributes in ("any", "read-write", "primary", "prefer-standby"):
            way = place.through_with(host="localhost,localhost", port=ports, target_session_attrs=attributes)
            assert way.psql("-c", "SELECT 1").stdout == "1\n"
        standby = place.through_with(host="localhost,localhost", port=ports, target_session_attrs="standby")
        assert "server is not in hot standby mode" in standby.psql("-c", "SELECT 1").stderr


def test_options_of_libpq_reach_the_server(place: Place) -> None:
    way = place.through_with(
        options="'-c statement_timeout=12345 --work_mem=7MB'", application_name="here", client_encoding="UTF8"
    )
    shown = way.psql("-c", "SHOW statement_timeout", "-c", "SHOW work_mem", "-c", "SHOW application_name").stdout
    assert shown == "12345ms\n7MB\nhere\n"


def test_a_target_is_named_with_its_database_too(place: Place) -> None:
    assert place.through_with(dbname="work/work").psql("-c", "SELECT current_database()").stdout == "work\n"
    assert place.through_with(dbname="work/postgres").psql("-c", "SELECT 1").returncode == 2
