# SPDX-License-Identifier: Apache-2.0
"""Evidence made from the specifications, byte by byte and independently of the code under test."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RECORDING_KEY = b"\x07" * 32
KEK = b"\x11" * 32
SESSION = "s_abcdef"


def derive(key: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 without salt, first 32 bytes, by RFC 5869."""
    extracted = hmac.digest(bytes(32), key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def canonical(value: Any) -> bytes:  # noqa: ANN401  JSON
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def moment(seconds: float = 0) -> str:
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def leaf(event: str, writer: str = "gate", **members: object) -> bytes:
    return canonical({"event": event, "time": moment(), "v": 1, "writer": writer} | members)


def session_leaf(event: str, seq: int, session: str = SESSION, **members: object) -> bytes:
    common: dict[str, Any] = {"session": session, "seq": seq, "identity": {}, "source": {}, "where": {}}
    return leaf(event, **(common | members))


def start(seq: int = 0, session: str = SESSION) -> bytes:
    return session_leaf("session.start", seq, session, recording={"id": session}, upstream={}, parameters={})


def intent(number: int, seq: int, session: str = SESSION, **members: object) -> bytes:
    own = {"operation": f"{session}.{number}", "via": "query", "statement": {}, "recording": {}}
    return session_leaf("operation.intent", seq, session, **(own | members))


def held(number: int, seq: int, session: str = SESSION, **members: object) -> bytes:
    own = {"operation": f"{session}.{number}", "via": "query", "statement": {}, "recording": {}}
    return session_leaf("operation.held", seq, session, **(own | members))


def refused(number: int, seq: int, session: str = SESSION, **members: object) -> bytes:
    own = {"operation": f"{session}.{number}", "via": "query", "statement": {}, "recording": {}, "refusal": {}}
    return session_leaf("operation.refused", seq, session, **(own | members))


def outcome(number: int, seq: int, session: str = SESSION, **members: object) -> bytes:
    own = {"operation": f"{session}.{number}", "effect": {"status": "done"}}
    return session_leaf("operation.outcome", seq, session, **(own | members))


def end(seq: int, session: str = SESSION) -> bytes:
    return session_leaf("session.end", seq, session, cause="client closed", counts={})


def header(first: int = 1, previous: bytes = bytes(32), writer: bytes = b"gate", created_us: int = 7) -> bytes:
    return struct.pack(">12sIQ32sQ64s", b"GATEBOOKJNL1", 1, first, previous, created_us, writer)


def records(entries: Sequence[bytes | tuple[bytes, bytes]], previous: bytes = bytes(32)) -> tuple[bytes, bytes]:
    """Return the bytes of records and the last link; an entry is a leaf, or leaf and private part."""
    out = bytearray()
    for item in entries:
        plain, private = item if isinstance(item, tuple) else (item, b"")
        entry = struct.pack(">I", len(plain)) + plain + private
        previous = hashlib.sha256(previous + entry).digest()
        out += struct.pack(">I", len(entry)) + entry + previous
    return bytes(out), previous


def segment(entries: Sequence[bytes | tuple[bytes, bytes]], padding: int = 4096) -> bytes:
    return header() + records(entries)[0] + bytes(padding)


def seal_private(seq: int, operation: int, content: bytes, session: str = SESSION) -> tuple[bytes, str]:
    """Return a sealed private part and its commitment."""
    salt = hmac.digest(derive(RECORDING_KEY, b"gatebook salt v1"), struct.pack(">QQ", operation, seq), "sha256")
    nonce = struct.pack(">IQ", 1, seq)
    blob = salt + content
    sealed = AESGCM(derive(RECORDING_KEY, b"gatebook private v1")).encrypt(nonce, blob, session.encode())
    return nonce + sealed, "sha256:" + hashlib.sha256(blob).hexdigest()


def frame(direction: str, data: bytes, seconds: float = 0) -> bytes:
    unix_us = int((NOW + timedelta(seconds=seconds)).timestamp() * 1_000_000)
    return struct.pack(">cQI", direction.encode(), unix_us, len(data)) + data


def chunk(index: int, frames: Sequence[bytes], session: str = SESSION, packed: bytes | None = None) -> bytes:
    plain = b"".join(frames)
    authenticated = struct.pack(">III", index, len(plain), len(frames))
    nonce = struct.pack(">IQ", 2, index)
    packed = zstandard.compress(plain) if packed is None else packed
    key = derive(RECORDING_KEY, b"gatebook recording v1")
    stored = AESGCM(key).encrypt(nonce, packed, session.encode() + authenticated)
    return authenticated + struct.pack(">I", len(stored)) + stored


def recording_header(session: str = SESSION) -> bytes:
    return struct.pack(">12sI64s", b"GATEBOOKREC1", 1, session.encode())


def chunk_leaf(index: int, data: bytes, frames: int, session: str = SESSION) -> bytes:
    (plain,) = struct.unpack_from(">I", data, 4)
    numbers = {"index": index, "bytes": len(data), "plain": plain, "frames": frames}
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    return leaf("recording.chunk", session=session, sha256=digest, **numbers)


def sealed_leaf(chunks: Sequence[bytes], frames: int, session: str = SESSION) -> bytes:
    digests = b"".join(hashlib.sha256(data).digest() for data in chunks)
    root = "sha256:" + hashlib.sha256(digests).hexdigest()
    plain = sum(struct.unpack_from(">I", data, 4)[0] for data in chunks)
    return leaf("recording.sealed", session=session, chunks=len(chunks), frames=frames, plain=plain, root=root)


def key_file(session: str = SESSION) -> bytes:
    sealed = b"\x05" * 12 + AESGCM(KEK).encrypt(b"\x05" * 12, RECORDING_KEY, session.encode())
    kek = hashlib.sha256(b"gatebook key-encryption key v1" + KEK).hexdigest()[:16]
    head = {"key": base64.b64encode(sealed).decode(), "kek": kek, "session": session, "v": 1}
    return canonical(head) + b"\n"


def message(kind: str, payload: bytes) -> bytes:
    return kind.encode() + struct.pack(">I", len(payload) + 4) + payload
