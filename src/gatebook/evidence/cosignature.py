# SPDX-License-Identifier: Apache-2.0
"""Cosignatures: what a witness puts under a checkpoint, its keys, and the request in which it is asked to.

SPEC: docs/spec/ledger.md, "Witnesses". Source: C2SP tlog-cosignature, type Ed25519 (0x04), and C2SP tlog-witness.
Signature: time (u64 BE, seconds since 1970, below 2^63) and 64 bytes over `cosignature/v1`, `time <time>` and the text
of the checkpoint. Request: `old <size>`, 0 to 63 hashes in base64, an empty line, the checkpoint's note; 64 KiB.
Everything else raises CosignatureFault, or NoteFault where key or note is at fault; nothing else is raised.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from gatebook.evidence.checkpoint import MAX_DIGITS, Checkpoint, parse_decimal
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import (
    NamedKey,
    NoteFault,
    Signer,
    decode_base64,
    parse_note,
    signature_line,
    verify_ed25519,
)
from gatebook.evidence.tree import HASH_BYTES, MAX_SIZE
from gatebook.model.errors import quoted

COSIGNATURE = b"\x04"
MAX_TIME = (1 << 63) - 1
MAX_PROOF_LINES = 63  # SPEC: tlog-witness, add-checkpoint
MAX_REQUEST_BYTES = 64 << 10  # LIMIT: 63 hashes are 3 KiB; the rest is for cosignatures of others
_TIME_BYTES = 8
_SIGNATURE_BYTES = _TIME_BYTES + 64
_OLD = "old "
_LINE_CHARACTERS = 44  # of a hash in base64


class CosignatureFault(EvidenceFault):
    """A cosignature or a request for one has not its form, or says what cannot be."""

    code = "cosignature"


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A cosignature that was verified: by which key, and when by the witness's clock, in seconds since 1970."""

    key: CosignerKey
    time: int


@dataclass(frozen=True, slots=True)
class CosignerKey(NamedKey):
    """The key of a witness (type byte 0x04)."""

    KIND: ClassVar[bytes] = COSIGNATURE

    def verify(self, text: str, signature: bytes) -> int:
        """Return the time of a cosignature over the text of a checkpoint. NoteFault unless this key has made it."""
        time = int.from_bytes(signature[:_TIME_BYTES])
        if len(signature) != _SIGNATURE_BYTES or time > MAX_TIME:
            raise NoteFault("note_signature", f"the cosignature of {quoted(self.name)} has not its form")
        verify_ed25519(self.public_key, _message(text, time), signature[_TIME_BYTES:], self.name)
        return time


class Cosigner:
    """The private key of a witness: a signer's key, with which it signs nothing but cosignatures."""

    __slots__ = ("_signer",)

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    @property
    def key(self) -> CosignerKey:
        """The public key."""
        return CosignerKey(self._signer.name, self._signer.verifier.public_key)

    def cosign(self, checkpoint: Checkpoint, time: int) -> str:
        """Return the signature line over a checkpoint, with its newline. CosignatureFault for a time that none has."""
        if not 0 <= time <= MAX_TIME:
            raise CosignatureFault("cosignature_form", f"no cosignature has the time {time}")
        signature = self._signer.sign_bytes(_message(checkpoint.text(), time))
        return signature_line(self._signer.name, self.key.key_id + time.to_bytes(_TIME_BYTES) + signature)


@dataclass(frozen=True, slots=True)
class Request:
    """What a witness is asked: size of the tree it has, proof from there, and the note, of which nothing is checked."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def __post_init__(self) -> None:
        """Refuse what `encode` could not say so that `parse` reads it. CosignatureFault."""
        if not 0 <= self.old <= MAX_SIZE or len(self.proof) > MAX_PROOF_LINES:
            raise CosignatureFault("cosignature_form", "no request has that size, or so long a proof")
        if any(len(one) != HASH_BYTES for one in self.proof):
            raise CosignatureFault("cosignature_form", "a hash of a proof has not 32 bytes")

    @classmethod
    def parse(cls, data: bytes) -> Request:
        """Parse the body of add-checkpoint. CosignatureFault unless it is exactly what `encode` gives."""
        head, found, note = data.partition(b"\n\n")
        if len(data) > MAX_REQUEST_BYTES or not found or not head.isascii():
            raise CosignatureFault("cosignature_form", "a request is too long, or has no empty line")
        first, *lines = head.decode("ascii").split("\n")
        old = parse_decimal(first.removeprefix(_OLD)) if len(first) <= len(_OLD) + MAX_DIGITS else None
        if old is None or not first.startswith(_OLD):
            raise CosignatureFault("cosignature_form", "a request does not begin with `old` and a size")
        if len(lines) > MAX_PROOF_LINES:
            raise CosignatureFault("cosignature_form", f"a proof has more than {MAX_PROOF_LINES} lines")
        proof = [decode_base64(line) if len(line) == _LINE_CHARACTERS else None for line in lines]
        hashes = tuple(one for one in proof if one is not None and len(one) == HASH_BYTES)
        if len(hashes) != len(lines):
            raise CosignatureFault("cosignature_form", "a line of a proof is not a hash in base64")
        return cls(old, hashes, note)

    def encode(self) -> bytes:
        """Return the body of add-checkpoint. CosignatureFault if it is longer than a witness must read."""
        lines = [f"{_OLD}{self.old}", *(base64.b64encode(one).decode() for one in self.proof)]
        body = "\n".join(lines).encode() + b"\n\n" + self.note
        if len(body) > MAX_REQUEST_BYTES:
            raise CosignatureFault("cosignature_form", f"a request of {len(body)} bytes is longer than it may be")
        return body


def find_cosignatures(note: bytes, keys: Iterable[CosignerKey]) -> list[Cosignature]:
    """Return the cosignatures of known keys under a note, in the order of their lines; each public key counts once.

    Lines of other keys are ignored, and a key's second line. NoteFault if the note has another form, or a cosignature
    under a known name and key id does not verify. The notary's own signature is not looked at.
    """
    known = {(key.name, key.key_id): key for key in keys}
    parsed = parse_note(note)
    found: dict[bytes, Cosignature] = {}
    for line in parsed.signatures:
        key = known.get((line.name, line.key_id))
        if key is not None and key.public_key not in found:
            found[key.public_key] = Cosignature(key, key.verify(parsed.text, line.signature))
    return list(found.values())


def read_answer(note: bytes, answer: bytes, key: CosignerKey) -> tuple[str, int]:
    """Return the line of a key in a witness's answer for a note, with its newline, and its time.

    NoteFault if the answer holds other things than signature lines, or the key's own does not verify;
    CosignatureFault if there is none of the key.
    """
    text = parse_note(note).text
    lines = parse_note(text.encode() + b"\n" + answer)
    if lines.text != text:
        raise CosignatureFault("cosignature_form", "the answer of a witness has more than signature lines")
    for line in lines.signatures:
        if (line.name, line.key_id) == (key.name, key.key_id):
            return signature_line(line.name, line.key_id + line.signature), key.verify(text, line.signature)
    raise CosignatureFault("cosignature_missing", f"the answer has no cosignature of {quoted(key.name)}")


def with_cosignatures(note: bytes, lines: Sequence[str]) -> bytes:
    """Return a note with signature lines behind its own."""
    return note + "".join(lines).encode()


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
