# SPDX-License-Identifier: Apache-2.0
"""The account of a real gate: what is open because it lives, what a kill left, and what somebody removed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres


@pytest.fixture
def place(server: Postgres, folder: Path) -> Iterator[Place]:
    name = f"report_{os.getpid()}_{abs(hash(folder)) % 10**8}"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.set("evidence", heartbeat_s=1)
    place.gate.serve()
    eventually((place.gate.data / "ledger" / "checkpoint").exists)
    yield place
    place.gate.stop()


def report(place: Place) -> dict[str, Any]:
    return cast("dict[str, Any]", place.gate.ask("ledger", "report", check=False))


def reported(place: Place, holds: Callable[[dict[str, Any]], bool], within_s: float = 10) -> dict[str, Any]:
    """Ask for reports until one is as it is waited for."""
    return eventually(lambda: told if holds(told := report(place)) else {}, within_s)


def counts(told: dict[str, Any], writer: str = "gatebook") -> dict[str, int]:
    (found,) = (one for one in told["writers"] if one["writer"] == writer)
    return cast("dict[str, int]", found["counts"])


def names(told: dict[str, Any], kind: str = "findings") -> set[str]:
    return {one["name"] for one in told[kind]}


def test_a_day_in_the_life_of_a_gate_is_accounted_for(place: Place) -> None:
    place.through.psql("-c", "SELECT 1", "-c", "SELECT nothing")
    eventually(lambda: counts(report(place))["heartbeats"] >= 2)
    with psycopg.connect(place.through.dsn, autocommit=True) as connection:
        connection.execute("SELECT 1")
        told = reported(place, lambda told: counts(told)["sessions_open"] == 1)
        assert (told["ok"], told["findings"]) == (True, [])
        assert counts(told)["sessions_ended"] == 1
    place.gate.stop()
    told = report(place)
    assert (told["ok"], told["findings"], told["accounted"]) == (True, [], [])
    seen = counts(told)
    assert (seen["starts"], seen["stops"], seen["sessions_opened"], seen["sessions_ended"]) == (1, 1, 2, 2)
    assert (seen["sessions_open"], seen["recordings_sealed"], seen["recordings_open"]) == (0, 2, 0)
    assert seen["operations_intended"] == seen["outcomes"] >= 3
    assert seen["logins_accepted"] == 2
    assert (counts(told, "notary")["starts"], counts(told, "notary")["stops"]) == (1, 1)
    assert told["ledger"]["not_sealed"] == 0


def test_a_killed_gate_is_a_gap_until_it_comes_back_and_says_so(place: Place) -> None:
    connection = psycopg.connect(place.through.dsn, autocommit=True)
    connection.execute("SELECT 1")
    running = place.through.start_psql("-c", "SELECT pg_sleep(30)")
    eventually(lambda: counts(report(place))["operations_open"] == 1)
    assert report(place)["ok"]
    place.gate.stop(signal.SIGKILL)
    connection.close()
    running.kill()
    running.communicate()
    told = report(place)
    assert not told["ok"]
    assert {"session_without_end", "intent_without_outcome", "run_without_stop"} <= names(told)
    assert counts(told)["sessions_without_end"] == 2
    place.gate.serve()
    told = reported(place, lambda told: not names(told))
    assert told["ok"]
    assert {"session_lost", "intent_without_outcome", "run_without_stop"} <= names(told, "accounted")
    seen = counts(told)
    assert (seen["starts"], seen["stops"], seen["runs_without_stop"], seen["sessions_lost"]) == (2, 0, 1, 2)
    assert seen["operations_without_outcome"] >= 1
    assert (seen["sessions_open"], seen["recordings_unsealed"]) == (0, 0)


def test_a_ledger_with_an_entry_taken_out_is_not_accounted_for(place: Place) -> None:
    place.through.psql("-c", "SELECT 1")
    place.gate.stop()
    assert report(place)["ok"]
    bundle = max((place.gate.data / "ledger/tile/entries/000.p").iterdir(), key=lambda path: int(path.name))
    data = bundle.read_bytes()
    at, entries = 0, []
    while at < len(data):
        length = 2 + int.from_bytes(data[at : at + 2])
        entries.append(data[at : at + length])
        at += length
    outcome = next(one for one in entries if b'"event":"operation.outcome"' in one)
    bundle.write_bytes(b"".join(one for one in entries if one != outcome) + entries[-1])
    told = report(place)
    assert not told["ok"]
    assert {"ledger_entry", "ledger_root", "seq_missing", "intent_without_outcome"} <= names(told)


def test_a_gate_that_hangs_is_told_from_one_that_lives(place: Place) -> None:
    process = place.gate.process
    assert process is not None
    eventually(lambda: counts(report(place))["heartbeats"] >= 1)
    os.kill(process.pid, signal.SIGSTOP)
    try:
        told = reported(place, lambda told: bool(names(told)), 40)
        assert names(told) == {"heartbeat_gap"}
    finally:
        os.kill(process.pid, signal.SIGCONT)
    place.gate.stop()
    assert names(report(place)) == {"heartbeat_gap"}
