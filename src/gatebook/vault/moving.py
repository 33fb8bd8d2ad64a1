# SPDX-License-Identifier: Apache-2.0
"""Moves the private parts of a journal segment into the private files of their sessions, again if need be.

SPEC: docs/spec/journal.md, "Removal", steps 1 and 2; docs/spec/recording.md, "Private file". Everything may be done
twice: what an unfinished move has left is cut and written anew.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from hashlib import sha256
from pathlib import Path

from gatebook.evidence import private_file
from gatebook.evidence.entry import EntryFault, decode_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import (
    HEADER_BYTES,
    JournalFault,
    Record,
    check_zeros,
    parse_header,
    read_records,
    segment_name,
    start_of,
)
from gatebook.evidence.private import PrivateFault
from gatebook.evidence.removal import Removal
from gatebook.vault.ledger import Disk
from gatebook.vault.recordings import SESSION, Recordings
from gatebook.vault.removable import Segment
from gatebook.vault.sealing import Tampered

HELD_BYTES = 4 << 20  # LIMIT: of private parts, before they are written
STEP_RECORDS = 256
STEP_FILES = 32


class NotMovable(EvidenceFault):
    """A private part belongs to no session: its segment stays where it is."""

    code = "removal"


class Mover:
    """Moves segments of one journal, in order."""

    def __init__(self, disk: Disk, recordings: Recordings, folder: Path) -> None:
        self._disk = disk
        self._recordings = recordings
        self._folder = folder
        self._known: dict[str, int] = {}  # ends of the files that the segment before was moved to
        self._ends: dict[str, int] = {}
        self._held: dict[str, bytearray] = {}
        self._held_bytes = 0

    def move(self, segment: Segment) -> Generator[bool, None, Removal]:
        """Move a segment; on disk when it ends. Yields True now and then, and returns what is to be entered.

        Tampered if the segment or a private file is not what it was, NotMovable, OSError.
        """
        known, self._known = self._known, {}
        self._ends, self._held, self._held_bytes = {}, {}, 0
        digest, moved = sha256(), 0
        for record in self._read(segment, digest):
            if record.private:
                self._take(record, segment, known)
                moved += 1
            if self._held_bytes >= HELD_BYTES:
                yield from self._write()
            elif record.number % STEP_RECORDS == 0:
                yield True
        yield from self._write()
        self._disk.sync()
        self._known = self._ends
        removed = f"sha256:{digest.hexdigest()}"
        return Removal(
            self._folder.name, segment.first, segment.next - 1, segment.before, segment.after, removed, moved
        )

    def _read(self, segment: Segment, digest: hashlib._Hash) -> Iterator[Record]:
        """Yield the records of a segment; all its bytes go into `digest`. Tampered if it is not what was followed."""
        name = f"{self._folder.name}/{segment.first}"
        try:
            opened = (self._folder / segment_name(segment.first)).open("rb")
        except FileNotFoundError as fault:
            raise Tampered("segment_missing", f"{name}: the segment is gone") from fault

        def read(count: int) -> bytes:
            data = opened.read(count)
            digest.update(data)
            return data

        with opened:
            try:
                header = parse_header(read(HEADER_BYTES))
                place = start_of(header)
                if (header.writer, place.number, place.link) != (self._folder.name, segment.first, segment.before):
                    raise Tampered("journal_link", f"{name}: the segment does not continue the one before")
                for record in read_records(read, place):
                    if not record.link_holds:
                        raise Tampered("journal_changed", f"{name}: entry {record.number} is not what its link says")
                    place = record.end
                    yield record
                check_zeros(read, place)
            except JournalFault as fault:
                raise Tampered(fault.finding, f"{name}: {fault.message}") from fault
        if (place.number, place.link) != (segment.next, segment.after):
            raise Tampered("journal_changed", f"{name}: another entry than was sealed")

    def _take(self, record: Record, segment: Segment, known: dict[str, int]) -> None:
        subject = f"{self._folder.name}/{record.number}"
        try:
            leaf = decode_leaf(record.leaf)
        except EntryFault as fault:
            raise NotMovable("entry_malformed", f"{subject}: {fault.message}") from fault
        session, seq = leaf.get("session"), leaf.get("seq")
        if not isinstance(session, str) or isinstance(seq, bool) or not isinstance(seq, int) or seq < 0:
            raise NotMovable("entry_malformed", f"{subject}: a private part of no session")
        if SESSION.fullmatch(session) is None:
            raise NotMovable("session_id", f"{subject}: its session is no session id")
        if session not in self._ends:
            self._ends[session] = self._find_end(session, segment.first, known.get(session, 0))
        held = self._held.setdefault(session, bytearray())
        if not held and not self._ends[session]:
            held += private_file.encode_header(session, self._folder.name)
        held += private_file.encode_record(session, record.number, seq, record.private)
        self._held_bytes += len(record.private)

    def _find_end(self, session: str, first: int, known: int) -> int:
        """Return the offset at which a session's parts from entry `first` on belong; 0 where there is no file yet.

        `known` is where it is, if the file still ends there: whoever purges a session removes it.
        """
        try:
            descriptor = os.open(
                self._recordings.private_path(session), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            )
        except FileNotFoundError:
            return 0
        with os.fdopen(descriptor, "rb") as file:
            if known and os.fstat(descriptor).st_size == known:
                return known
            head = file.read(private_file.HEADER_BYTES)
            try:
                end, has_parts = private_file.find_end(file.read, session, first)
                if has_parts:
                    private_file.check_header(head, session, self._folder.name)
            except PrivateFault as fault:
                raise Tampered(fault.finding, f"{session}: {fault.message}") from fault
        return end if has_parts else 0

    def _write(self) -> Generator[bool]:
        """Append what is held."""
        for count, (session, held) in enumerate(self._held.items(), 1):
            self._disk.extend(self._recordings.private_path(session), self._ends[session], bytes(held))
            self._ends[session] += len(held)
            if count % STEP_FILES == 0:
                yield True
        self._held, self._held_bytes = {}, 0
        yield True
