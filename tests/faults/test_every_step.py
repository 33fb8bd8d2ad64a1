# SPDX-License-Identifier: Apache-2.0
"""Every step that a real gate and its notary do to files of evidence fails once, in each of five ways.

The steps are counted in a run without a fault: journal, recording, keys, ledger, notary. After each fault the gate
starts again: what the server executed is in the book, the book is whole, and the notary goes on. `make test` takes some
steps of each way, by chance; `make test-faults FAULTS=all` takes all of them.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from support.failing_disk import MODES, FailingDisk
from support.marks import TABLE, executed, intended
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

FAULTS = os.environ.get("FAULTS", "3")
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND datname = current_database()"
SEALED_S = 20
STATEMENTS = 4


@dataclass
class Subject:
    """A gate on a disk that can fail, and the number of the next mark."""

    place: Place
    disk: FailingDisk
    mark: int = 0

    def work(self) -> None:
        """Start the gate, let two sessions leave marks and read rows, stop. All of it may fail."""
        gate = self.place.gate
        try:
            gate.serve()
            for _ in range(2):
                self.mark += STATEMENTS
                marks = [f"INSERT INTO marks VALUES ({self.mark + number})" for number in range(STATEMENTS)]
                words = [word for text in marks for word in ("-c", text)]
                rows = "SELECT md5(i::text) || repeat('x', 1000) FROM generate_series(1, 400) AS i"
                self.place.through.psql(*words, "-c", rows, timeout_s=30)
        except (RuntimeError, subprocess.TimeoutExpired):
            gate.stop(signal.SIGKILL)
            return
        eventually(lambda: self.disk.hit or self.is_sealed(), SEALED_S)
        try:
            gate.stop()
        except subprocess.TimeoutExpired as fault:
            raise AssertionError(f"the gate hangs after {self.disk.hit}") from fault

    def is_sealed(self) -> bool:
        told = self.place.gate.run("ledger", "show", "--json", check=False)
        return told.returncode == 0 and '"not_sealed":{}' in told.stdout

    def recover(self) -> None:
        """Start again without a fault: everything is as it should be."""
        self.disk.disarm()
        eventually(lambda: self.place.ask(BUSY) == "0", 30)
        done = executed(self.place)
        assert done - intended(self.place) == set(), "executed without intent"
        self.place.gate.serve()
        assert self.place.through.psql("-c", "SELECT 'it resumed'").stdout == "it resumed\n"
        eventually(self.is_sealed, SEALED_S)
        assert self.place.gate.stop() == 0
        report = cast("dict[str, Any]", self.place.gate.ask("ledger", "verify", check=False))
        assert report["findings"] == []
        assert done <= intended(self.place)


@pytest.fixture(scope="module")
def subject(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    folder = tmp_path_factory.mktemp("every_step")
    make_database(server, "every_step")
    place = make_place(folder / "gate", server, "every_step")
    place.gate.set("evidence", segment_bytes=1 << 16)  # so that sessions meet new segments
    place.ask(TABLE)
    disk = FailingDisk(folder / "disk", place.gate.data)
    place.gate.environment = disk.environment
    made = Subject(place, disk)
    made.work()  # the first run makes folders and keys; it is not like the others
    made.recover()
    yield made
    disk.disarm()
    place.gate.stop(signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.timeout(30_000 if FAULTS == "all" else 300)
@pytest.mark.parametrize("mode", MODES)
def test_au_07_and_08_whatever_step_fails_the_book_is_whole_again(subject: Subject, mode: str, tmp_path: Path) -> None:
    subject.disk.arm(0, mode)
    subject.work()
    steps = subject.disk.steps
    subject.recover()
    assert steps > 50
    all_of_them = range(1, steps + 1)
    # Not the last ones: a run has some more or fewer, by how often the notary seals.
    most_runs = range(1, steps * 2 // 3)
    chosen = all_of_them if FAULTS == "all" else sorted(random.sample(most_runs, int(FAULTS)))
    hits = 0
    for number in chosen:
        subject.disk.arm(number, mode)
        subject.work()
        hit = subject.disk.hit
        hits += bool(hit)
        try:
            subject.recover()
        except AssertionError as fault:
            log = subject.place.gate.log.read_text(errors="replace")[-2000:]
            raise AssertionError(f"after step {number}, {mode}: {hit}: {fault}\n{log}") from fault
    assert hits > len(chosen) // 2
