# SPDX-License-Identifier: Apache-2.0
"""Public keys and signatures of OpenSSH, as people sign requests with: `ssh-keygen -Y sign`.

SPEC: docs/spec/consent.md; OpenSSH PROTOCOL.sshsig, PROTOCOL.u2f; RFC 4251, 5 (strings); RFC 5656, 3.1;
RFC 8709. Bounds: a key blob of 1 KiB, a signature of 4 KiB. Everything that is not listed raises SignatureFault.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gatebook.evidence.faults import EvidenceFault

MAX_KEY_BYTES = 1024
MAX_SIGNATURE_BYTES = 4096
KINDS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_MAGIC = b"SSHSIG"
_VERSION = 1
_CURVE = b"nistp256"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_USER_PRESENT = 1
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


class SignatureFault(EvidenceFault):
    """A key or signature has not its form, is of a kind that is not taken, or is not good."""

    code = "signature"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("purge_consent", message, hint)


@dataclass(frozen=True, slots=True)
class PersonKey:
    """A public key. `application` is that of a security key, else empty."""

    kind: str
    blob: bytes
    point: bytes
    application: bytes = b""

    @property
    def text(self) -> str:
        """Kind and base64, as in an `authorized_keys` file, without a comment."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")


def parse_public_key(text: str) -> PersonKey:
    """Parse a line of a `.pub` file, passing over a comment. SignatureFault if it is no key of a kind that is taken."""
    words = text.split(None, 2)
    if len(words) < 2 or words[0] not in KINDS:
        raise SignatureFault(
            "it is no public key of a kind that is taken", "give a `.pub` file of one of: " + ", ".join(KINDS)
        )
    return _parse_key(_decoded(words[1], MAX_KEY_BYTES), words[0].encode())


def unarmored(text: str) -> bytes:
    """Return the signature in the file that `ssh-keygen -Y sign` writes. SignatureFault if it is none."""
    lines = text.split()
    begin, end = _BEGIN.split(), _END.split()
    if lines[: len(begin)] != begin or lines[-len(end) :] != end:
        raise SignatureFault("it is no SSH signature", "make one with `ssh-keygen -Y sign`")
    return _decoded("".join(lines[len(begin) : -len(end)]), MAX_SIGNATURE_BYTES)


def key_of(signature: bytes) -> str:
    """Return the fingerprint of the key that a signature, without armor, names. SignatureFault if it is none."""
    reader = _Reader(signature, MAX_SIGNATURE_BYTES)
    if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != _VERSION:
        raise SignatureFault("it is no SSH signature of version 1")
    return "SHA256:" + base64.b64encode(hashlib.sha256(reader.string()).digest()).decode().rstrip("=")


def verify_signature(key: PersonKey, namespace: str, message: bytes, signature: bytes) -> None:
    """Check that a signature, without armor, is by this key, in this namespace, over this message. SignatureFault."""
    reader = _Reader(signature, MAX_SIGNATURE_BYTES)
    if reader.take(len(_MAGIC)) != _MAGIC or reader.number() != _VERSION:
        raise SignatureFault("it is no SSH signature of version 1")
    blob, named, reserved, hash_name, inner = (reader.string() for _ in range(5))
    reader.finish()
    if blob != key.blob:
        raise SignatureFault("it is by another key")
    if named != namespace.encode():
        raise SignatureFault("it was made for another purpose", f"sign with `-n {namespace}`")
    if reserved or hash_name not in _HASHES:
        raise SignatureFault("it has reserved data, or a hash that is not taken")
    signed = _MAGIC + b"".join(
        _string(part) for part in (named, reserved, hash_name, _HASHES[hash_name](message).digest())
    )
    try:
        _verify(key, signed, _Reader(inner, MAX_SIGNATURE_BYTES))
    except InvalidSignature as fault:
        raise SignatureFault("it is not good for what is to be signed") from fault


def _verify(key: PersonKey, signed: bytes, reader: _Reader) -> None:
    if reader.string() != key.kind.encode():
        raise SignatureFault("it is of another kind than its key")
    value = reader.string()
    if key.application:
        flags, counter = reader.take(1), reader.take(4)
        if not flags[0] & _USER_PRESENT:
            raise SignatureFault("the security key was not touched")
        signed = hashlib.sha256(key.application).digest() + flags + counter + hashlib.sha256(signed).digest()
    reader.finish()
    if "ed25519" in key.kind:
        Ed25519PublicKey.from_public_bytes(key.point).verify(value, signed)
        return
    halves = _Reader(value, MAX_SIGNATURE_BYTES)
    r, s = halves.integer(), halves.integer()
    halves.finish()
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), key.point)
    public.verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


def _parse_key(blob: bytes, kind: bytes) -> PersonKey:
    reader = _Reader(blob, MAX_KEY_BYTES)
    is_curve, is_security = b"ecdsa" in kind, kind.startswith(b"sk-")
    if reader.string() != kind or (is_curve and reader.string() != _CURVE):
        raise SignatureFault("a public key is of another kind than it says")
    point = reader.string()
    application = reader.string() if is_security else b""
    reader.finish()
    if is_security and not application:
        raise SignatureFault("a security key names no application")
    try:
        if is_curve:
            ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        else:
            Ed25519PublicKey.from_public_bytes(point)
    except ValueError as fault:
        raise SignatureFault("a public key is no point of its curve") from fault
    return PersonKey(kind.decode(), blob, point, application)


def _decoded(text: str, limit: int) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise SignatureFault("it is not base64") from fault
    if len(data) > limit:
        raise SignatureFault("it is too long")
    return data


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


class _Reader:
    """Reads the fields of RFC 4251, 5 out of bytes; SignatureFault where they end too soon or too late."""

    def __init__(self, data: bytes, limit: int) -> None:
        if len(data) > limit:
            raise SignatureFault("it is too long")
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        if count > len(self._data) - self._at:
            raise SignatureFault("it is cut")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self) -> int:
        """Return a uint32."""
        return int.from_bytes(self.take(4), "big")

    def string(self) -> bytes:
        """Return a string."""
        return self.take(self.number())

    def integer(self) -> int:
        """Return an mpint that is positive and in its shortest form."""
        data = self.string()
        if not data or data[0] & 0x80 or (data[0] == 0 and not (len(data) > 1 and data[1] & 0x80)):
            raise SignatureFault("a number is not positive and in its shortest form")
        return int.from_bytes(data, "big")

    def finish(self) -> None:
        """Check that nothing is left."""
        if self._at != len(self._data):
            raise SignatureFault("it is too long")
