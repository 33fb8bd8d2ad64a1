# SPDX-License-Identifier: Apache-2.0
"""Private files as bytes: the private parts of a session whose journal segments were removed, encrypted as they were.

SPEC: docs/spec/recording.md, "Private file". Header of 144 bytes, records of a 20-byte head, the private part (1 to
4,194,304 bytes) and a check of 8 bytes. Everything else raises PrivateFault, and nothing else is raised.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from gatebook.evidence.journal_format import MAX_ENTRY_BYTES, Read
from gatebook.evidence.private import PrivateFault

MAGIC = b"GATEBOOKPRV1"
VERSION = 1
HEADER_BYTES = 144
HEAD_BYTES = 20
CHECK_BYTES = 8

_HEADER = struct.Struct(">12sI64s64s")
_HEAD = struct.Struct(">QQI")


@dataclass(frozen=True, slots=True)
class Stored:
    """A record: entry `number` of the writer's journal, its `seq`, the private part. `end` is the offset behind it.

    `holds` says whether its check is what it must be.
    """

    number: int
    seq: int
    sealed: bytes
    holds: bool
    end: int


def encode_header(session: str, writer: str) -> bytes:
    """Return the first 144 bytes of a private file."""
    return _HEADER.pack(MAGIC, VERSION, session.encode(), writer.encode())


def check_header(data: bytes, session: str, writer: str) -> None:
    """Raise PrivateFault unless these are the first 144 bytes of the file of this session and writer."""
    if len(data) != HEADER_BYTES:
        raise PrivateFault("a private file is shorter than its header")
    if data != encode_header(session, writer):
        raise PrivateFault("a private file has another magic or version, or is of another session or writer")


def encode_record(session: str, number: int, seq: int, sealed: bytes) -> bytes:
    """Return a record. PrivateFault for a private part that is empty or longer than an entry can be."""
    if not 0 < len(sealed) <= MAX_ENTRY_BYTES:
        raise PrivateFault(f"a private part cannot have {len(sealed)} bytes")
    head = _HEAD.pack(number, seq, len(sealed))
    return head + sealed + _check(session, head, sealed)


def read_stored(read: Read, session: str, start: int = HEADER_BYTES) -> Iterator[Stored]:
    """Yield the records from offset `start` on, at which `read` must stand. PrivateFault at the first that is torn.

    One whose check does not hold is yielded and says so: one changed byte is one finding.
    """
    offset = start
    while head := read(HEAD_BYTES):
        if len(head) < HEAD_BYTES:
            raise PrivateFault("a record of a private file is cut")
        number, seq, length = _HEAD.unpack(head)
        if not number or not 0 < length <= MAX_ENTRY_BYTES:
            raise PrivateFault("a record of a private file has an impossible number or length")
        body = read(length + CHECK_BYTES)
        if len(body) < length + CHECK_BYTES:
            raise PrivateFault("a record of a private file is cut")
        sealed, check = body[:length], body[length:]
        offset += HEAD_BYTES + len(body)
        yield Stored(number, seq, sealed, _check(session, head, sealed) == check, offset)


def find_end(read: Read, session: str, first: int) -> tuple[int, bool]:
    """Return the offset behind the records below entry `first`, and whether there is any; `read` stands at the first.

    What follows is of an append that was not finished. PrivateFault where a record below `first` is damaged: behind it
    may be others that must not be cut.
    """
    end = HEADER_BYTES
    while len(head := read(HEAD_BYTES)) == HEAD_BYTES:
        number, _, length = _HEAD.unpack(head)
        if number == 0 or number >= first:
            break
        body = read(length + CHECK_BYTES) if 0 < length <= MAX_ENTRY_BYTES else b""
        sealed = body[:length]
        if len(body) < length + CHECK_BYTES or _check(session, head, sealed) != body[length:]:
            raise PrivateFault(f"the private part of entry {number} was changed")
        end += HEAD_BYTES + len(body)
    return end, end > HEADER_BYTES


def _check(session: str, head: bytes, sealed: bytes) -> bytes:
    return hashlib.sha256(session.encode() + head + sealed).digest()[:CHECK_BYTES]
