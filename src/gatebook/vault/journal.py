# SPDX-License-Identifier: Apache-2.0
"""Journals on disk: the one way to append to them from Python, and a reader that never holds one whole in memory."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import (
    FIRST_LINK,
    HEADER_BYTES,
    Header,
    JournalFault,
    Position,
    Record,
    check_zeros,
    parse_header,
    parse_segment_name,
    read_records,
    segment_name,
    start_of,
)
from gatebook.model.errors import OperatorFault, quoted
from gatebook.native.carrier import Journal, NativeError

WRITER = re.compile(r"[A-Za-z0-9_-]{1,64}")
SMALL_SEGMENT_BYTES = 1 << 20  # of writers that append now and then
RETRIES = 50  # a record being written while it is read is whole some milliseconds later
RETRY_S = 0.01


class JournalUnwritable(OperatorFault):
    """Evidence cannot be written: what it was to prove must not happen."""

    code = "evidence.failed"


class JournalWriter:
    """A journal of this process. Appends may be called from any thread; one process per journal."""

    def __init__(self, native: Journal, folder: Path) -> None:
        self.native = native
        self.folder = folder

    @classmethod
    def open(
        cls, root: Path, writer: str, *, sync: str, segment_bytes: int = SMALL_SEGMENT_BYTES, wait_s: float = 0
    ) -> JournalWriter:
        """Take the lock of `root/writer`, recover what a crash left, preallocate.

        `sync` is `privileged` or `every`. Waits up to `wait_s` for another process that holds the lock.
        JournalUnwritable if it cannot be had.
        """
        folder = root / writer
        deadline = time.monotonic() + wait_s
        while True:
            try:
                root.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.mkdir(mode=0o700, exist_ok=True)
                return cls(Journal.open(str(folder), writer, sync=sync, segment_bytes=segment_bytes), folder)
            except (NativeError, OSError) as fault:
                if time.monotonic() < deadline and writer_lives(folder):
                    time.sleep(RETRY_S)
                    continue
                raise JournalUnwritable(
                    f"the journal {quoted(str(folder))} cannot be opened: {fault}",
                    "see the disk and the owner of the data folder, and whether another process writes this journal",
                ) from fault

    def append(self, leaf: bytes, private: bytes = b"", *, durable: bool = True) -> int:
        """Append an entry and return its number. It is on disk if `durable`, else in the kernel.

        JournalUnwritable if that failed; every later call fails too until the process starts anew.
        """
        try:
            return self.native.append(leaf, private, durable=durable)
        except NativeError as fault:
            raise JournalUnwritable(f"evidence cannot be written: {fault}", "free the disk, then restart") from fault

    def close(self) -> None:
        """Release the lock. Nothing may be appended afterwards."""
        self.native.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Watcher(Protocol):
    """Told by a reader what is not an entry. `check_tail`: read the zero bytes behind the end too."""

    check_tail: bool

    def segment(self, header: Header, named: int, expected: Position | None) -> None:
        """Take the head of the next segment; `expected` is what must continue there, None where it is not known."""

    def fault(self, subject: str, fault: EvidenceFault) -> None:
        """Take what cannot be read; reading goes on with the next segment, if there is one."""


@dataclass(slots=True)
class Faults:
    """A watcher that keeps the faults, for readers whose duty is not to verify."""

    check_tail: bool = False
    faults: list[tuple[str, EvidenceFault]] = field(default_factory=list)

    def segment(self, header: Header, named: int, expected: Position | None) -> None:
        """Do nothing: the chain is for who verifies."""

    def fault(self, subject: str, fault: EvidenceFault) -> None:
        """Keep the fault."""
        self.faults.append((subject, fault))


Fill = Callable[[Position, int], Iterator[Record]]
"""Gives the entries from a place on, below a number, that are in no segment any more; as far as it has them."""


class JournalReader:
    """Reads a journal from an entry on; ask again for what has come since. Safe beside its living writer.

    Where segments were removed, before it came to them or meanwhile, `fill` is asked for their entries.
    """

    def __init__(self, folder: Path, watcher: Watcher, *, from_segment: int = 0, fill: Fill | None = None) -> None:
        self._folder = folder
        self._fill = fill
        self._watcher = watcher
        self._segment: int | None = None
        self._place: Position | None = None
        self._expected: Position | None = Position(0, 1, FIRST_LINK) if from_segment <= 1 else None
        self._from_segment = from_segment
        self._broken = False

    def read(self) -> Iterator[Record]:
        """Yield the entries from where the last call ended to the present end."""
        while True:
            # Listed before reading: where a later segment is there already, this one is complete.
            current = self._segment if self._segment is not None else self._from_segment - 1
            later = self._list_behind(current)
            if self._segment is not None and not self._broken:
                yield from self._read_segment(is_last=not later)
            if not later:
                return
            if self._broken:
                self._expected = None
            elif self._place is not None:
                self._expected = self._place
            while self._fill is not None and self._expected is not None and self._expected.number < later[0]:
                begin = self._expected
                for record in self._fill(begin, later[0]):
                    self._expected = record.end
                    yield record
                if self._expected == begin:
                    break  # nobody has them
                # Those that were next may be gone meanwhile.
                later = self._list_behind(self._expected.number - 1) or later
            self._segment, self._place, self._broken = later[0], None, False

    def _list_behind(self, current: int) -> list[int]:
        return [first for first in list_segments(self._folder) if first > current]

    def _read_segment(self, *, is_last: bool) -> Iterator[Record]:
        assert self._segment is not None
        path = self._folder / segment_name(self._segment)
        subject = f"{self._folder.name}/{self._segment}"
        for attempt in range(RETRIES):
            try:
                with path.open("rb") as file:
                    yield from self._read_file(file)
                    if self._watcher.check_tail and self._place is not None and not (is_last and self._is_alive()):
                        file.seek(self._place.offset)
                        check_zeros(file.read, self._place)
            except OSError as fault:
                if isinstance(fault, FileNotFoundError) and self._fill is not None and not is_last:
                    return  # removed meanwhile
                words = (fault.strerror or "unknown error").lower()
                self._fail(subject, JournalFault("journal_unreadable", f"cannot be read: {words}"))
            except JournalFault as fault:
                if is_last and attempt < RETRIES - 1 and self._is_alive():
                    time.sleep(RETRY_S)
                    continue
                self._fail(subject, fault)
            return

    def _read_file(self, file: BinaryIO) -> Iterator[Record]:
        if self._place is None:
            header = parse_header(file.read(HEADER_BYTES))
            assert self._segment is not None
            self._watcher.segment(header, self._segment, self._expected)
            self._place = start_of(header)
        file.seek(self._place.offset)
        for record in read_records(file.read, self._place):
            self._place = record.end
            yield record

    def _fail(self, subject: str, fault: JournalFault) -> None:
        self._broken = True
        self._watcher.fault(subject, fault)

    def _is_alive(self) -> bool:
        return writer_lives(self._folder)


def list_journals(root: Path) -> list[Path]:
    """Return the folders of all journals, by writer id."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if path.is_dir() and WRITER.fullmatch(path.name))


def list_segments(folder: Path) -> list[int]:
    """Return the numbers of the first entries of a journal's segments, ascending."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(first for name in names if (first := parse_segment_name(name)) is not None)


def writer_lives(folder: Path) -> bool:
    """Return whether a process holds the journal's lock.

    A free lock is taken shared for some microseconds; a writer that starts in that very moment is refused.
    """
    try:
        descriptor = os.open(folder / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
