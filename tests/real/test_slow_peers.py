# SPDX-License-Identifier: Apache-2.0
"""Peers that stop in the middle, on a real server: the memory of the gate stays bounded, and each end has a cause."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support import pgwire
from support.raw import RawClient
from support.servers import TARGET, Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

# LIMIT: what a session may add to the gate, by the reference: 256 KiB for each side, 4 MiB of recording, and slack
# for buffers that the allocator keeps.
MEMORY_KIB = 24 * 1024


@pytest.fixture(scope="module")
def slow(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    make_database(server, "slow")
    place = make_place(tmp_path_factory.mktemp("slow") / "gate", server, "slow")
    place.gate.set("gate", drain_s=1)
    place.gate.serve()
    yield place
    place.gate.stop()


def resident_kib(place: Place) -> int:
    assert place.gate.process is not None
    status = Path(f"/proc/{place.gate.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def forget_peak(place: Place) -> int:
    """Begin to measure the peak anew; what is resident now."""
    assert place.gate.process is not None
    Path(f"/proc/{place.gate.process.pid}/clear_refs").write_text("5")
    return resident_kib(place)


def logged_in(place: Place, receive_bytes: int = 0) -> RawClient:
    client = RawClient(place.gate.port, place.gate.root)
    if receive_bytes:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    return client.start_tls().log_in("helper", place.key.token, TARGET)


def is_stuck(place: Place) -> bool:
    """Whether the server waits for somebody to read."""
    return place.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'") == "1"


def cause_of(place: Place, session: object) -> object:
    return eventually(lambda: next(one["cause"] for one in place.gate.sessions() if one["session"] == session))


def test_pg_39_a_client_that_never_reads_a_gigabyte_costs_the_gate_some_megabytes(slow: Place) -> None:
    logged_in(slow).close()
    before = forget_peak(slow)
    with logged_in(slow, receive_bytes=4096) as client:
        session = slow.gate.sessions()[-1]["session"]
        client.send(pgwire.query("SELECT repeat('x', 100000) FROM generate_series(1, 10000)"))
        eventually(lambda: is_stuck(slow))
        with psycopg.connect(slow.through.dsn, autocommit=True) as other:  # nobody else is stuck with it
            assert other.execute("SELECT count(*) FROM generate_series(1, 100000)").fetchone() == (100_000,)
        assert is_stuck(slow)
        grown = resident_kib(slow) - before
    assert grown < MEMORY_KIB, f"{grown} KiB"
    print(f"a client that never reads: {grown} KiB more")
    assert cause_of(slow, session) == "client closed"
    eventually(lambda: not is_stuck(slow))


def test_pg_39_a_flush_that_never_ends_and_no_sync_cost_the_gate_some_megabytes(slow: Place) -> None:
    with logged_in(slow) as client:
        once = pgwire.parse("SELECT 1") + pgwire.bind() + pgwire.execute() + pgwire.FLUSH * 20
        client.send(once)
        before = forget_peak(slow)
        answers = 0
        for _ in range(50):
            client.send(once * 40)
            for _ in range(40 * 4):
                client.read_message()
                answers += 1
        grown = resident_kib(slow) - before
        assert answers == 8_000
        assert grown < MEMORY_KIB, f"{grown} KiB"


def test_pg_39_half_a_message_in_a_session_holds_nobody_up(slow: Place) -> None:
    with logged_in(slow) as client:
        client.send(pgwire.query("SELECT 1")[:9])
        assert slow.through.psql("-c", "SELECT 2").stdout == "2\n"
        client.send(pgwire.query("SELECT 1")[9:])
        assert client.read_until_ready()[1][1].endswith(b"1")


def test_pg_39_stopping_ends_whoever_never_reads_or_never_ends_and_says_why(slow: Place) -> None:
    stuck, sleeping, silent = logged_in(slow, receive_bytes=4096), logged_in(slow), logged_in(slow)
    sessions = [one["session"] for one in slow.gate.sessions()[-3:]]
    stuck.send(pgwire.query("SELECT repeat('x', 100000) FROM generate_series(1, 10000)"))
    sleeping.send(pgwire.query("SELECT pg_sleep(50)"))
    silent.send(pgwire.query("SELECT 1")[:9])
    eventually(lambda: is_stuck(slow))
    eventually(lambda: slow.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1")
    assert slow.gate.stop() == 0
    causes = {one["session"]: one["cause"] for one in slow.gate.sessions()}
    assert [causes[session] for session in sessions] == ["gate stopping"] * 3
    ended = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND datname = 'slow'"
    eventually(lambda: slow.ask(ended) == "0")
    report = slow.gate.ask("ledger", "verify")
    assert isinstance(report, dict)
    assert report["ok"] is True
    for client in (stuck, sleeping, silent):
        client.close()
    slow.gate.serve()
