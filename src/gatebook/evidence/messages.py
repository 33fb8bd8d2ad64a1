# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL messages out of a recorded byte stream: just enough of the protocol to read a recording.

SPEC: PostgreSQL 17, "Message Formats" (protocol 3.0): type byte, length (u32, itself included), payload; the startup
message has no type byte. LIMIT: of a message over 16 MiB only its size is kept. Nothing here raises: a recording is
shown as far as it can be read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

MAX_MESSAGE_BYTES = 16 << 20
MAX_HEX_BYTES = 256  # of a binary value that is not understood
STARTUP = ""

_TIMES = frozenset({1082, 1114, 1184})  # date, timestamp, timestamptz
_EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001  PostgreSQL counts from here, without a zone
_TEXT_TYPES = frozenset({18, 19, 25, 114, 142, 1042, 1043})  # "char", name, text, json, xml, bpchar, varchar
_NUMBERS = {20: ">q", 21: ">h", 23: ">i", 26: ">I", 700: ">f", 701: ">d"}


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `kind` is its type letter, empty for a startup message; `skipped` counts bytes not kept.

    `offset` counts the bytes that were recorded before it, of both directions.
    """

    kind: str
    at: datetime
    payload: bytes
    skipped: int = 0
    offset: int = field(default=0, compare=False)  # where it stands is not what it is


@dataclass(slots=True)
class Splitter:
    """Joins the frames of one direction and cuts them into messages. `unreadable` once they make no sense."""

    unreadable: bool = False
    _buffer: bytearray = field(default_factory=bytearray)
    _kind: str = ""
    _skip: int = 0
    _skipped: int = 0
    _begun: int = 0

    def feed(self, data: bytes, at: datetime, offset: int = 0) -> Iterator[Message]:
        """Yield the messages that are complete with these bytes, with the time of their last.

        `offset` counts the bytes that were recorded before these.
        """
        if self.unreadable:
            return
        if self._skip:
            taken = min(self._skip, len(data))
            self._skip -= taken
            data = data[taken:]
            offset += taken
            if self._skip:
                return
            yield Message(self._kind, at, b"", self._skipped, self._begun)
        before = len(self._buffer)
        self._buffer += data
        yield from self._cut(at, offset - before, offset)

    def _cut(self, at: datetime, base: int, fed: int) -> Iterator[Message]:
        """Cut the buffer, of which what came now stands at `fed` in the recording, and the rest before it."""
        offset = 0
        buffer = self._buffer
        while len(buffer) - offset >= 5:
            typed = buffer[offset] != 0
            kind = chr(buffer[offset]) if typed else STARTUP
            start = offset + typed
            (length,) = struct.unpack_from(">I", buffer, start)
            if length < 4 or not (kind == STARTUP or kind.isalnum()):
                self.unreadable = True
                buffer.clear()
                return
            end = start + length
            if length > MAX_MESSAGE_BYTES:
                self._kind, self._skipped = kind, length
                self._begun = self._place(base + offset, fed)
                self._skip = max(0, end - len(buffer))
                rest = bytes(buffer[end:])
                buffer.clear()
                if self._skip == 0:
                    yield Message(kind, at, b"", length, self._begun)
                    buffer += rest
                    base += end
                    offset = 0
                    continue
                return
            if end > len(buffer):
                break
            yield Message(kind, at, bytes(buffer[start + 4 : end]), 0, self._place(base + offset, fed))
            offset = end
        self._begun = self._place(base + offset, fed)
        del buffer[:offset]

    def _place(self, offset: int, fed: int) -> int:
        """Return where a message begins: what began before these bytes came began where it did then."""
        return offset if offset >= fed else self._begun


class Fields:
    """Reads a payload from its start. Behind the end there are zeros and empty strings: nothing raises."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._offset = 0

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self._payload) - self._offset

    def take(self, count: int) -> bytes:
        """Return the next bytes; fewer at the end."""
        data = self._payload[self._offset : self._offset + max(count, 0)]
        self._offset += len(data)
        return data

    def number(self, size: int) -> int:
        """Return a signed number of so many bytes."""
        data = self.take(size)
        return int.from_bytes(data, "big", signed=True) if len(data) == size else 0

    def count(self) -> int:
        """Return a 16-bit count that the payload can hold: each item has at least two bytes."""
        return min(max(self.number(2), 0), self.left // 2 + 1)

    def string(self) -> str:
        """Return a string up to its zero byte."""
        end = self._payload.find(b"\0", self._offset)
        end = len(self._payload) if end < 0 else end
        data = self._payload[self._offset : end]
        self._offset = min(end + 1, len(self._payload))
        return text_of(data)

    def value(self) -> bytes | None:
        """Return a value with its length before it; None for NULL."""
        length = self.number(4)
        return None if length < 0 else self.take(length)


def text_of(data: bytes) -> str:
    """Return bytes as text; what is not UTF-8 stands as backslash and hex."""
    return data.decode("utf-8", "backslashreplace")


def show_value(data: bytes | None, format_code: int, type_oid: int) -> str | None:
    """Return a value as text: binary ones of common types are understood, others are shown in hex."""
    if data is None or format_code == 0:
        return None if data is None else text_of(data)
    if type_oid in _TEXT_TYPES:
        return text_of(data)
    if type_oid == 3802 and data[:1] == b"\x01":  # jsonb, version 1
        return text_of(data[1:])
    if type_oid == 16 and len(data) == 1:
        return "t" if data != b"\0" else "f"
    if type_oid == 2950 and len(data) == 16:
        return str(UUID(bytes=data))
    form = _NUMBERS.get(type_oid)
    if form is not None and struct.calcsize(form) == len(data):
        return str(struct.unpack(form, data)[0])
    if type_oid in _TIMES:
        moment = _show_moment(data, type_oid)
        if moment is not None:
            return moment
    return "\\x" + data[:MAX_HEX_BYTES].hex() + ("..." if len(data) > MAX_HEX_BYTES else "")


def _show_moment(data: bytes, type_oid: int) -> str | None:
    """Return a date or timestamp; None for infinity and years that Python does not count."""
    if len(data) != (4 if type_oid == 1082 else 8):
        return None
    count = int.from_bytes(data, "big", signed=True)
    try:
        if type_oid == 1082:
            return (_EPOCH + timedelta(days=count)).date().isoformat()
        moment = (_EPOCH + timedelta(microseconds=count)).isoformat(sep=" ")
    except OverflowError:
        return None
    return moment + ("+00" if type_oid == 1184 else "")
