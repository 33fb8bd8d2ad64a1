# SPDX-License-Identifier: Apache-2.0
"""Passkeys in software: assertions as an authenticator makes them (Web Authentication Level 3, 6.1 and 5.8.1)."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gatebook.evidence.vote_signature import Passkey, encode_assertion

SITE = "gate.example"


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class Authenticator:
    """A private key that signs what a site asks, with the person's presence verified."""

    private: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey = field(
        default_factory=ed25519.Ed25519PrivateKey.generate
    )

    @property
    def passkey(self) -> Passkey:
        spki = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return Passkey(SITE, b"credential", spki)

    def sign(self, message: bytes, *, flags: int = 0x05, site: str = SITE, **client: Any) -> bytes:  # noqa: ANN401  JSON
        """Return the signature of a vote; `client` replaces members of the client data, None takes one away."""
        challenge = base64url(hashlib.sha256(message).digest())
        members = {"type": "webauthn.get", "challenge": challenge, "origin": f"https://{site}", "crossOrigin": False}
        told = {name: value for name, value in (members | client).items() if value is not None}
        data = hashlib.sha256(site.encode()).digest() + bytes([flags]) + (7).to_bytes(4, "big")
        return self.assertion(data, json.dumps(told).encode())

    def assertion(self, data: bytes, client: bytes) -> bytes:
        """Sign authenticator data and client data as they are."""
        signed = data + hashlib.sha256(client).digest()
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return encode_assertion(data, client, self.private.sign(signed))
        return encode_assertion(data, client, self.private.sign(signed, ec.ECDSA(hashes.SHA256())))
