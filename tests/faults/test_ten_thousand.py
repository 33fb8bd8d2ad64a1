# SPDX-License-Identifier: Apache-2.0
"""Thousands of statements through a gate that is killed, or whose disk fails: the book says of each what happened.

`make test` stops after 2,000 statements; `make test-faults` goes on to 10,000.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from support.failing_disk import MODES, FailingDisk
from support.marks import TABLE, executed, intents, start_marking
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

from gatebook.vault.journal import Faults, JournalReader

OPERATIONS = int(os.environ.get("OPERATIONS", "2000"))
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND datname = current_database()"
STEPS = 200  # of the disk, in the time that a round lasts
SEALED_S = 30
AT_LEAST = 4  # kills, and faults


@dataclass
class Told:
    """What the book says of operations: status of those that have an outcome, and those that were lost."""

    outcomes: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    more: set[str] = field(default_factory=set)


@pytest.fixture
def marked(server: Postgres, folder: Path) -> Iterator[Place]:
    name = "ten_thousand"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.set("evidence", segment_bytes=1 << 18)
    place.ask(TABLE)
    yield place
    place.gate.stop(signal.SIGKILL)


def told(place: Place) -> Told:
    found = Told()
    for record in JournalReader(place.gate.data / "journal" / "gatebook", Faults()).read():
        leaf = json.loads(record.leaf)
        if leaf["event"] == "operation.outcome":
            found.outcomes[leaf["operation"]] = leaf["effect"]["status"]
        elif leaf["event"] == "session.lost":
            found.lost |= set(leaf["open"])
            found.more |= {leaf["session"]} if leaf.get("open_more") else set()
    return found


def load_once(place: Place, folder: Path, chance: random.Random, *, kill: bool) -> None:
    """Start the gate and load it for a moment; kill it, or let the disk end it. Whatever fails may fail."""
    try:
        place.gate.serve()
    except RuntimeError:
        place.gate.stop(signal.SIGKILL)
        return
    mode = chance.choice(("simple", "extended", "prepared"))
    load = start_marking(place, folder, mode=mode, seed=chance.randrange(1, 1 << 31))
    time.sleep(chance.uniform(0.1, 0.5))
    if kill:
        place.gate.stop(signal.SIGKILL)
    load.terminate()
    load.communicate(timeout=30)
    place.gate.stop()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_au_08_after_faults_and_kills_the_book_says_of_each_operation_what_happened(
    marked: Place, tmp_path: Path
) -> None:
    disk = FailingDisk(tmp_path / "disk", marked.gate.data)
    marked.gate.environment = disk.environment
    chance = random.Random(OPERATIONS)
    kills = faults = 0
    while len(executed(marked)) < OPERATIONS or min(kills, faults) < AT_LEAST:
        kill = chance.random() < 0.5
        disk.arm(0 if kill else chance.randrange(1, STEPS), chance.choice(MODES))
        load_once(marked, tmp_path, chance, kill=kill)
        kills, faults = kills + kill, faults + bool(disk.hit)
        disk.disarm()
        eventually(lambda: marked.ask(BUSY) == "0", 30)
    marked.gate.serve()
    eventually(lambda: cast("dict[str, Any]", marked.gate.ask("ledger", "show"))["not_sealed"] == {}, SEALED_S)
    assert marked.gate.stop() == 0
    report = cast("dict[str, Any]", marked.gate.ask("ledger", "verify", check=False))
    assert report["findings"] == []
    done, meant, said = executed(marked), intents(marked), told(marked)
    assert done - set(meant.values()) == set(), "executed without intent"
    for operation, mark in meant.items():
        status = said.outcomes.get(operation)
        if mark in done:
            is_open = operation in said.lost or operation.partition(".")[0] in said.more
            assert status in {"done", "unknown"} or (status is None and is_open), (operation, status)
        else:
            assert status != "done", operation
    print(f"{len(done)} executed, {kills} kills, {faults} faults, {len(said.lost)} lost")
