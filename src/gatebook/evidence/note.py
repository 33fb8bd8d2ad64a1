# SPDX-License-Identifier: Apache-2.0
"""Signed notes: text under which keys have put their names, and the keys as texts.

SPEC: docs/spec/ledger.md, "Checkpoint" and "Notary". Source: C2SP signed-note with Ed25519, and where that leaves a
choice Go's golang.org/x/mod/sumdb/note. Note: text ending in a newline, an empty line, signature lines of em dash,
space, name, space, base64 of key id (4) and signature. Bounds: 1 MiB, 100 signatures. Refused: what is not UTF-8,
control characters but newline, names with a space or `+`. Stricter than Go: base64 has one form, hex is lower-case.
Everything else raises NoteFault, and nothing else is raised.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gatebook.evidence.faults import EvidenceFault
from gatebook.model.errors import quoted
from gatebook.model.secret import Secret

MAX_NOTE_BYTES = 1 << 20
MAX_SIGNATURES = 100  # LIMIT: as Go; witnesses add one each
MAX_NAME_CHARACTERS = 1024  # of a key of ours; names of keys that nobody knows are bounded by the note
MAX_KEY_CHARACTERS = MAX_NAME_CHARACTERS + 128  # nothing longer is decoded
KEY_ID_BYTES = 4
ED25519 = b"\x01"
ED25519_BYTES = 32

_SIGNATURE_START = "\u2014 "
_NOT_TEXT = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")
_PRIVATE_START = "PRIVATE+KEY+"


class NoteFault(EvidenceFault):
    """A note or key has not its form, or a note is not signed by whom it should be."""

    code = "note"


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature line: who says to have signed, with which key, and 1 byte or more of signature."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note by its form alone: text with its last newline, and signatures of which none is checked."""

    text: str
    signatures: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A public key with the name of whose it is, of the type that `KIND` says. NoteFault if either cannot be such."""

    name: str
    public_key: bytes

    KIND: ClassVar[bytes]

    def __post_init__(self) -> None:
        """Refuse a name with which no line can be written, and a key of another length."""
        if len(self.name) > MAX_NAME_CHARACTERS or not _is_name(self.name):
            raise NoteFault("note_key", "a name of a key is empty, too long, or has a space, `+` or control character")
        if len(self.public_key) != ED25519_BYTES:
            raise NoteFault("note_key", "a public key has not 32 bytes")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `<name>+<key id, 8 hex digits>+<base64 of type byte || public key>`.

        NoteFault on any other form, also a key of another type, and if the key id is not that of name and key.
        """
        parts = text.split("+", 2) if len(text) <= MAX_KEY_CHARACTERS else []
        if len(parts) != 3:
            raise NoteFault("note_key", "a verifier key has not the form <name>+<key id>+<base64>")
        name, _, encoded = parts
        key = cls(name, _decode_key(encoded, cls.KIND))
        if key.text() != text:
            raise NoteFault("note_key", "a verifier key has another key id than its name and key give")
        return key

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name || 0x0A || type byte || public key)."""
        return sha256(self.name.encode() + b"\n" + self.KIND + self.public_key).digest()[:KEY_ID_BYTES]

    def text(self) -> str:
        """Return the form that `parse` reads."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.KIND + self.public_key).decode()}"


@dataclass(frozen=True, slots=True)
class Verifier(NamedKey):
    """The key of who signs notes (type byte 0x01)."""

    KIND: ClassVar[bytes] = ED25519

    def verify(self, text: str, signature: bytes) -> None:
        """NoteFault unless the key has made this signature over the text."""
        verify_ed25519(self.public_key, text.encode(), signature, self.name)


