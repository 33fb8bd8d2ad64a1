# SPDX-License-Identifier: Apache-2.0
"""Access tokens signed by hand, right ones and every wrong one, and the keys that an issuer shows."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

ISSUER = "https://issuer.example"
AUDIENCE = "gatebook"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, size: int = 0) -> str:
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


@dataclass(frozen=True)
class SigningKey:
    """A key of an issuer."""

    id: str
    algorithm: str = "ES256"
    private: Any = field(default=None)

    @classmethod
    def make(cls, key_id: str = "k1", algorithm: str = "ES256", bits: int = 2048) -> SigningKey:
        private = (
            ec.generate_private_key(ec.SECP256R1())
            if algorithm == "ES256"
            else rsa.generate_private_key(public_exponent=65537, key_size=bits)
        )
        return cls(key_id, algorithm, private)

    @property
    def jwk(self) -> dict[str, str]:
        """The public key as the issuer shows it."""
        numbers = self.private.public_key().public_numbers()
        if self.algorithm == "ES256":
            point = {"crv": "P-256", "x": number(numbers.x, 32), "y": number(numbers.y, 32)}
            return {"kty": "EC", "kid": self.id, "use": "sig", **point}
        return {"kty": "RSA", "kid": self.id, "use": "sig", "n": number(numbers.n), "e": number(numbers.e)}

    @property
    def public_pem(self) -> bytes:
        public: bytes = self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return public

    def sign(self, data: bytes) -> bytes:
        if self.algorithm == "ES256":
            r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
            return r.to_bytes(32, "big") + s.to_bytes(32, "big")
        signature: bytes = self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        return signature

    def token(self, header: Mapping[str, object] | None = None, **claims: object) -> bytes:
        """A good access token; a claim or member of the header that is given replaces its own, None takes it away."""
        moment = int(time.time())
        usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bot", "iat": moment, "exp": moment + 300, "jti": "t-1"}
        head = {"alg": self.algorithm, "typ": "at+jwt", "kid": self.id, **(header or {})}
        return self.seal(_without_none(head), _without_none({**usual, **claims}))

    def seal(self, header: object, claims: object) -> bytes:
        """Sign anything."""
        parts = [b64(part if isinstance(part, bytes) else json.dumps(part).encode()) for part in (header, claims)]
        signed = ".".join(parts)
        return f"{signed}.{b64(self.sign(signed.encode()))}".encode()

    def token_by_hmac(self, **claims: object) -> bytes:
        """A forgery: HMAC with the public key, which anybody has, as its secret (RFC 8725 section 2.1)."""
        moment = int(time.time())
        head = {"alg": "HS256", "typ": "at+jwt", "kid": self.id}
        usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": "bot", "iat": moment, "exp": moment + 300, **claims}
        signed = ".".join(b64(json.dumps(part).encode()) for part in (head, usual))
        return f"{signed}.{b64(hmac.digest(self.public_pem, signed.encode(), hashlib.sha256))}".encode()


def _without_none(members: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in members.items() if value is not None}


def jwks(*keys: SigningKey) -> bytes:
    return json.dumps({"keys": [key.jwk for key in keys]}).encode()
