# SPDX-License-Identifier: Apache-2.0
"""Recordings as bytes: chunks that can be checked without a key, and frames for who has it.

SPEC: docs/spec/recording.md, "Chunks". File: header of 80 bytes, chunks of a 16-byte header and stored bytes. Bounds:
plain length 8 MiB, stored length what zstd makes of that at worst. Everything else raises RecordingFault.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import Read
from gatebook.evidence.private import derive_key
from gatebook.model.secret import Secret

MAGIC = b"GATEBOOKREC1"
VERSION = 1
HEADER_BYTES = 80
CHUNK_HEADER_BYTES = 16
AUTHENTICATED_BYTES = 12  # of the chunk header: index, plain length, frames
MAX_PLAIN_BYTES = 8 << 20
MAX_STORED_BYTES = MAX_PLAIN_BYTES + (MAX_PLAIN_BYTES >> 8) + 4096  # zstd grows what it cannot compress by less
NONCE_DOMAIN = b"\x00\x00\x00\x02"
FROM_CLIENT = ">"
TO_CLIENT = "<"

_HEADER = struct.Struct(">12sI64s")
_CHUNK = struct.Struct(">IIII")
_FRAME = struct.Struct(">cQI")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class RecordingFault(EvidenceFault):
    """A recording has not its form, or does not authenticate."""

    code = "recording"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk as stored. `digest` is SHA-256 over all its bytes; `end` the offset behind it."""

    index: int
    plain_bytes: int
    frames: int
    header: bytes
    stored: bytes
    digest: bytes
    end: int

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return CHUNK_HEADER_BYTES + int(_CHUNK.unpack(self.header)[3])


@dataclass(frozen=True, slots=True)
class Frame:
    """A piece of one direction's byte stream: `>` from the client, `<` to it."""

    direction: str
    at: datetime
    data: bytes


def parse_header(data: bytes, session: str) -> None:
    """Check the first 80 bytes of a recording. RecordingFault unless they are those of this session."""
    if len(data) != HEADER_BYTES:
        raise RecordingFault("recording_header", "a recording is shorter than its header")
    magic, version, padded = _HEADER.unpack(data)
    if magic != MAGIC or version != VERSION:
        raise RecordingFault("recording_header", "a recording has another magic or version")
    if padded != session.encode().ljust(64, b"\0"):
        raise RecordingFault("recording_header", "a recording is of another session")


def read_chunks(read: Read) -> Iterator[Chunk]:
    """Yield the chunks behind the header; no key is needed. RecordingFault at the first that is not whole."""
    index, offset = 0, HEADER_BYTES
    while header := read(CHUNK_HEADER_BYTES):
        if len(header) < CHUNK_HEADER_BYTES:
            raise RecordingFault("recording_torn", f"chunk {index} is cut")
        number, plain_bytes, frames, stored_bytes = _CHUNK.unpack(header)
        if number != index:
            raise RecordingFault("recording_torn", f"chunk {index} has another index")
        if plain_bytes > MAX_PLAIN_BYTES or stored_bytes > MAX_STORED_BYTES:
            raise RecordingFault("recording_torn", f"chunk {index} has an impossible length")
        stored = read(stored_bytes)
        if len(stored) < stored_bytes:
            raise RecordingFault("recording_torn", f"chunk {index} is cut")
        offset += CHUNK_HEADER_BYTES + stored_bytes
        digest = hashlib.sha256(header + stored).digest()
        yield Chunk(index, plain_bytes, frames, header, stored, digest, offset)
        index += 1


class ChunkOpener:
    """Opens the chunks of one recording with its key."""

    def __init__(self, recording_key: Secret, session: str) -> None:
        self._cipher = AESGCM(derive_key(recording_key, b"gatebook recording v1"))
        self._session = session.encode()
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_PLAIN_BYTES)

    def open(self, chunk: Chunk) -> list[Frame]:
        """Return the frames. RecordingFault if the chunk does not authenticate or is not what its header says."""
        nonce = NONCE_DOMAIN + chunk.index.to_bytes(8, "big")
        try:
            packed = self._cipher.decrypt(nonce, chunk.stored, self._session + chunk.header[:AUTHENTICATED_BYTES])
        except InvalidTag as fault:
            raise RecordingFault("recording_chunk", f"chunk {chunk.index} does not authenticate") from fault
        try:
            # Read as a stream: the size in the frame's own header is not trusted with memory.
            plain = self._decompressor.stream_reader(packed).read(chunk.plain_bytes + 1)
        except zstandard.ZstdError as fault:
            raise RecordingFault("recording_chunk", f"chunk {chunk.index} does not decompress") from fault
        frames = list(_frames(plain))
        if len(plain) != chunk.plain_bytes or len(frames) != chunk.frames:
            raise RecordingFault("recording_chunk", f"chunk {chunk.index} is not what its header says")
        return frames


def root_of(digests: list[bytes]) -> str:
    """Return the root that seals a recording: SHA-256 over the chunks' digests in order."""
    return "sha256:" + hashlib.sha256(b"".join(digests)).hexdigest()


def _frames(plain: bytes) -> Iterator[Frame]:
    offset = 0
    while offset < len(plain):
        if offset + _FRAME.size > len(plain):
            raise RecordingFault("recording_chunk", "a frame is cut")
        direction, unix_us, length = _FRAME.unpack_from(plain, offset)
        offset += _FRAME.size
        data = plain[offset : offset + length]
        offset += length
        if direction not in {b">", b"<"} or len(data) != length:
            raise RecordingFault("recording_chunk", "a frame has not its form")
        try:
            at = _EPOCH + timedelta(microseconds=unix_us)
        except OverflowError as fault:
            raise RecordingFault("recording_chunk", "a frame has an impossible time") from fault
        yield Frame(direction.decode(), at, data)
