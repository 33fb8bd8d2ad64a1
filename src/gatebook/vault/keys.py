# SPDX-License-Identifier: Apache-2.0
"""Keys of recordings: one per session, wrapped by a key-encryption key that lives outside the store.

SPEC: docs/spec/recording.md, "Key file". Canonical JSON with a newline, at most 4 KiB. Anything else raises KeyFault.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatebook.evidence.entry import EntryFault, Leaf, decode_canonical, encode_canonical
from gatebook.evidence.faults import EvidenceFault
from gatebook.model.errors import OperatorFault
from gatebook.model.secret import Secret

KEY_BYTES = 32
NONCE_BYTES = 12
MAX_HEAD_BYTES = 4096
VERSION = 1
_ID_HEX = 16


class KeyFault(EvidenceFault):
    """A key file has not its form, was made under another key, or does not authenticate."""

    code = "key"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("key_unusable", message, hint)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A session's key file: the recording key as the key-encryption key `kek` wrapped it."""

    session: str
    kek: str
    wrapped: bytes

    def encode(self) -> bytes:
        """Return the content of the file: `Admission.recording_head`."""
        wrapped = base64.b64encode(self.wrapped).decode()
        head: Leaf = {"key": wrapped, "kek": self.kek, "session": self.session, "v": VERSION}
        return encode_canonical(head) + b"\n"


def parse_key_file(session: str, head: bytes) -> KeyFile:
    """Return a key file from its content. KeyFault if it has not its form, or is not this session's."""
    if len(head) > MAX_HEAD_BYTES or not head.endswith(b"\n"):
        raise KeyFault("a key file has not its form")
    try:
        members = decode_canonical(head[:-1])
        wrapped = base64.b64decode(str(members.get("key", "")), validate=True)
    except (EntryFault, binascii.Error) as fault:
        raise KeyFault("a key file has not its form") from fault
    version, kek = members.get("v"), members.get("kek")
    if members.keys() != {"key", "kek", "session", "v"} or isinstance(version, bool) or version != VERSION:
        raise KeyFault("a key file has not its form")
    if members["session"] != session:
        raise KeyFault("a key file is of another session")
    if not isinstance(kek, str):
        raise KeyFault("a key file has not its form")
    return KeyFile(session, kek, wrapped)


def made_under_another() -> KeyFault:
    """Return the fault of a key file whose key-encryption key is not at hand."""
    return KeyFault(
        "a key file was made under another key",
        "give the key of that time as one of `older_recording_keys` in the configuration",
    )


@dataclass(frozen=True, slots=True)
class KeyEncryptionKey:
    """A key that wraps recording keys and is held here. `id` names it in key files and tells nothing of it."""

    id: str
    _key: Secret
    is_remote = False

    def wrap(self, session: str, recording_key: Secret) -> bytes:
        """See `KeyStore`; no call blocks."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self._key.reveal()).encrypt(nonce, recording_key.reveal(), session.encode())
        return KeyFile(session, self.id, nonce + sealed).encode()

    def unwrap(self, session: str, head: bytes) -> Secret:
        """See `KeyStore`; no call blocks."""
        file = parse_key_file(session, head)
        if file.kek != self.id:
            raise made_under_another()
        nonce, sealed = file.wrapped[:NONCE_BYTES], file.wrapped[NONCE_BYTES:]
        try:
            key = AESGCM(self._key.reveal()).decrypt(nonce, sealed, session.encode())
        except (InvalidTag, ValueError) as fault:
            raise KeyFault("a key file does not authenticate") from fault
        return checked_key(key)


def checked_key(key: bytes) -> Secret:
    """Return a recording key that was unwrapped. KeyFault if it has another length."""
    if len(key) != KEY_BYTES:
        raise KeyFault("a key file holds a key of another length")
    return Secret(key)


def parse_key(secret: Secret) -> KeyEncryptionKey:
    """Return the key-encryption key from what the configuration refers to: 64 hex digits or base64 of 32 bytes.

    OperatorFault, which repeats nothing of it, if it is neither.
    """
    written = secret.reveal().strip()
    key = b""
    with contextlib.suppress(ValueError):  # of both decoders; the message below says it for either
        key = bytes.fromhex(written.decode()) if len(written) == 64 else base64.b64decode(written, validate=True)
    if len(key) != KEY_BYTES:
        raise OperatorFault(
            "the recording key is not 32 bytes as 64 hex digits or base64", "make one with `openssl rand -hex 32`"
        )
    name = hashlib.sha256(b"gatebook key-encryption key v1" + key).hexdigest()[:_ID_HEX]
    return KeyEncryptionKey(name, Secret(key))
