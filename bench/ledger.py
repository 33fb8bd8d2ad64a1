# SPDX-License-Identifier: Apache-2.0
"""The ledger of a gate under load: how late the seal is, how fast it can be, how fast it is verified, what it takes."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from measure import Case, measure
from recorded import measure_recordings
from throwaway_gate import Gate, gatebook
from throwaway_postgres import Postgres, Programs
from variants import Variant, open_gatebook

from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.tree import TILE_WIDTH
from gatebook.vault.journal import JournalWriter, list_segments
from gatebook.vault.ledger import LedgerFolder, SystemDisk
from gatebook.vault.notary import Folders, Notary

CASE = Case("simple", 16, tls=False)
EVERY = 64  # of entries, one is looked at for its way to the checkpoint
POLL_S = 0.005
SETTLE_S = 3.0
Figures = Iterator[tuple[str, float, str]]


@dataclass
class Seals:
    """The checkpoints as they were published: when, and of which size."""

    path: Path
    seen: list[tuple[float, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def watch(self) -> None:
        """Look until told to stop."""
        while not self.path.exists():  # the notary is still starting
            time.sleep(POLL_S)
        while not self.stop.wait(POLL_S):
            size = int(self.path.read_bytes().splitlines()[1])
            if not self.seen or self.seen[-1][1] != size:
                self.seen.append((time.time(), size))


def measure_ledger(server: Postgres, seconds: int) -> Figures:
    """Load a gate of its own, then seal and verify its book anew. Yields metric, value and unit."""
    with (
        tempfile.TemporaryDirectory(prefix="gbledger-", dir="/tmp") as folder,
        open_gatebook(server, Path(folder) / "gate", verify=False) as (variant, gate),
    ):
        yield from _measure(server.programs, variant, gate, seconds)
    with (
        tempfile.TemporaryDirectory(prefix="gbrecorded-", dir="/tmp") as folder,
        open_gatebook(server, Path(folder) / "gate", verify=False) as (variant, gate),
    ):
        yield from measure_recordings(server.programs, variant, gate, seconds)


def _measure(programs: Programs, variant: Variant, gate: Gate, seconds: int) -> Figures:
    seals = Seals(gate.data / "ledger" / "checkpoint")
    watcher = threading.Thread(target=seals.watch)
    watcher.start()
    measure(programs, variant, CASE, seconds)
    time.sleep(SETTLE_S)
    seals.stop.set()
    watcher.join()
    ledger = LedgerFolder(seals.path.parent)
    late = [*_late(ledger, seals)]
    cuts = statistics.quantiles(late, n=100)
    yield "from entry to checkpoint, p50", cuts[49] * 1000, "ms"
    yield "from entry to checkpoint, p99", cuts[98] * 1000, "ms"
    gate.stop()
    entries = int(seals.path.read_bytes().splitlines()[1])
    statements = _statements(ledger.path)
    yield from _sizes(gate, statements, "")
    yield "sealing", _seal(gate), "entries/s"
    yield "verifying", entries / _verify(gate), "entries/s"
    before = _size(gate.data / "journal")
    took = _remove(gate)
    yield "removing segments", (before - _size(gate.data / "journal")) / 1e6 / took, "MB/s"
    yield from _sizes(gate, statements, " after removal")
    yield "verifying after removal", entries / _verify(gate), "entries/s"


def _sizes(gate: Gate, statements: int, when: str) -> Figures:
    """What a million statements take. After a removal the newest segment is left: it is not counted."""
    private = _size(gate.data / "recordings", "*.private")
    newest = max((gate.data / "journal" / "gatebook").glob("*.seg")).stat().st_size if when else 0
    yield f"size of a million statements, journal{when}", (_size(gate.data / "journal") - newest) / statements, "MB"
    yield f"size of a million statements, ledger{when}", _size(gate.data / "ledger") / statements, "MB"
    recordings = _size(gate.data / "recordings") - private
    yield f"size of a million statements, recordings{when}", recordings / statements, "MB"
    yield f"size of a million statements, private files{when}", private / statements, "MB"


def _size(folder: Path, pattern: str = "*") -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


def _verify(gate: Gate) -> float:
    """Seconds that a verification of everything takes."""
    began = time.monotonic()
    gate.ask("ledger", "verify")
    return time.monotonic() - began


def _remove(gate: Gate) -> float:
    """Let a notary remove all segments but the newest; seconds until it has."""
    gate.set("ledger", remove_segments_after_s=0)
    folder = gate.data / "journal" / "gatebook"
    with JournalWriter.open(gate.data / "journal", "gatebook", sync="privileged") as journal:
        before = list_segments(folder)
        while list_segments(folder) == before:  # what the gate left is complete once its writer goes on in the next
            stamp = Stamp("gatebook", datetime.now(UTC))
            journal.append(builders.failure(stamp, what="filler", action="x" * 1000), durable=False)
        command = [gatebook(), "notary", "--until-input-ends", "--config", str(gate.config)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as notary:
            assert notary.stdin is not None
            began = time.monotonic()
            while len(list_segments(folder)) > 1:
                time.sleep(POLL_S)
            took = time.monotonic() - began
            notary.stdin.close()
    return took


def _late(ledger: LedgerFolder, seals: Seals) -> Iterator[float]:
    """Seconds from the time in an entry to the first checkpoint that has it."""
    size = seals.seen[-1][1]
    (_, first), published = seals.seen[0], iter(seals.seen)
    at, until = next(published)
    for index in range(first - first % EVERY + EVERY, size, EVERY):
        while until <= index:
            at, until = next(published)
        entry = ledger.entries(index // TILE_WIDTH, size)[index % TILE_WIDTH]
        yield at - datetime.fromisoformat(json.loads(entry)["time"]).timestamp()


def _statements(ledger: Path) -> int:
    """Statements that ran: the intents in all bundles."""
    bundles = (path for path in (ledger / "tile" / "entries").rglob("*") if path.is_file())
    return sum(path.read_bytes().count(b'{"action":') for path in bundles)


def _seal(gate: Gate) -> float:
    """Entries sealed in a second where nothing else is to do."""
    folders = Folders(gate.data / "journal", gate.folder / "again", gate.folder / "again-notary")
    for folder in (folders.ledger, folders.notary):
        shutil.rmtree(folder, ignore_errors=True)
    notary = Notary.open(folders, "bench.example/again", bytes(32), SystemDisk())
    began = time.monotonic()
    while notary.seal().entries:
        pass
    took = time.monotonic() - began
    notary.close()
    return notary.size / took
