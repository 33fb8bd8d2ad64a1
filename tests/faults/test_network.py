# SPDX-License-Identifier: Apache-2.0
"""A network that delays, stalls, drops and cuts on both sides of the gate, and a server that restarts, all under load.

Whatever it does: no statement is executed without its intent, no answer is wrong, nothing hangs, every session's end
has a cause, and the book verifies.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import psycopg
import pytest
from support.bad_network import BadNetwork, bad_network
from support.marks import SCRIPT, TABLE, executed, intended
from support.servers import TARGET, Place, Way, eventually, make_database, target_of
from throwaway_gate import make_gate
from throwaway_postgres import Postgres, throwaway_postgres

# Connections that are lost before a network gets better.
CUTS = 40
# LIMIT: what a statement may take when the network stalls; beyond, something hangs.
HANG_S = 20.0


class Load:
    """Clients of two kinds that go on however often they lose the connection, and check every answer."""

    def __init__(self, place: Place, way: Way, folder: Path) -> None:
        self._place, self._way = place, way
        self._script = folder / "marks.sql"
        self._script.write_text(SCRIPT)
        self.wrong: list[str] = []
        self.hung: list[str] = []
        self.lost = self.answered = 0
        self.slowest = 0.0
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(3)]
        self._threads += [threading.Thread(target=self._bench, args=(mode,)) for mode in ("simple", "prepared")]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(HANG_S + 30)
        assert not any(thread.is_alive() for thread in self._threads), "a client hangs"

    def _ask(self, number: int) -> None:
        counted = itertools.count(number * 1_000_000)
        while not self._over.is_set():
            with suppress(psycopg.OperationalError), psycopg.connect(self._way.dsn, connect_timeout=10) as connection:
                connection.autocommit = True
                while not self._over.is_set():
                    self._check(connection, next(counted))
            self.lost += 1

    def _check(self, connection: psycopg.Connection[tuple[object, ...]], value: int) -> None:
        began = time.monotonic()
        got = connection.execute("SELECT %s::bigint * 2, repeat('x', %s::int)", (value, value % 3_000)).fetchone()
        self.slowest = max(self.slowest, time.monotonic() - began)
        self.answered += 1
        if got != (value * 2, "x" * (value % 3_000)):
            self.wrong.append(f"{value}: {got}"[:200])
        if value % 5 == 0:
            connection.execute(f"INSERT INTO marks VALUES ({value + 10})")

    def _bench(self, mode: str) -> None:
        seed = 0
        while not self._over.is_set():
            seed += 1
            words = ["-n", "-c", "2", "-T", "3", "-M", mode, "-f", str(self._script), f"--random-seed={seed}"]
            process = subprocess.Popen(
                [self._place.server.programs.client("pgbench"), *words, self._way.conninfo],
                env=self._way.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                process.wait(HANG_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                self.hung.append(f"pgbench -M {mode}, seed {seed}")


def make_place_behind(folder: Path, server: Postgres, database: str, port: int) -> Place:
    """A gate that reaches its server by another port."""
    gate = make_gate(folder, replace(target_of(server, database), port=port))
    return Place(server, gate, gate.create_key("helper"), database)


def way_by(place: Place, port: int) -> Way:
    return Way(place.server, place.gate.conninfo(place.key, TARGET, port=port), place.key.token)


def check_the_book(place: Place) -> None:
    """Once everybody is gone: intents, causes, and the whole of it."""
    eventually(lambda: all(session["ended"] for session in place.gate.sessions()), HANG_S)
    assert executed(place) - intended(place) == set()
    assert place.gate.stop() == 0
    assert [session["session"] for session in place.gate.sessions() if not session["cause"]] == []
    report = place.gate.ask("ledger", "verify", check=False)
    assert isinstance(report, dict)
    assert (report["findings"], report["ok"]) == ([], True)


@pytest.fixture
def networks(server: Postgres, folder: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Place, BadNetwork, Way]]:
    """A gate with a bad network on one side: `client` or `upstream`."""
    side, seed = request.param
    database = f"network_{side}_{seed}"
    make_database(server, database)
    if side == "upstream":
        with bad_network(server.port, seed) as network:
            network.calm.set()
            place = make_place_behind(folder, server, database, network.port)
            place.ask(TABLE)
            place.gate.serve()
            yield place, network, place.through
            place.gate.stop()
        return
    place = make_place_behind(folder, server, database, server.port)
    place.ask(TABLE)
    place.gate.serve()
    with bad_network(place.gate.port, seed) as network:
        yield place, network, way_by(place, network.port)
    place.gate.stop()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("networks", [("client", 1), ("upstream", 2)], ids=["client", "upstream"], indirect=True)
def test_a_bad_network_loses_connections_and_nothing_else(
    networks: tuple[Place, BadNetwork, Way], tmp_path: Path
) -> None:
    place, network, way = networks
    with Load(place, way, tmp_path) as load:
        network.calm.clear()
        eventually(lambda: network.did["cut"] + network.did["reset"] >= CUTS and load.answered > 50, 60)
        network.calm.set()
        answered = load.answered
        eventually(lambda: load.answered > answered + 20, 20)  # it recovers by itself
    print(dict(network.did), load.answered, "answered", load.lost, "lost", f"{load.slowest:.1f} s at the most")
    assert (load.wrong, load.hung) == ([], [])
    assert load.slowest < HANG_S
    check_the_book(place)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_server_that_restarts_under_load_loses_connections_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    with throwaway_postgres(tls=True) as server:
        make_database(server)
        place = make_place_behind(folder, server, "work", server.port)
        place.ask(TABLE)
        place.gate.serve()
        with Load(place, place.through, tmp_path) as load:
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGINT):
                answered = load.answered
                eventually(lambda: load.answered > answered + 100, 30)  # noqa: B023  asked in this round only
                server.stop(number)
                server.start()
            answered = load.answered
            eventually(lambda: load.answered > answered + 100, 30)
        print(load.answered, "answered", load.lost, "lost", f"{load.slowest:.1f} s at the most")
        assert (load.wrong, load.hung) == ([], [])
        assert load.lost >= 9
        check_the_book(place)
        place.gate.stop()
