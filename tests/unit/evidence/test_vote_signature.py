# SPDX-License-Identifier: Apache-2.0
"""Signatures of votes: by SSH keys of `ssh-keygen`, and by passkeys in software, each member altered."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st
from support.passkeys import SITE, Authenticator
from support.people import make_key

from gatebook.evidence.approval import NAMESPACE, ApprovalFault
from gatebook.evidence.entry import decode_canonical, encode_canonical
from gatebook.evidence.ssh_signature import key_of, unarmored
from gatebook.evidence.vote_signature import (
    MAX_BYTES,
    SSH,
    WEBAUTHN,
    Passkey,
    challenge_of,
    encode_assertion,
    parse_passkey,
    verify_vote,
)

MESSAGE = b'{"choice":"approve"}\n'
KEYS = [Authenticator(), Authenticator(ec.generate_private_key(ec.SECP256R1()))]
ONE = KEYS[0]
TEXT = ONE.passkey.text


def refused(signature: bytes, key: str = TEXT, method: str = WEBAUTHN) -> str:
    with pytest.raises(ApprovalFault) as raised:
        verify_vote(method, key, MESSAGE, signature)
    assert raised.value.finding == "approval_signature"
    return raised.value.message


@pytest.mark.parametrize("key", KEYS, ids=["ed25519", "p256"])
def test_a_passkeys_assertion_over_the_vote_is_good(key: Authenticator) -> None:
    verify_vote(WEBAUTHN, key.passkey.text, MESSAGE, key.sign(MESSAGE))
    verify_vote(WEBAUTHN, key.passkey.text, MESSAGE, key.sign(MESSAGE, flags=0x1D, crossOrigin=None))


@pytest.mark.parametrize("key", KEYS, ids=["ed25519", "p256"])
def test_every_byte_of_an_assertion_counts(key: Authenticator) -> None:
    parts = {
        name: base64.b64decode(str(value)) for name, value in decode_canonical(key.sign(MESSAGE, origin="x")).items()
    }
    for name, value in parts.items():
        for at in range(len(value)):
            changed = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
            altered = parts | {name: changed}
            refused(
                encode_assertion(altered["authenticator"], altered["client"], altered["signature"]), key.passkey.text
            )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"type": "webauthn.create"}, "it is no assertion"),
        ({"type": None}, "it is no assertion"),
        ({"challenge": "AAAA"}, "the assertion was made for something else"),
        ({"challenge": None}, "the assertion was made for something else"),
        ({"crossOrigin": True}, "the assertion was made for something else"),
        ({"crossOrigin": []}, "the assertion was made for something else"),
        ({"crossOrigin": 0}, "the assertion was made for something else"),
        ({"site": "evil.example"}, "the assertion was made for another site"),
        ({"flags": 0x04}, "the person was not verified"),
        ({"flags": 0x01}, "the person was not verified"),
        ({"flags": 0x00}, "the person was not verified"),
    ],
)
def test_what_an_assertion_says_counts(words: dict[str, Any], why: str) -> None:
    assert refused(ONE.sign(MESSAGE, **words)) == why


def test_an_assertion_for_another_vote_or_by_another_key_is_refused() -> None:
    assert refused(ONE.sign(b"other")) == "the assertion was made for something else"
    assert refused(KEYS[1].sign(MESSAGE)) == "it is not good for what is to be signed"
    assert refused(ONE.sign(MESSAGE), KEYS[1].passkey.text) == "it is not good for what is to be signed"


@pytest.mark.parametrize(
    ("data", "client", "why"),
    [
        (b"", b"{", "client data are not JSON"),
        (b"", b"\xff\xfe\xfa", "client data are not JSON"),
        (b"", b"[" * 6000, "client data are not JSON"),
        (b"", b"[1]", "it is no assertion"),
        (b"", b'"webauthn.get"', "it is no assertion"),
    ],
)
def test_client_data_of_another_form_are_refused(data: bytes, client: bytes, why: str) -> None:
    assert refused(encode_assertion(data, client, b"")) == why


def test_authenticator_data_that_are_cut_are_refused() -> None:
    told = decode_canonical(ONE.sign(MESSAGE))
    data, client = (base64.b64decode(str(told[name])) for name in ("authenticator", "client"))
    for length in range(37):
        assert refused(ONE.assertion(data[:length], client)) == "the assertion was made for another site"


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"{}",
        b"[]",
        encode_canonical({"authenticator": "", "client": ""}),
        encode_canonical({"authenticator": "", "client": "", "signature": "", "more": ""}),
        encode_canonical({"authenticator": "*", "client": "", "signature": ""}),
        encode_canonical({"authenticator": "é", "client": "", "signature": ""}),
        encode_canonical({"authenticator": 7, "client": "", "signature": ""}),
        encode_assertion(b"a", b"{}", b"") + b" ",
    ],
)
def test_an_assertion_of_another_form_is_refused(signature: bytes) -> None:
    assert refused(signature) == "an assertion has not its form"


def test_a_signature_that_is_too_long_or_of_no_known_way_is_refused() -> None:
    assert refused(b"x" * (MAX_BYTES + 1)) == "a signature is too long"
    for method in ("session", "", "SSH"):
        assert refused(ONE.sign(MESSAGE), method=method) == "it is signed in no way that is known"


@given(st.binary(max_size=200))
def test_nothing_else_is_raised_for_any_bytes(data: bytes) -> None:
    refused(data)
    refused(data, "ssh-ed25519 AAAA", SSH)
    refused(encode_assertion(data, data, data))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=3))
def test_nothing_else_is_raised_for_any_client_data(value: object) -> None:
    for name in ("type", "challenge", "crossOrigin"):
        told = {"type": "webauthn.get", "crossOrigin": False, "challenge": value, name: value}
        refused(encode_assertion(b"", json.dumps(told).encode(), b""))


def test_a_challenge_is_the_hash_of_what_is_signed() -> None:
    assert challenge_of(b"") == bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


def test_a_passkey_is_read_as_it_is_written() -> None:
    for key in KEYS:
        assert parse_passkey(key.passkey.text) == key.passkey
        assert key.passkey.text.startswith(f"webauthn {SITE} Y3JlZGVudGlhbA ")
        assert key.passkey.fingerprint.startswith("SHA256:")
        assert len(key.passkey.fingerprint) == 50


def _spki(private: Any) -> bytes:  # noqa: ANN401  any kind of key
    der, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(private.public_key().public_bytes(der, form))


WRONG = [
    ("", "it is no passkey"),
    ("webauthn gate.example Y3Jl", "it is no passkey"),
    (TEXT + " more", "it is no passkey"),
    (TEXT.replace("webauthn", "ssh"), "it is no passkey"),
    (TEXT.replace("gate.example", ""), "it is no passkey"),
    (TEXT.replace("Y3JlZGVudGlhbA", "Y3JlZGVudGlhbB"), "it is no passkey"),
    (TEXT.replace("Y3JlZGVudGlhbA", "Y3JlZGVudGlhbA=="), "it is no passkey"),
    (TEXT.replace("Y3JlZGVudGlhbA", "*"), "it is no passkey"),
    (TEXT.replace("Y3JlZGVudGlhbA", "é"), "it is no passkey"),
    (TEXT + "\n", "it is no passkey"),
    (Passkey(SITE, b"c", b"").text, "a passkey cannot be read"),
    (Passkey(SITE, b"c", b"nonsense").text, "a passkey cannot be read"),
    (Passkey(SITE, b"c", _spki(rsa.generate_private_key(65537, 2048))).text, "of a kind that is not taken"),
    (Passkey(SITE, b"c", _spki(ec.generate_private_key(ec.SECP384R1()))).text, "of a kind that is not taken"),
    (Passkey(SITE, b"c", _spki(x25519.X25519PrivateKey.generate())).text, "of a kind that is not taken"),
]


@pytest.mark.parametrize(("text", "why"), WRONG, ids=range(len(WRONG)))  # keys are made anew each time
def test_what_is_no_passkey_is_refused(text: str, why: str) -> None:
    with pytest.raises(ApprovalFault, match=why):
        parse_passkey(text)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_a_signature_of_ssh_keygen_is_good_for_its_vote_key_and_purpose(tmp_path: Path, kind: str) -> None:
    key, other = make_key(tmp_path / "keys", "ana", kind), make_key(tmp_path / "keys", "bo", kind)
    ballot = tmp_path / "ballot"
    ballot.write_bytes(MESSAGE)
    signature = unarmored(key.sign(ballot, NAMESPACE).read_text())
    text = key.public.read_text()
    verify_vote(SSH, text, MESSAGE, signature)
    assert key_of(signature).startswith("SHA256:")
    assert refused(signature, other.public.read_text(), SSH) == "it is by another key"
    elsewhere = unarmored(key.sign(ballot, "gatebook-consent").read_text())
    assert refused(elsewhere, text, SSH) == "it was made for another purpose"
    ballot.write_bytes(MESSAGE + b"\n")
    refused(unarmored(key.sign(ballot, NAMESPACE).read_text()), text, SSH)
