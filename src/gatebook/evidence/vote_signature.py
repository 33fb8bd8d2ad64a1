# SPDX-License-Identifier: Apache-2.0
"""Signatures of votes: by SSH keys and security keys, and by passkeys.

SPEC: docs/spec/approval.md, "Vote" and "Passkeys"; Web Authentication Level 3, 6.1 (authenticator data), 5.8.1 (client
data), 7.2 (verifying an assertion). Bounds: a signature of 8 KiB. Everything that is not listed raises ApprovalFault.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gatebook.evidence.approval import NAMESPACE, ApprovalFault
from gatebook.evidence.entry import EntryFault, decode_canonical, encode_canonical
from gatebook.evidence.ssh_signature import SignatureFault, parse_public_key, verify_signature

MAX_BYTES: Final = 8192
SSH: Final = "ssh"
WEBAUTHN: Final = "webauthn"
SESSION: Final = "session"
_MEMBERS = frozenset({"authenticator", "client", "signature"})
_PRESENT, _VERIFIED = 0x01, 0x04
_HEAD_BYTES = 37  # hash of the relying party's id, flags, counter


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey's public key. `spki` is DER."""

    rp_id: str
    credential: bytes
    spki: bytes

    @property
    def text(self) -> str:
        """As in the entry that made it somebody's."""
        return f"{WEBAUTHN} {self.rp_id} {_base64url(self.credential)} {base64.b64encode(self.spki).decode()}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key, as OpenSSH writes such."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.spki).digest()).decode().rstrip("=")


def parse_passkey(text: str) -> Passkey:
    """Read what `Passkey.text` gives. ApprovalFault on any other form, or a key of a kind that is not taken."""
    words = text.split(" ")
    try:
        kind, rp_id, credential, spki = words
        key = Passkey(rp_id, _from_base64url(credential), base64.b64decode(spki, validate=True))
    except (ValueError, binascii.Error) as fault:
        raise ApprovalFault("approval_signature", "it is no passkey") from fault
    if kind != WEBAUTHN or not rp_id or key.text != text:
        raise ApprovalFault("approval_signature", "it is no passkey")
    _load(key.spki)
    return key


def encode_assertion(authenticator: bytes, client: bytes, signature: bytes) -> bytes:
    """Return the signature of a vote by passkey: authenticatorData, clientDataJSON and signature of an assertion."""
    parts = {"authenticator": authenticator, "client": client, "signature": signature}
    return encode_canonical({name: base64.b64encode(value).decode() for name, value in parts.items()})


def challenge_of(message: bytes) -> bytes:
    """Return the challenge for an assertion over a vote."""
    return hashlib.sha256(message).digest()


def verify_vote(method: str, key: str, message: bytes, signature: bytes) -> None:
    """Check that a vote's message was signed by this key (its text) in this way. ApprovalFault if not."""
    if len(signature) > MAX_BYTES:
        raise ApprovalFault("approval_signature", "a signature is too long")
    if method == SSH:
        try:
            verify_signature(parse_public_key(key), NAMESPACE, message, signature)
        except SignatureFault as fault:
            raise ApprovalFault("approval_signature", fault.message, fault.hint) from fault
    elif method == WEBAUTHN:
        _verify_assertion(parse_passkey(key), message, signature)
    else:
        raise ApprovalFault("approval_signature", "it is signed in no way that is known")


def _verify_assertion(key: Passkey, message: bytes, signature: bytes) -> None:
    authenticator, client, value = _parts(signature)
    try:
        told = json.loads(client)
    except (ValueError, RecursionError) as fault:
        raise ApprovalFault("approval_signature", "client data are not JSON") from fault
    if not isinstance(told, dict) or told.get("type") != "webauthn.get":
        raise ApprovalFault("approval_signature", "it is no assertion")
    crossed = told.get("crossOrigin", False)
    if told.get("challenge") != _base64url(challenge_of(message)) or crossed is not False:
        raise ApprovalFault("approval_signature", "the assertion was made for something else")
    head = authenticator[:_HEAD_BYTES]
    if len(head) != _HEAD_BYTES or head[:32] != hashlib.sha256(key.rp_id.encode()).digest():
        raise ApprovalFault("approval_signature", "the assertion was made for another site")
    if head[32] & (_PRESENT | _VERIFIED) != _PRESENT | _VERIFIED:
        raise ApprovalFault("approval_signature", "the person was not verified")
    signed = authenticator + hashlib.sha256(client).digest()
    public = _load(key.spki)
    try:
        if isinstance(public, ed25519.Ed25519PublicKey):
            public.verify(value, signed)
        else:
            public.verify(value, signed, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature as fault:
        raise ApprovalFault("approval_signature", "it is not good for what is to be signed") from fault


def _parts(signature: bytes) -> tuple[bytes, bytes, bytes]:
    try:
        told = decode_canonical(signature)
        if told.keys() != _MEMBERS:
            raise ApprovalFault("approval_signature", "an assertion has not its form")
        authenticator, client, value = (base64.b64decode(str(told[name]), validate=True) for name in sorted(_MEMBERS))
    except (EntryFault, binascii.Error, ValueError) as fault:
        raise ApprovalFault("approval_signature", "an assertion has not its form") from fault
    return authenticator, client, value


def _load(spki: bytes) -> ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(spki)
    except (ValueError, UnsupportedAlgorithm) as fault:
        raise ApprovalFault("approval_signature", "a passkey cannot be read") from fault
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return key
    raise ApprovalFault("approval_signature", "a passkey is of a kind that is not taken")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _from_base64url(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
