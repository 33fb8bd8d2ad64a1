# SPDX-License-Identifier: Apache-2.0
"""Journals as the notary reads them: from the sealed place on, and again from the start to see that nothing changed.

SPEC: docs/spec/ledger.md, "Notary" and "When it stops". Damage raises Tampered; a disk that does not let read raises
OSError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import HEADER_BYTES, Header, JournalFault, parse_header, segment_name
from gatebook.evidence.sealed import Place
from gatebook.native.pure import journal_leaves

BLOCK_BYTES = 8 << 20  # LIMIT: read at a time; a record has at most 4 MiB and some bytes
FIRST_BYTES = 1 << 20  # mostly there is little new
EXIT_TAMPERED = 3  # of `gatebook notary`, for whoever starts it
AUDIT_ENTRIES = 1 << 16  # LIMIT: looked at in one step of the audit

Kept = Callable[[], Place]
"""Gives the place at which the part of a journal begins that was not removed."""


class Tampered(EvidenceFault):
    """What is sealed is not what is there any more: nothing is signed until a person has looked."""

    code = "tampered"


@dataclass(frozen=True, slots=True)
class Piece:
    """Leaves of consecutive records: their bundle and hashes, and how many."""

    bundle: bytes
    hashes: bytes
    count: int


class JournalTail:
    """A journal behind a place. `most` of `take` is exact, so that bundles fill as they should."""

    def __init__(self, folder: Path, place: Place) -> None:
        self.folder = folder
        self.place = place
        self.torn = ""
        self._block = b""
        self._block_at = (0, 0)  # segment and offset of what is kept of it

    def take(self, most: int) -> Piece | None:
        """Return the next leaves, at most `most`; None where there is no whole record now.

        `torn` says why where bytes are there that are no record: perhaps its writer is still at it.
        """
        while True:
            piece, stop = self._read(most)
            if piece is not None:
                self.torn = ""
                return piece
            if stop == "end" and self._next_segment():
                continue
            self.torn = "" if stop == "end" else stop
            return None

    def is_there(self) -> bool:
        """Whether the segment is there with all that was sealed of it."""
        try:
            return self._path(self.place.segment).stat().st_size >= self.place.offset
        except FileNotFoundError:
            return self.place == Place()

    def _read(self, most: int) -> tuple[Piece | None, str]:
        stop = "end"
        for size in (0, FIRST_BYTES, BLOCK_BYTES):
            if size:
                self._load(size)
            start = self.place.offset - self._block_at[1]
            if self._block_at[0] != self.place.segment or not 0 <= start <= len(self._block):
                continue
            bundle, hashes, count, end, link, stop = journal_leaves(self._block, start, self.place.link, most)
            if count:
                offset = self.place.offset + end - start
                self.place = Place(self.place.segment, offset, self.place.number + count, bytes(link))
                return Piece(bytes(bundle), bytes(hashes), count), ""
            if size and stop != "unfinished":
                return None, stop
            if len(self._block) < size:  # the file ends here, cut to what was written
                return None, stop if any(self._block) else "end"
        return None, stop

    def _load(self, size: int) -> None:
        try:
            with self._path(self.place.segment).open("rb", buffering=0) as file:
                file.seek(self.place.offset)
                self._block = file.read(size) or b""
        except FileNotFoundError:
            self._block = b""
        self._block_at = (self.place.segment, self.place.offset)

    def _next_segment(self) -> bool:
        """Go on with the segment that begins with the next entry, if there is one."""
        if self.place.offset == HEADER_BYTES:
            return False
        path = self._path(self.place.number)
        if self.place.number == self.place.segment or not path.exists():
            return False
        check_header(path, self.folder.name, self.place.number, self.place.link)
        self.place = Place(self.place.number, HEADER_BYTES, self.place.number, self.place.link)
        return True

    def _path(self, segment: int) -> Path:
        return self.folder / segment_name(segment)


def check_header(path: Path, writer: str, first: int, previous: bytes) -> Header:
    """Return a segment's head. Tampered unless it continues the journal."""
    try:
        with path.open("rb") as file:
            header = parse_header(file.read(HEADER_BYTES))
    except FileNotFoundError as fault:
        raise Tampered("segment_missing", f"{writer}/{first}: the segment is gone") from fault
    except JournalFault as fault:
        raise Tampered(fault.finding, f"{writer}/{first}: {fault.message}") from fault
    if (header.writer, header.first, header.previous) != (writer, first, previous):
        raise Tampered("journal_link", f"{writer}/{first}: the segment does not continue the one before")
    return header


def audit(folder: Path, sealed: Place, kept: Kept = Place) -> Iterator[None]:
    """Read all that is sealed of a journal and compare its last link; yields now and then. Tampered if it is not so.

    `kept` gives the place at which what the notary has not removed begins; it may move on meanwhile.
    """
    if sealed == Place():
        return
    start = kept()
    check_header(folder / segment_name(start.segment), folder.name, start.segment, start.link)
    yield from _compare(folder, start, sealed, kept)


def audit_last_segment(folder: Path, sealed: Place) -> None:
    """Read what is sealed of the last segment alone; its head is taken as it is. Tampered if it is not so."""
    if sealed.offset == HEADER_BYTES:
        return
    try:
        with (folder / segment_name(sealed.segment)).open("rb") as file:
            header = parse_header(file.read(HEADER_BYTES))
    except FileNotFoundError as fault:
        raise Tampered("segment_missing", f"{folder.name}/{sealed.segment}: the segment is gone") from fault
    except JournalFault as fault:
        raise Tampered(fault.finding, f"{folder.name}/{sealed.segment}: {fault.message}") from fault
    for _ in _compare(folder, Place(sealed.segment, HEADER_BYTES, header.first, header.previous), sealed):
        pass


def _compare(folder: Path, start: Place, sealed: Place, kept: Kept = Place) -> Iterator[None]:
    tail = JournalTail(folder, start)
    while tail.place.number < sealed.number:
        if tail.place.segment < kept().segment:  # removed meanwhile, and read whole before
            tail = JournalTail(folder, kept())
            continue
        left = min(AUDIT_ENTRIES, sealed.number - tail.place.number)
        if tail.take(left) is None:
            words = tail.torn or "entries that were sealed are gone"
            raise Tampered("journal_changed", f"{folder.name}/{tail.place.number}: {words}")
        yield
    if tail.place.number == sealed.number and tail.place.link != sealed.link:
        raise Tampered("journal_changed", f"{folder.name}/{sealed.number - 1}: another entry than was sealed")
