# SPDX-License-Identifier: Apache-2.0
"""Private files read in the order of a journal: each part is looked for behind the one before.

SPEC: docs/spec/recording.md, "Private file". What is damaged is told once and left out.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.private import PrivateFault
from gatebook.evidence.private_file import HEADER_BYTES, Stored, check_header, read_stored
from gatebook.vault.recordings import Recordings

OPEN_FILES = 128  # LIMIT: sessions whose parts come interleaved


@dataclass(slots=True)
class _Cursor:
    file: BinaryIO
    records: Iterator[Stored]
    next: Stored | None = None


class PrivateFiles:
    """The private files of one writer's sessions. Entries are asked for in ascending order. `close` it."""

    def __init__(
        self, recordings: Recordings, writer: str, fault: Callable[[str, EvidenceFault], None], *, all_wanted: bool
    ) -> None:
        """`fault` is told what is damaged, and where `all_wanted` also parts that are of no entry."""
        self._recordings = recordings
        self._writer = writer
        self._fault = fault
        self._all_wanted = all_wanted
        self._cursors: OrderedDict[str, _Cursor] = OrderedDict()
        self._places: dict[str, int] = {}  # behind what was read of files that are closed again
        self._unusable: set[str] = set()
        self.begin = 1  # what stands before was read from its segment

    def find(self, session: str, number: int, seq: int) -> tuple[bytes, bool]:
        """Return the private part of an entry; empty where there is none.

        The second value says whether that it is missing needs no telling: it was told, or the session is erased.
        """
        try:
            cursor = self._cursor(session)
            found = None if cursor is None else self._seek(session, cursor, number)
            if found is None:
                return b"", session in self._unusable or self._recordings.is_erased(session)
        except EvidenceFault as fault:
            self._give_up(session, fault)
            return b"", True
        except OSError as fault:
            words = (fault.strerror or "unknown error").lower()
            self._give_up(session, PrivateFault(f"its private file cannot be read: {words}"))
            return b"", True
        if found.holds and found.seq == seq:
            return found.sealed, False
        self._fault(f"{self._writer}/{number}", PrivateFault("its private part was changed"))
        return b"", True

    def close(self) -> None:
        """Close the files."""
        while self._cursors:
            self._drop(next(iter(self._cursors)))

    def _seek(self, session: str, cursor: _Cursor, number: int) -> Stored | None:
        while True:
            try:
                record = cursor.next or next(cursor.records, None)
            except PrivateFault:
                record = None  # a torn end is of an entry that is in its segment yet, or what it lacks is told
            if record is None or record.number > number:
                cursor.next = record
                if record is None:
                    self._drop(session)  # there may be more later
                return None
            cursor.next = None
            self._places[session] = record.end
            if record.number == number:
                return record
            if self._all_wanted and record.number >= self.begin:
                self._fault(session, PrivateFault(f"has a private part of entry {record.number}, which has none"))

    def _cursor(self, session: str) -> _Cursor | None:
        if session in self._unusable:
            return None
        if session in self._cursors:
            self._cursors.move_to_end(session)
            return self._cursors[session]
        try:
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.fdopen(os.open(self._recordings.private_path(session), flags), "rb")
        except FileNotFoundError:
            return None
        try:
            check_header(file.read(HEADER_BYTES), session, self._writer)
            start = self._places.get(session, HEADER_BYTES)
            file.seek(start)
        except BaseException:
            file.close()
            raise
        if len(self._cursors) >= OPEN_FILES:
            self._drop(next(iter(self._cursors)))
        self._cursors[session] = _Cursor(file, read_stored(file.read, session, start))
        return self._cursors[session]

    def _drop(self, session: str) -> None:
        self._cursors.pop(session).file.close()

    def _give_up(self, session: str, fault: EvidenceFault) -> None:
        if session in self._cursors:
            self._drop(session)
        self._unusable.add(session)
        self._fault(session, fault)
