# SPDX-License-Identifier: Apache-2.0
"""Keys of issuers and signatures: only public keys that can serve, only with the algorithms of their kind."""

from __future__ import annotations

import contextlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from support.tokens import SigningKey, b64, jwks

from gatebook.identity.jose import JoseFault, is_signed, parse_json, parse_keys

EC, RSA = SigningKey.make("ec"), SigningKey.make("rsa", "RS256")


def test_reads_the_keys_of_an_issuer() -> None:
    keys = parse_keys(jwks(EC, RSA))
    assert {name: key.algorithms for name, key in keys.items()} == {
        "ec": ("ES256",),
        "rsa": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    }


def test_a_key_that_states_its_algorithm_serves_no_other() -> None:
    document = json.dumps({"keys": [RSA.jwk | {"alg": "RS256"}]}).encode()
    assert parse_keys(document)["rsa"].algorithms == ("RS256",)


@pytest.mark.parametrize(
    "key",
    [
        {"kty": "OKP", "crv": "X25519", "kid": "a", "x": "AAAA"},
        {"kty": "RSA", "kid": "a", "e": "AQAB", "n": 7},
        {"kty": "RSA", "kid": "a", "e": "AQAB", "n": "é"},
        {"kty": "oct", "kid": "a", "k": "c2VjcmV0"},
        EC.jwk | {"use": "enc"},
        EC.jwk | {"d": "AAAA"},
        EC.jwk | {"kid": ""},
        EC.jwk | {"kid": "a\n"},
        EC.jwk | {"crv": "secp256k1"},
        EC.jwk | {"x": "AAAA"},
        EC.jwk | {"x": 1},
        EC.jwk | {"key_ops": ["sign"]},
        EC.jwk | {"alg": "HS256"},
        {name: value for name, value in EC.jwk.items() if name != "kid"},
        SigningKey.make("short", "RS256", 1024).jwk,
        "k",
    ],
)
def test_leaves_out_keys_that_cannot_serve(key: object) -> None:
    assert parse_keys(json.dumps({"keys": [key]}).encode()) == {}


def test_takes_an_edwards_key() -> None:
    public = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    document = json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": b64(public)}]}).encode()
    assert parse_keys(document)["ed"].algorithms == ("EdDSA",)


def test_reads_numbers_with_fractions() -> None:
    assert parse_json(b'{"a":-1.5,"b":12}') == {"a": -1.5, "b": 12}


def test_takes_neither_of_two_keys_of_one_name() -> None:
    assert parse_keys(jwks(EC, SigningKey.make("ec"), RSA)).keys() == {"rsa"}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[' + b"{}," * 101 + b"{}]}",
        b" " * 300_000,
        b'{"keys":[],"keys":[]}',
    ],
)
def test_refuses_what_is_no_set_of_keys(document: bytes) -> None:
    with pytest.raises(JoseFault):
        parse_keys(document)


def test_verifies_a_signature_with_an_algorithm_of_the_key_only() -> None:
    token = EC.token()
    key = parse_keys(jwks(EC))["ec"]
    assert is_signed(token, key, "ES256")
    assert not is_signed(token, key, "RS256")
    assert not is_signed(token, key, "HS256")
    assert not is_signed(token, key, "none")
    assert not is_signed(token[:-8] + b"AAAAAAAA", key, "ES256")
    assert not is_signed(token, parse_keys(jwks(SigningKey.make("ec")))["ec"], "ES256")


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":1}}',
        b"[]",
        b"1",
        b'{"a":NaN}',
        b'{"a":1e999}',
        b'{"a":1234567890123456789}',
        b'{"a":"\\ud800"}',
        b"\xff",
        b"",
        b'{"a":' + b"[" * 10_000,
    ],
)
def test_refuses_json_that_has_two_readings_or_no_end(data: bytes) -> None:
    with pytest.raises(JoseFault):
        parse_json(data)


@given(st.binary(max_size=200))
def test_raises_one_class_of_error_for_any_bytes(data: bytes) -> None:
    for parse in (parse_json, parse_keys):
        with contextlib.suppress(JoseFault):
            parse(data)