class Signer:
    """A private key with the name of whose it is. Only `text()` shows the key."""

    __slots__ = ("_key", "_seed", "_verifier")

    def __init__(self, name: str, seed: Secret) -> None:
        """Derive the key from its seed of 32 bytes. NoteFault if name or seed cannot be such."""
        if len(seed.reveal()) != ED25519_BYTES:
            raise NoteFault("note_key", "the seed of a key has not 32 bytes")
        self._seed = seed
        self._key = Ed25519PrivateKey.from_private_bytes(seed.reveal())
        self._verifier = Verifier(name, self._key.public_key().public_bytes_raw())

    @classmethod
    def make(cls, name: str, seed: bytes) -> Signer:
        """Return the key of a seed of 32 random bytes. NoteFault if name or seed cannot be such."""
        return cls(name, Secret(seed))

    @classmethod
    def parse(cls, text: str) -> Signer:
        """Parse `PRIVATE+KEY+<name>+<key id>+<base64 of 0x01 || seed>`.

        NoteFault, which shows nothing of the key, on any other form, and if the key id is not that of name and key.
        """
        parts = text.split("+", 4) if len(text) <= MAX_KEY_CHARACTERS else []
        if len(parts) != 5 or not text.startswith(_PRIVATE_START):
            raise NoteFault("note_key", "a signer key has not the form PRIVATE+KEY+<name>+<key id>+<base64>")
        *_, name, _, encoded = parts
        signer = cls.make(name, _decode_key(encoded, ED25519))
        if signer.text() != text:
            raise NoteFault("note_key", "a signer key has another key id than its name and key give")
        return signer

    @property
    def name(self) -> str:
        """Whose key it is."""
        return self._verifier.name

    @property
    def verifier(self) -> Verifier:
        """The public key."""
        return self._verifier

    def text(self) -> str:
        """Return the private form, which `parse` reads. Never for a log or an error."""
        encoded = base64.b64encode(ED25519 + self._seed.reveal()).decode()
        return f"{_PRIVATE_START}{self.name}+{self._verifier.key_id.hex()}+{encoded}"

    def sign(self, text: str) -> str:
        """Return the signature line over a text, with its newline. NoteFault if no note can have this text."""
        if not text.endswith("\n") or not _is_text(text):
            raise NoteFault("note_form", "a text has no newline at its end, or has control characters")
        return signature_line(self.name, self._verifier.key_id + self.sign_bytes(text.encode()))

    def sign_bytes(self, message: bytes) -> bytes:
        """Return the 64 bytes of signature over a message, for signatures of another type than a note's own."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        """Show whose key it is, and nothing of it."""
        return f"Signer({self.name!r}, ***)"


def sign_note(text: str, *signers: Signer) -> bytes:
    """Return the note with one signature line for each signer.

    NoteFault if nobody signs or too many do, and unless the text ends in a newline, has no other control characters,
    and is at most 1 MiB together with the signatures.
    """
    if not 1 <= len(signers) <= MAX_SIGNATURES:
        raise NoteFault("note_form", f"a note cannot have {len(signers)} signatures")
    note = (text + "\n" + "".join(signer.sign(text) for signer in signers)).encode()
    if len(note) > MAX_NOTE_BYTES:
        raise NoteFault("note_form", f"a note of {len(note)} bytes is longer than {MAX_NOTE_BYTES}")
    return note


def countersign(note: bytes, signer: Signer) -> bytes:
    """Return a note with the signature line of one more key below those it has. NoteFault as `sign_note`."""
    parsed = parse_note(note)
    if len(parsed.signatures) >= MAX_SIGNATURES:
        raise NoteFault("note_form", f"a note cannot have more than {MAX_SIGNATURES} signatures")
    return note + signer.sign(parsed.text).encode()


def parse_note(data: bytes) -> Note:
    """Parse a note by its form. NoteFault on any other form. Whoever uses the text must check a signature first."""
    if len(data) > MAX_NOTE_BYTES:
        raise NoteFault("note_form", f"a note of {len(data)} bytes is longer than {MAX_NOTE_BYTES}")
    try:
        whole = data.decode()
    except UnicodeDecodeError as fault:
        raise NoteFault("note_form", "a note is not UTF-8") from fault
    if not _is_text(whole):
        raise NoteFault("note_form", "a note has control characters")
    split = whole.rfind("\n\n")
    if split < 0 or not whole.endswith("\n") or whole.endswith("\n\n"):
        raise NoteFault("note_form", "a note has no signature lines below an empty line, or no newline at its end")
    lines = whole[split + 2 : -1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise NoteFault("note_form", f"a note has more than {MAX_SIGNATURES} signatures")
    return Note(whole[: split + 1], tuple(_parse_signature(line) for line in lines))


def open_note(data: bytes, verifiers: Iterable[Verifier]) -> tuple[str, list[str]]:
    """Return the text of a note and the names of the known keys that signed it, in the order of their lines.

    Signatures of other keys are ignored, and a key's second signature. NoteFault on any other form, if no known key has
    signed, if the signature of a known one does not verify, or if two different known keys have one name and key id.
    """
    known: dict[tuple[str, bytes], Verifier] = {}
    for verifier in verifiers:
        if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
            raise NoteFault("note_key", f"two keys of {quoted(verifier.name)} have the same key id")
    note = parse_note(data)
    signed: dict[tuple[str, bytes], str] = {}
    for line in note.signatures:
        who = (line.name, line.key_id)
        if who in known and who not in signed:
            known[who].verify(note.text, line.signature)
            signed[who] = line.name
    if not signed:
        hint = "if the notary's key was changed, `gatebook ledger verify --key` leads from the old one to the present"
        raise NoteFault("note_unsigned", "a note has no signature of a known key", hint)
    return note.text, list(signed.values())


def signature_line(name: str, signature: bytes) -> str:
    """Return the line of a signature (key id before it), with its newline."""
    return f"{_SIGNATURE_START}{name} {base64.b64encode(signature).decode()}\n"


def verify_ed25519(public_key: bytes, message: bytes, signature: bytes, name: str) -> None:
    """NoteFault, which bears the name, unless the key has made this signature (64 bytes) over the message."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as fault:
        raise NoteFault("note_signature", f"the signature of {quoted(name)} does not verify") from fault


def decode_base64(text: str) -> bytes | None:
    """Return the bytes of base64 by RFC 4648, 4; None unless the text is exactly what encoding them gives."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return decoded if base64.b64encode(decoded).decode() == text else None


def _parse_signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_SIGNATURE_START).partition(" ")
    decoded = decode_base64(encoded)
    is_line = line.startswith(_SIGNATURE_START) and _is_name(name)
    if not is_line or decoded is None or len(decoded) <= KEY_ID_BYTES:
        raise NoteFault("note_form", f"a signature line has not its form: {quoted(line)}")
    return Signature(name, decoded[:KEY_ID_BYTES], decoded[KEY_ID_BYTES:])


def _decode_key(encoded: str, kind: bytes) -> bytes:
    """Return the 32 bytes behind the type byte. NoteFault, which shows nothing of them, on any other form."""
    decoded = decode_base64(encoded)
    if decoded is None or len(decoded) != len(kind) + ED25519_BYTES or not decoded.startswith(kind):
        raise NoteFault("note_key", f"a key is not base64 of the type byte {kind[0]} (Ed25519) and 32 bytes")
    return decoded[len(kind) :]


def _is_text(text: str) -> bool:
    """Return whether a text has no control character but newline, and no half of a surrogate pair."""
    return _NOT_TEXT.search(text) is None


def _is_name(name: str) -> bool:
    """Return whether a key may have this name: not empty, no space of Unicode, no `+`, nothing that no text has."""
    return bool(name) and "+" not in name and not any(map(str.isspace, name)) and _is_text(name)
