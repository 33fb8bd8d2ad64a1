# SPDX-License-Identifier: Apache-2.0
"""Journal segments as bytes: header, records and the chain of links through them.

SPEC: docs/spec/journal.md, "Segment". Segment: header of 128 bytes, records (length u32, leaf length u32, leaf, private
part, link of 32 bytes), zero bytes to the preallocated size. Bounds: a record's entry 4 to 4,194,304 bytes, its leaf at
most 65,535. Everything else raises JournalFault, and nothing else is raised.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from gatebook.evidence.entry import MAX_LEAF_BYTES
from gatebook.evidence.faults import EvidenceFault

MAGIC = b"GATEBOOKJNL1"
VERSION = 1
HEADER_BYTES = 128
LINK_BYTES = 32
FIRST_LINK = bytes(LINK_BYTES)
MIN_ENTRY_BYTES = 4
MAX_ENTRY_BYTES = 4_194_304
MAX_WRITER_BYTES = 64
BLOCK_BYTES = 1 << 20  # zero bytes behind the end are read in blocks of this size

_HEADER = struct.Struct(">12sIQ32sQ64s")
_LENGTH = struct.Struct(">I")
_ZERO_BLOCK = bytes(BLOCK_BYTES)

Read = Callable[[int], bytes]
"""Returns the next so many bytes of a file; fewer only where it ends."""


class JournalFault(EvidenceFault):
    """A segment or record has not its form."""

    code = "journal"


@dataclass(frozen=True, slots=True)
class Header:
    """The head of a segment: number of its first entry, the link before it, whose journal, when it was made."""

    first: int
    previous: bytes
    created_at: datetime
    writer: str


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two records: offset in the segment, number of the next entry, link of the one before."""

    offset: int
    number: int
    link: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One entry as it stands in a journal. `link_holds` says whether its link is the hash it must be.

    `lacks_private`: its segment was removed, and that its private part is not there is told or needs no telling.
    """

    number: int
    leaf: bytes
    private: bytes
    link: bytes
    link_holds: bool
    end: Position
    lacks_private: bool = False


def parse_header(data: bytes) -> Header:
    """Parse the first 128 bytes of a segment. JournalFault if they are not a header."""
    if len(data) != HEADER_BYTES:
        raise JournalFault("journal_header", "a segment is shorter than its header")
    magic, version, first, previous, created_us, padded = _HEADER.unpack(data)
    if magic != MAGIC or version != VERSION:
        raise JournalFault("journal_header", "a segment has another magic or version")
    writer = padded.rstrip(b"\0")
    if not writer or not writer.isascii() or not writer.decode().isprintable():
        raise JournalFault("journal_header", "a segment has no readable writer id")
    if first < 1:
        raise JournalFault("journal_header", "a segment begins with entry 0")
    try:
        created_at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=created_us)
    except OverflowError as fault:
        raise JournalFault("journal_header", "a segment was made at an impossible time") from fault
    return Header(first, previous, created_at, writer.decode())


def start_of(header: Header) -> Position:
    """Return the place before the first record of a segment."""
    return Position(HEADER_BYTES, header.first, header.previous)


def read_records(read: Read, start: Position) -> Iterator[Record]:
    """Yield the records from `start` on, to the end of what was written; `read` must stand at its offset.

    A record whose link does not hold is yielded and says so, and the chain goes on with the link that is
    there: one changed byte is one finding. JournalFault where no next record can be made out.
    """
    place = start
    while True:
        prefix = read(_LENGTH.size)
        if len(prefix) < _LENGTH.size:
            if prefix.strip(b"\0"):
                raise _torn(place, "bytes behind the last record are not zero")
            return
        (length,) = _LENGTH.unpack(prefix)
        if length == 0:
            return
        if not MIN_ENTRY_BYTES <= length <= MAX_ENTRY_BYTES:
            raise _torn(place, "has an impossible length")
        body = read(length + LINK_BYTES)
        if len(body) < length + LINK_BYTES:
            raise _torn(place, "is longer than its segment")
        entry, link = body[:length], body[length:]
        (leaf_length,) = _LENGTH.unpack_from(entry)
        if leaf_length > min(MAX_LEAF_BYTES, length - MIN_ENTRY_BYTES):
            raise _torn(place, "has an impossible leaf length")
        end = Position(place.offset + _LENGTH.size + len(body), place.number + 1, link)
        yield Record(
            number=place.number,
            leaf=entry[4 : 4 + leaf_length],
            private=entry[4 + leaf_length :],
            link=link,
            link_holds=hashlib.sha256(place.link + entry).digest() == link,
            end=end,
        )
        place = end


def check_zeros(read: Read, place: Position) -> None:
    """Read to the end of a segment behind its last record. JournalFault if a byte there is not zero."""
    while block := read(BLOCK_BYTES):
        if block != _ZERO_BLOCK[: len(block)]:
            raise _torn(place, "bytes behind the last record are not zero")


def segment_name(first: int) -> str:
    """Return the file name of the segment that begins with this entry."""
    return f"{first:020}.seg"


def parse_segment_name(name: str) -> int | None:
    """Return the number of the first entry from a file name; None if it is no segment's."""
    digits = name.removesuffix(".seg")
    is_segment = name.endswith(".seg") and len(digits) == 20 and digits.isascii() and digits.isdigit()
    return int(digits) if is_segment else None


def _torn(place: Position, words: str) -> JournalFault:
    return JournalFault("journal_torn", f"record {place.number} at byte {place.offset}: {words}")
