# SPDX-License-Identifier: Apache-2.0
"""Signatures of tokens and the public keys that verify them: the only place that knows the library which does it.

Source: RFC 7515 (JWS, compact form), RFC 7517 (JWK), RFC 7518 (algorithms), RFC 8037 (Ed25519), RFC 8725 (what goes
wrong with them). The key decides which algorithms it can serve, never the token's header alone: an HMAC, which would
take a public key for its secret, and `none` are in no list here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn, TypeAlias

from joserfc import jwk, jws
from joserfc.errors import JoseError

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Every algorithm that an issuer may be configured with."""
KEY_SET_BYTES: Final = 262_144  # LIMIT: a document of keys; providers' have some kilobytes
KEYS: Final = 100  # LIMIT: keys of one issuer
KEY_ID_CHARACTERS: Final = 256  # LIMIT: `kid`; it is looked up and entered
RSA_BITS: Final = 2048  # RFC 7518 section 3.3
HEADER_BYTES: Final = 4096  # LIMIT: a header with a certificate's thumbprints stays below 1 KiB
SIGNATURE_BYTES: Final = 2048  # LIMIT: RSA keys up to 16,384 bits

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES: Final = {"P-256": ("ES256",), "P-384": ("ES384",), "P-521": ("ES512",)}
_MEMBERS: Final = frozenset({"kty", "crv", "x", "y", "n", "e"})
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}")


class JoseFault(ValueError):
    """A document is not of its form; the message names no content."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies signatures, with the algorithms that it can serve."""

    id: str
    algorithms: tuple[str, ...]
    material: jwk.Key = field(repr=False, compare=False)
    thumbprint: str = ""


def parse_json(data: bytes) -> Mapping[str, Json]:
    """Return a JSON object. JoseFault for anything else, names twice in an object, and numbers beyond reason.

    Two readers of a document with a name given twice may see two different documents (RFC 8725 section 2.4).
    """
    try:
        value = _DECODER.decode(data.decode())
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair cannot be written anywhere again
    except (ValueError, RecursionError) as fault:
        raise JoseFault("not JSON as tokens may hold it") from fault
    if not isinstance(value, dict):
        raise JoseFault("not a JSON object")
    return value


def parse_keys(document: bytes) -> Mapping[str, PublicKey]:
    """Return the keys of a JWK set by their `kid`; JoseFault if it is not one, or too large.

    Keys that cannot serve are left out: symmetric or private ones, those for encryption, without a `kid`, too short, or
    on a curve that is not listed. Of a `kid` that is there twice neither is taken: which one signs would be a guess.
    """
    if len(document) > KEY_SET_BYTES:
        raise JoseFault(f"a document of keys of more than {KEY_SET_BYTES} bytes")
    listed = parse_json(document).get("keys")
    if not isinstance(listed, list) or len(listed) > KEYS:
        raise JoseFault(f"no list of at most {KEYS} keys")
    found: dict[str, PublicKey] = {}
    twice: set[str] = set()
    for item in listed:
        key = _parse_key(item) if isinstance(item, dict) else None
        if key is None:
            continue
        if key.id in found:
            twice.add(key.id)
        found[key.id] = key
    return {name: key for name, key in found.items() if name not in twice}


def is_signed(token: bytes, key: PublicKey, algorithm: str) -> bool:
    """Whether a compact JWS is signed by this key with this algorithm, which the caller took from its own list."""
    if algorithm not in key.algorithms:
        return False
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = HEADER_BYTES
    registry.max_signature_length = SIGNATURE_BYTES
    try:
        jws.deserialize_compact(token, key.material, registry=registry)
    except (JoseError, ValueError):
        return False
    return True


def _parse_key(item: Mapping[str, Json]) -> PublicKey | None:
    name = item.get("kid")
    if not isinstance(name, str) or not 0 < len(name) <= KEY_ID_CHARACTERS or not name.isprintable():
        return None
    if item.get("use", "sig") != "sig" or not _PRIVATE.isdisjoint(item):
        return None  # a private key in a public place is everybody's
    uses = item.get("key_ops", ["verify"])
    if not isinstance(uses, list) or "verify" not in uses:
        return None
    algorithms = _algorithms(item)
    stated = item.get("alg")
    if stated is not None:
        algorithms = tuple(algorithm for algorithm in algorithms if algorithm == stated)
    if not algorithms or (item["kty"] == "RSA" and _modulus_bits(item) < RSA_BITS):
        return None
    try:
        material = jwk.import_key({name: value for name, value in item.items() if name in _MEMBERS})  # type: ignore[misc]  # members of its own
        return PublicKey(name, algorithms, material, material.thumbprint())
    except (JoseError, ValueError, TypeError):
        return None


def _modulus_bits(item: Mapping[str, Json]) -> int:
    written = item.get("n")
    try:
        data = base64.urlsafe_b64decode(f"{written}===") if isinstance(written, str) else b""
    except ValueError:
        return 0
    return int.from_bytes(data, "big").bit_length()


def _algorithms(item: Mapping[str, Json]) -> tuple[str, ...]:
    match item.get("kty"), item.get("crv"):
        case "RSA", _:
            return _RSA
        case "EC", str() as curve:
            return _CURVES.get(curve, ())
        case "OKP", "Ed25519":
            return ("EdDSA",)
        case _:
            return ()


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise JoseFault("a name is there twice")
    return made


def _integer(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise JoseFault("a number beyond reason")
    return int(text)


def _fraction(text: str) -> float:
    value = float(text)
    if not -1e15 < value < 1e15:
        raise JoseFault("a number beyond reason")
    return value


def _constant(text: str) -> NoReturn:
    raise JoseFault(text)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)
