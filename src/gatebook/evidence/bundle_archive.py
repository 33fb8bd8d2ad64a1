# SPDX-License-Identifier: Apache-2.0
"""The archive of a bundle: a ZIP file in one single form, written piece by piece and read without unpacking.

SPEC: docs/spec/bundle.md, "Archive". Source: APPNOTE.TXT 6.3.10, 4.3 (local header, central directory, its end), stored
members only. Bounds: 20,000 members, 2^31 - 1 bytes, names of 1 to 3 parts and 200 characters. Refused: every byte that
the writer below would not have written. Everything else raises ArchiveFault, and nothing else is raised.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from gatebook.evidence.faults import EvidenceFault
from gatebook.model.errors import quoted

MAX_MEMBERS = 20_000  # LIMIT: below 65,535, beyond which the format needs its 64-bit form
MAX_ARCHIVE_BYTES = (1 << 31) - 1  # LIMIT: as above; and some readers take lengths as signed
MAX_NAME_CHARACTERS = 200

_NAME = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+){0,2}")
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MARK, _CENTRAL_MARK, _END_MARK = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_NEEDED = 10
_MADE_BY = 0x0314  # Unix, version 2.0
_DATE = 33  # 1980-01-01, the first there is
_ATTRIBUTES = 0o100644 << 16


class ArchiveFault(EvidenceFault):
    """An archive has not its form, or a member is not what its checksum says."""

    code = "bundle"


@dataclass(frozen=True, slots=True)
class Member:
    """A member as it lies in the archive. `data` is a view, nothing is copied."""

    name: str
    data: memoryview


@dataclass(frozen=True, slots=True)
class _Entry:
    name: bytes
    checksum: int
    size: int
    offset: int


class ArchiveWriter:
    """Writes members one behind the other, then `finish`. ArchiveFault where a bound would be broken."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._entries: list[_Entry] = []
        self._offset = 0

    def add(self, name: str, size: int, checksum: int, pieces: Iterable[bytes]) -> None:
        """Write a member of `size` bytes with this CRC-32. ArchiveFault if the pieces are not that, or by the name."""
        if not is_name(name) or len(self._entries) >= MAX_MEMBERS:
            raise ArchiveFault("bundle_form", f"a bundle cannot hold a member more, named {quoted(name)}")
        entry = _Entry(name.encode(), checksum, size, self._offset)
        if self._offset + size + _tail_bytes([*self._entries, entry]) > MAX_ARCHIVE_BYTES:
            raise ArchiveFault("bundle_form", "a bundle would be longer than 2 GiB", "select less")
        self._put(_local(entry))
        found, written = 0, 0
        for piece in pieces:
            found = zlib.crc32(piece, found)
            written += len(piece)
            self._put(piece)
        if (found, written) != (checksum, size):
            raise ArchiveFault("bundle_member", f"{quoted(name)} changed while it was read")
        self._entries.append(entry)

    def finish(self) -> None:
        """Write the directory. Nothing can be added any more."""
        self._put(_directory(self._entries, self._offset))

    def _put(self, data: bytes) -> None:
        self._write(data)
        self._offset += len(data)


def is_name(name: str) -> bool:
    """Return whether a member may be named so."""
    is_formed = len(name) <= MAX_NAME_CHARACTERS and _NAME.fullmatch(name) is not None
    return is_formed and not {".", ".."} & set(name.split("/"))


def encode_archive(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Return an archive of names and contents, in the order given. ArchiveFault where a bound would be broken."""
    out = bytearray()
    writer = ArchiveWriter(out.extend)
    for name, data in members:
        writer.add(name, len(data), zlib.crc32(data), [data])
    writer.finish()
    return bytes(out)


def parse_archive(data: bytes | memoryview) -> list[Member]:
    """Return the members of an archive, in order. ArchiveFault unless the bytes are what `ArchiveWriter` writes."""
    view = memoryview(data).toreadonly()
    if len(view) > MAX_ARCHIVE_BYTES:
        raise ArchiveFault("bundle_form", "a bundle is longer than 2 GiB")
    members: list[Member] = []
    entries: list[_Entry] = []
    names: set[bytes] = set()
    offset = 0
    while view[offset : offset + 4] == _LOCAL_MARK:
        if len(members) >= MAX_MEMBERS:
            raise ArchiveFault("bundle_form", f"a bundle has more than {MAX_MEMBERS} members")
        entry, offset = _read_member(view, offset)
        if entry.name in names:
            raise ArchiveFault("bundle_form", f"{quoted(entry.name.decode())} is there twice")
        names.add(entry.name)
        entries.append(entry)
        members.append(Member(entry.name.decode(), view[offset - entry.size : offset]))
    if view[offset:] != _directory(entries, offset):
        raise ArchiveFault("bundle_form", "the directory of the archive is not the one of its members")
    return members


def _read_member(view: memoryview, offset: int) -> tuple[_Entry, int]:
    """Return the member at an offset, and the offset behind it."""
    if len(view) - offset < _LOCAL.size:
        raise ArchiveFault("bundle_form", "the archive is cut")
    fields = _LOCAL.unpack_from(view, offset)
    checksum, size, name_bytes = fields[6], fields[8], fields[9]
    begin = offset + _LOCAL.size
    name = bytes(view[begin : begin + name_bytes])
    if not name.isascii() or not is_name(name.decode()):
        raise ArchiveFault("bundle_form", "a member has a name that none may have")
    entry = _Entry(name, checksum, size, offset)
    header = _local(entry)
    if view[offset : offset + len(header)] != header:
        raise ArchiveFault("bundle_form", f"the head of {quoted(name.decode())} has not its form")
    begin = offset + len(header)
    if size > len(view) - begin:
        raise ArchiveFault("bundle_form", f"{quoted(name.decode())} is cut")
    if zlib.crc32(view[begin : begin + size]) != checksum:
        raise ArchiveFault("bundle_member", f"{quoted(name.decode())} is not what its checksum says")
    return entry, begin + size


def _local(entry: _Entry) -> bytes:
    fields = (_NEEDED, 0, 0, 0, _DATE, entry.checksum, entry.size, entry.size, len(entry.name), 0)
    return _LOCAL.pack(_LOCAL_MARK, *fields) + entry.name


def _directory(entries: list[_Entry], offset: int) -> bytes:
    out = bytearray()
    for entry in entries:
        fields = (_MADE_BY, _NEEDED, 0, 0, 0, _DATE, entry.checksum, entry.size, entry.size, len(entry.name))
        out += _CENTRAL.pack(_CENTRAL_MARK, *fields, 0, 0, 0, 0, _ATTRIBUTES, entry.offset) + entry.name
    count = len(entries)
    return bytes(out) + _END.pack(_END_MARK, 0, 0, count, count, len(out), offset, 0)


def _tail_bytes(entries: list[_Entry]) -> int:
    """Return the most that head and directory of so many members take."""
    return _LOCAL.size + _END.size + len(entries) * (_CENTRAL.size + MAX_NAME_CHARACTERS) + MAX_NAME_CHARACTERS
