# SPDX-License-Identifier: Apache-2.0
"""Exports beside a real gate: what a client did is at the receiver, which may be down, and whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.receiver import HANG, Siem, siem
from support.servers import Place, eventually, make_database, make_place
from throwaway_gate import Gate
from throwaway_postgres import Postgres

WITHIN_S = 30


@pytest.fixture
def receiver() -> Iterator[Siem]:
    with siem() as running:
        yield running


@pytest.fixture
def place(server: Postgres, folder: Path, receiver: Siem) -> Iterator[Place]:
    name = f"export_{os.getpid()}_{abs(hash(folder)) % 10**8}"
    make_database(server, name)
    place = make_place(folder, server, name)
    export = f'\n[[export]]\nname = "siem"\nurl = "{receiver.url}"\nlag_alarm_s = 2\n'
    place.gate.config.write_text(place.gate.config.read_text() + export)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        place.gate.set("gate", metrics_port=int(probe.getsockname()[1]))
    place.gate.serve()
    yield place
    place.gate.stop()


def shown(gate: Gate) -> dict[str, Any]:
    (told,) = cast("list[dict[str, Any]]", gate.ask("export", "show"))
    return told


def ledger_of(gate: Gate) -> dict[str, Any]:
    return cast("dict[str, Any]", gate.ask("ledger", "show"))


def metric(gate: Gate, name: str) -> float:
    """A figure of the export in the gate's metrics."""
    port = tomllib.loads(gate.config.read_text())["gate"]["metrics_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    (found,) = [line for line in lines if line.startswith(f'gatebook_export_{name}{{export="siem"}} ')]
    return float(found.split()[1])


def exporter_of(gate: Gate) -> int:
    """Process id of the exporter that a gate has started; 0 where there is none now."""
    assert gate.process is not None
    children = Path(f"/proc/{gate.process.pid}/task/{gate.process.pid}/children").read_text().split()
    found = [int(one) for one in children if b"\0export\0" in Path(f"/proc/{one}/cmdline").read_bytes()]
    return found[0] if found else 0


def check_all_arrived(gate: Gate, receiver: Siem) -> None:
    """Every entry that is sealed is there, first seen in order."""
    size = ledger_of(gate)["size"]
    assert list(dict.fromkeys(receiver.told.indexes)) == list(range(size))


def test_what_a_client_did_is_at_the_receiver_in_seconds_and_all_of_it_when_the_gate_has_stopped(
    place: Place, receiver: Siem
) -> None:
    before = place.known_sessions()
    place.through.psql("-c", "SELECT 'to the siem'")
    operation = place.operations_since(before)[-1]["operation"]

    def kinds() -> set[str]:
        kept = [record["entry"] for record in receiver.told.kept]
        return {entry["event"] for entry in kept if entry.get("operation") == operation}

    eventually(lambda: kinds() == {"operation.intent", "operation.outcome"}, within_s=WITHIN_S)
    assert "to the siem" not in json.dumps(receiver.told.kept)
    place.gate.stop()
    check_all_arrived(place.gate, receiver)
    assert receiver.told.kept[-1]["entry"]["event"] in {"notary.stop", "gateway.stop"}
    assert shown(place.gate)["behind_entries"] == 0


def test_au_15_a_killed_exporter_is_started_again_and_the_book_says_so(place: Place, receiver: Siem) -> None:
    eventually(lambda: receiver.told.kept, within_s=WITHIN_S)
    first = eventually(lambda: exporter_of(place.gate))
    os.kill(first, signal.SIGKILL)
    place.through.psql("-c", "SELECT 1")
    eventually(lambda: exporter_of(place.gate) not in {0, first}, within_s=WITHIN_S)
    eventually(lambda: place.entries("failure"), within_s=WITHIN_S)
    assert [entry["what"] for entry in place.entries("failure")] == ["export siem died with status -9"]
    eventually(lambda: shown(place.gate)["runs"], within_s=WITHIN_S)
    place.gate.stop()
    check_all_arrived(place.gate, receiver)
    report = place.gate.ask("ledger", "verify", check=False)
    assert isinstance(report, dict)
    assert report["ok"], report["findings"]


def test_au_15_a_receiver_that_hangs_slows_neither_gate_nor_notary_and_raises_the_alarm(
    place: Place, receiver: Siem
) -> None:
    receiver.told.answer = HANG
    eventually(lambda: exporter_of(place.gate))
    slowest = 0.0
    for _ in range(20):
        began = time.monotonic()
        assert place.through.psql("-c", "SELECT 1").returncode == 0
        slowest = max(slowest, time.monotonic() - began)
    assert slowest < 5
    eventually(lambda: shown(place.gate)["alarm"], within_s=WITHIN_S)
    eventually(lambda: ledger_of(place.gate)["not_sealed"] == {}, within_s=WITHIN_S)
    assert metric(place.gate, "behind_entries") > 20
    assert metric(place.gate, "behind_seconds") > 2
    receiver.told.answer = 204
    receiver.told.let.set()
    eventually(lambda: not shown(place.gate)["alarm"], within_s=60)
    place.gate.stop()
    check_all_arrived(place.gate, receiver)


def test_au_15_an_exporter_that_refuses_is_not_started_again_and_the_gate_goes_on(place: Place, receiver: Siem) -> None:
    eventually(lambda: receiver.told.kept, within_s=WITHIN_S)
    place.gate.stop()
    cursor = place.gate.data / "export" / "siem.cursor"
    cursor.write_bytes(cursor.read_bytes()[:-9])
    kept = len(receiver.told.kept)
    place.gate.serve()
    eventually(lambda: "the export stopped" in place.gate.log.read_text(), within_s=WITHIN_S)
    assert place.through.psql("-c", "SELECT 1").returncode == 0
    assert shown(place.gate)["refused"].startswith("export_cursor: ")
    assert metric(place.gate, "refused") == 1
    assert exporter_of(place.gate) == 0
    assert len(receiver.told.kept) == kept
    assert place.entries("failure")[-1]["what"] == "export siem refused to go on"
