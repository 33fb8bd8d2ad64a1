# SPDX-License-Identifier: Apache-2.0
"""Answers of passkeys at the console: verified for this address, with the person there and verified, and no copy.

Source: Web Authentication Level 3, 7.2; the library does the steps, but keeps keys as COSE (RFC 9052), and entries have
them as SPKI (docs/spec/approval.md, "Passkeys"). A vote is verified once more where it is taken, and by whoever reads
the book. Bounds: see the constants. Everything else raises AssertionRefused.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from webauthn import verify_authentication_response
from webauthn.helpers import decode_credential_public_key, decoded_public_key_to_cryptography, encode_cbor
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException

from gatebook.evidence.vote_signature import Passkey, encode_assertion, parse_passkey
from gatebook.model.errors import ClientFault

ALGORITHMS: Final = (COSEAlgorithmIdentifier.ECDSA_SHA_256, COSEAlgorithmIdentifier.EDDSA)
MAX_CREDENTIAL_BYTES: Final = 1023  # Web Authentication, 4: credential id
MAX_AUTHENTICATOR_BYTES: Final = 2048  # LIMIT: 37 without extensions
MAX_CLIENT_BYTES: Final = 3072  # LIMIT: some 200
MAX_SIGNATURE_BYTES: Final = 256  # LIMIT: 72 of a P-256 key
# What the library lets through from damaged CBOR, and from keys that are no points.
_LEAKS: Final = (WebAuthnException, UnsupportedAlgorithm, ValueError, TypeError, KeyError, IndexError, AttributeError)

Credential = Mapping[str, Any]  # what a browser gives, as JSON


class AssertionRefused(ClientFault):
    """An answer of a passkey has not its form, or is not good."""

    code = "passkey"


@dataclass(frozen=True, slots=True)
class Assertion:
    """A signature as an authenticator gives it: authenticator data, client data (JSON), and the signature over both."""

    authenticator: bytes
    client: bytes
    signature: bytes

    def encode(self) -> bytes:
        """Return the form in which a vote's signature is kept."""
        return encode_assertion(self.authenticator, self.client, self.signature)


def read_assertion(credential: Credential) -> tuple[bytes, Assertion]:
    """Return the id of a passkey and its signature from what a browser gives. AssertionRefused if it is not that."""
    try:
        response = credential["response"]
        parts = [
            credential["rawId"],
            *(response[name] for name in ("authenticatorData", "clientDataJSON", "signature")),
        ]
        made = [base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True) for part in parts]
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        raise AssertionRefused("it is no answer of a passkey") from fault
    most = (MAX_CREDENTIAL_BYTES, MAX_AUTHENTICATOR_BYTES, MAX_CLIENT_BYTES, MAX_SIGNATURE_BYTES)
    if any(len(part) > bound for part, bound in zip(made, most, strict=True)):
        raise AssertionRefused("it is longer than answers of passkeys are")
    return made[0], Assertion(*made[1:])


def verify_assertion(key: Passkey, challenge: bytes, assertion: Assertion, origin: str, counted: int) -> int:
    """Check that a passkey signed a challenge at this address, its person verified; return its counter, or 0.

    `counted` is the counter of before: one that does not grow tells of a copy. AssertionRefused.
    """
    try:
        client = json.loads(assertion.client)
        if client.get("crossOrigin") not in {None, False} or "topOrigin" in client:
            raise AssertionRefused("it was made inside another site's page")
        verified = verify_authentication_response(
            credential={
                "id": _encode(key.credential),
                "rawId": _encode(key.credential),
                "type": "public-key",
                "response": {
                    "clientDataJSON": _encode(assertion.client),
                    "authenticatorData": _encode(assertion.authenticator),
                    "signature": _encode(assertion.signature),
                },
            },
            expected_challenge=challenge,
            expected_rp_id=key.rp_id,
            expected_origin=origin,
            credential_public_key=_cose_of(key.spki),
            credential_current_sign_count=counted,
            require_user_verification=True,
        )
    except (*_LEAKS, RecursionError) as fault:
        raise AssertionRefused("it is not good for what is to be signed") from fault
    return verified.new_sign_count


def passkey_of(rp_id: str, credential_id: bytes, cose: bytes) -> Passkey:
    """Return a new passkey from its public key as COSE. AssertionRefused for one of a kind that is not taken."""
    try:
        public = decoded_public_key_to_cryptography(decode_credential_public_key(cose))
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except _LEAKS as fault:
        raise AssertionRefused("the passkey cannot be read") from fault
    if not isinstance(public, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise AssertionRefused("the passkey is of a kind that is not taken")
    if len(credential_id) > MAX_CREDENTIAL_BYTES:
        raise AssertionRefused("the passkey's id is longer than ids are")
    return parse_passkey(Passkey(rp_id, credential_id, spki).text)


def _cose_of(spki: bytes) -> bytes:
    public = load_der_public_key(spki)
    if isinstance(public, ed25519.Ed25519PublicKey):
        return encode_cbor({1: 1, 3: -8, -1: 6, -2: public.public_bytes_raw()})
    assert isinstance(public, ec.EllipticCurvePublicKey)  # `parse_passkey` takes no other
    numbers = public.public_numbers()
    return encode_cbor({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
