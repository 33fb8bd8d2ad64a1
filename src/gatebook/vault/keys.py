# SPDX-License-Identifier: Apache-2.0
"""Keys of recordings: one per session, wrapped by a key-encryption key that lives outside the store.

SPEC: docs/spec/recording.md, "Key file". Canonical JSON with a newline, at most 4 KiB. Anything else raises KeyFault.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
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
class KeyEncryptionKey:
    """The key that wraps recording keys. `id` names it in key files and tells nothing of it."""

    id: str
    _key: Secret

    def wrap(self, session: str, recording_key: Secret, nonce: bytes) -> bytes:
        """Return the content of a session's key file: `Admission.recording_head`.

        `nonce` is 12 bytes of the operating system's randomness, used for nothing else.
        """
        sealed = nonce + AESGCM(self._key.reveal()).encrypt(nonce, recording_key.reveal(), session.encode())
        head: Leaf = {"key": base64.b64encode(sealed).decode(), "kek": self.id, "session": session, "v": VERSION}
        return encode_canonical(head) + b"\n"

    def unwrap(self, session: str, head: bytes) -> Secret:
        """Return the recording key from a key file. KeyFault if it is not this session's or not under this key."""
        if len(head) > MAX_HEAD_BYTES or not head.endswith(b"\n"):
            raise KeyFault("a key file has not its form")
        try:
            members = decode_canonical(head[:-1])
            sealed = base64.b64decode(str(members.get("key", "")), validate=True)
        except (EntryFault, binascii.Error) as fault:
            raise KeyFault("a key file has not its form") from fault
        version = members.get("v")
        if members.keys() != {"key", "kek", "session", "v"} or isinstance(version, bool) or version != VERSION:
            raise KeyFault("a key file has not its form")
        if members["session"] != session:
            raise KeyFault("a key file is of another session")
        if members["kek"] != self.id:
            raise KeyFault(
                "a key file was made under another key", "give the `recording_key` of that time in the configuration"
            )
        try:
            key = AESGCM(self._key.reveal()).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], session.encode())
        except (InvalidTag, ValueError) as fault:
            raise KeyFault("a key file does not authenticate") from fault
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
