# SPDX-License-Identifier: Apache-2.0
"""Passkeys made in software from the specification: what an authenticator and a browser would answer."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatebook.control.assertion import Assertion, passkey_of
from gatebook.evidence.vote_signature import Passkey
from support.tokens import b64

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40
ORIGIN = "http://localhost:5480"


@dataclass
class SoftPasskey:
    """An authenticator with one passkey for one site."""

    rp_id: str = "localhost"
    origin: str = ORIGIN
    edwards: bool = False
    flags: int = PRESENT | VERIFIED
    counter: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def __post_init__(self) -> None:
        self._private: Ed25519PrivateKey | ec.EllipticCurvePrivateKey
        if self.edwards:
            self._private = Ed25519PrivateKey.generate()
        else:
            self._private = ec.generate_private_key(ec.SECP256R1())

    @property
    def cose(self) -> bytes:
        """The public key as RFC 9052 has it."""
        public = self._private.public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            return cbor2.dumps({1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()})
        numbers = public.public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})

    @property
    def key(self) -> Passkey:
        return passkey_of(self.rp_id, self.credential_id, self.cose)

    def sign(self, challenge: bytes, **client: object) -> Assertion:
        """Sign a challenge; members of the client data that are given replace the browser's own."""
        told = {"type": "webauthn.get", "challenge": b64(challenge), "origin": self.origin, "crossOrigin": False}
        text = json.dumps(told | client).encode()
        data = self._head() + self.counter.to_bytes(4, "big")
        return Assertion(data, text, self._sign(data + hashlib.sha256(text).digest()))

    def answer(self, challenge: bytes, **client: object) -> dict[str, object]:
        """What `navigator.credentials.get` gives, as JSON."""
        made = self.sign(challenge, **client)
        response = {"authenticatorData": made.authenticator, "clientDataJSON": made.client, "signature": made.signature}
        return self._credential({name: b64(part) for name, part in response.items()})

    def register(self, challenge: bytes, **client: object) -> dict[str, object]:
        """What `navigator.credentials.create` gives, as JSON."""
        told = {"type": "webauthn.create", "challenge": b64(challenge), "origin": self.origin, "crossOrigin": False}
        data = self._head(ATTESTED) + self.counter.to_bytes(4, "big") + bytes(16)
        data += len(self.credential_id).to_bytes(2, "big") + self.credential_id + self.cose
        made = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        response = {"clientDataJSON": b64(json.dumps(told | client).encode()), "attestationObject": b64(made)}
        return self._credential(response)

    def _head(self, more: int = 0) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([self.flags | more])

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._private, Ed25519PrivateKey):
            return self._private.sign(data)
        return self._private.sign(data, ec.ECDSA(hashes.SHA256()))

    def _credential(self, response: dict[str, str]) -> dict[str, object]:
        name = b64(self.credential_id)
        return {"id": name, "rawId": name, "type": "public-key", "response": response}
