# SPDX-License-Identifier: Apache-2.0
"""Private parts of entries: opened with the recording's key, and only if they are what the leaf committed to.

SPEC: docs/spec/entry.md, "Private part". Sealed: nonce (12 bytes), AES-256-GCM of salt (32) and JSON, tag (16). At most
the size of an entry. Everything else raises PrivateFault.
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gatebook.evidence.entry import EntryFault, Leaf, decode_canonical
from gatebook.evidence.faults import EvidenceFault
from gatebook.model.secret import Secret

SALT_BYTES = 32
NONCE_BYTES = 12
NONCE_DOMAIN = b"\x00\x00\x00\x01"


class PrivateFault(EvidenceFault):
    """A private part does not open, or is not what its leaf says."""

    code = "private"

    def __init__(self, message: str) -> None:
        super().__init__("private_part", message)


class PrivateParts:
    """Opens the private parts of one session."""

    def __init__(self, recording_key: Secret, session: str) -> None:
        self._cipher = AESGCM(derive_key(recording_key, b"gatebook private v1"))
        self._session = session.encode()

    def open(self, seq: int, sealed: bytes, commitment: str) -> Leaf:
        """Return the object of the entry with this `seq`; `commitment` is the leaf's `private`.

        PrivateFault if it was made for another entry, session or key, or is not what the leaf committed to.
        """
        nonce, body = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        if nonce != NONCE_DOMAIN + seq.to_bytes(8, "big"):
            raise PrivateFault("a private part is of another entry")
        try:
            blob = self._cipher.decrypt(nonce, body, self._session)
        except InvalidTag as fault:
            raise PrivateFault("a private part does not authenticate") from fault
        if commit(blob) != commitment:
            raise PrivateFault("a private part is not what its leaf committed to")
        try:
            return decode_canonical(blob[SALT_BYTES:])
        except EntryFault as fault:
            raise PrivateFault("a private part is not canonical JSON") from fault


def commit(blob: bytes) -> str:
    """Return what a leaf says of its private part: SHA-256 over salt and JSON."""
    return "sha256:" + hashlib.sha256(blob).hexdigest()


def derive_key(recording_key: Secret, info: bytes) -> bytes:
    """Return the 32-byte key for one use of a recording key: HKDF-SHA-256 without salt."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(recording_key.reveal())
