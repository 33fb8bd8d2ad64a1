# SPDX-License-Identifier: Apache-2.0
"""A data folder with journals that are really written, a notary over it, and a disk that fails at a chosen step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gatebook.evidence.verify import Report
from gatebook.vault.cosigning import Witnesses
from gatebook.vault.journal import JournalWriter
from gatebook.vault.ledger import Disk, SystemDisk
from gatebook.vault.notary import Folders, Notary
from gatebook.vault.recordings import Recordings
from gatebook.vault.verification import Trust, verify_data
from support.evidence import leaf

ORIGIN = "ledger.example/gatebook"
SEED = bytes(range(32))


def folders(root: Path) -> Folders:
    return Folders(root / "journal", root / "ledger", root / "notary")


def open_notary(root: Path, disk: Disk | None = None, witnesses: Witnesses | None = None) -> Notary:
    return Notary.open(folders(root), ORIGIN, SEED, disk or SystemDisk(), witnesses)


def write_entries(root: Path, writer: str, count: int, *, first: int = 0, segment_bytes: int = 1 << 16) -> None:
    """Append heartbeats, each another, to a journal."""
    with JournalWriter.open(root / "journal", writer, sync="privileged", segment_bytes=segment_bytes) as journal:
        for number in range(first, first + count):
            one = leaf("heartbeat", writer=writer, sessions=number, journal=0, clock="unknown")
            journal.append(one, durable=False)


def seal(root: Path, disk: Disk | None = None) -> int:
    """Open a notary, seal what is there, close it; the size of the tree."""
    notary = open_notary(root, disk)
    try:
        return notary.seal().size
    finally:
        notary.close()


def verify(
    root: Path,
    *,
    key: str = "",
    since: bytes = b"",
    witnesses: tuple[str, ...] = (),
    quorum: int = 0,
    cosigned_after: int = 0,
) -> Report:
    trust = Trust(key, since, witnesses, quorum, cosigned_after)
    return verify_data(folders(root), Recordings(root / "recordings"), trust)


def findings(report: Report) -> list[tuple[str, str]]:
    return [(finding.name, finding.subject) for finding in report.findings]


class DiskFailed(OSError):
    """What a `FailingDisk` raises."""


class Killed(BaseException):
    """What it raises in place of that where nobody lives on to catch it."""


@dataclass
class FailingDisk:
    """A disk whose step number `at` (from 1) fails; with `persists` after it was done. Counts the steps.

    With `halves`, half of what was to be appended is there when it fails.
    """

    at: int = 0
    persists: bool = False
    halves: bool = False
    fault: type[BaseException] = DiskFailed
    steps: int = 0
    names: list[str] = field(default_factory=list)
    _disk: SystemDisk = field(default_factory=SystemDisk)

    def write(self, path: Path, data: bytes) -> None:
        self._step("write", lambda: self._disk.write(path, data))

    def sync(self) -> None:
        self._step("sync", self._disk.sync)

    def replace(self, path: Path, data: bytes, mode: int) -> None:
        self._step("replace", lambda: self._disk.replace(path, data, mode))

    def sync_data(self, path: Path) -> None:
        self._step("sync_data", lambda: self._disk.sync_data(path))

    def remove(self, path: Path) -> None:
        self._step("remove", lambda: self._disk.remove(path))

    def extend(self, path: Path, at: int, data: bytes) -> None:
        if self.halves and self.steps + 1 == self.at:
            self._disk.extend(path, at, data[: len(data) // 2])
        self._step("extend", lambda: self._disk.extend(path, at, data))

    def sync_folder(self, path: Path) -> None:
        self._step("sync_folder", lambda: self._disk.sync_folder(path))

    def _step(self, name: str, work: Callable[[], None]) -> None:
        self.steps += 1
        self.names.append(name)
        if self.steps != self.at:
            work()
            return
        if self.persists:
            work()
        raise self.fault(f"step {self.at}, {name}")
