# SPDX-License-Identifier: Apache-2.0
"""Answers of passkeys that are good, or are not for every reason there is."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.authenticator import ORIGIN, PRESENT, SoftPasskey

from gatebook.control.assertion import Assertion, AssertionRefused, passkey_of, read_assertion, verify_assertion
from gatebook.evidence.vote_signature import WEBAUTHN, challenge_of, verify_vote

CHALLENGE = hashlib.sha256(b"a vote").digest()


def verify(person: SoftPasskey, made: Assertion, challenge: bytes = CHALLENGE, counted: int = 0) -> int:
    return verify_assertion(person.key, challenge, made, ORIGIN, counted)


@pytest.mark.parametrize("edwards", [False, True])
def test_an_answer_holds_for_its_challenge_and_as_a_vote(edwards: bool) -> None:
    person = SoftPasskey(edwards=edwards, counter=7)
    assert verify(person, person.sign(CHALLENGE), counted=6) == 7
    verify_vote(WEBAUTHN, person.key.text, b"vote", person.sign(challenge_of(b"vote")).encode())


def test_what_a_browser_gives_is_read() -> None:
    person = SoftPasskey()
    credential_id, made = read_assertion(person.answer(CHALLENGE))
    assert credential_id == person.credential_id
    assert verify(person, made) == 0


@pytest.mark.parametrize(
    "credential",
    [
        {},
        {"rawId": "AAAA"},
        {"rawId": "AAAA", "response": []},
        {"rawId": 7, "response": {"authenticatorData": "", "clientDataJSON": "", "signature": ""}},
        {"rawId": "ä", "response": {"authenticatorData": "", "clientDataJSON": "", "signature": ""}},
        {"rawId": "AAAA", "response": {"authenticatorData": "", "clientDataJSON": "A" * 8000, "signature": ""}},
    ],
)
def test_what_is_no_answer_is_refused(credential: dict[str, object]) -> None:
    with pytest.raises(AssertionRefused):
        read_assertion(credential)


def test_another_challenge_or_key_is_refused() -> None:
    person, other = SoftPasskey(), SoftPasskey()
    made = person.sign(CHALLENGE)
    with pytest.raises(AssertionRefused, match="not good"):
        verify(person, made, hashlib.sha256(b"another vote").digest())
    with pytest.raises(AssertionRefused, match="not good"):
        verify(other, made)


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ({"origin": "https://evil.example"}, "not good"),
        ({"origin": "http://localhost"}, "not good"),
        ({"origin": 7}, "not good"),
        ({"crossOrigin": True}, "inside another site's page"),
        ({"topOrigin": "https://evil.example"}, "inside another site's page"),
        ({"type": "webauthn.create"}, "not good"),
    ],
)
def test_an_answer_made_elsewhere_is_refused(client: dict[str, object], words: str) -> None:
    person = SoftPasskey()
    with pytest.raises(AssertionRefused, match=words):
        verify(person, person.sign(CHALLENGE, **client))


def test_a_passkey_of_another_site_is_refused() -> None:
    person = SoftPasskey("console.example")
    with pytest.raises(AssertionRefused):
        verify_assertion(SoftPasskey().key, CHALLENGE, person.sign(CHALLENGE), ORIGIN, 0)


@pytest.mark.parametrize("flags", [0, PRESENT, 0x04])
def test_a_person_who_was_not_there_or_not_verified_has_not_signed(flags: int) -> None:
    person = SoftPasskey(flags=flags)
    with pytest.raises(AssertionRefused, match="not good"):
        verify(person, person.sign(CHALLENGE))


def test_a_counter_that_does_not_grow_tells_of_a_copy() -> None:
    person = SoftPasskey(counter=7)
    with pytest.raises(AssertionRefused, match="not good"):
        verify(person, person.sign(CHALLENGE), counted=7)


def test_no_bit_of_an_answer_can_be_changed() -> None:
    person = SoftPasskey(edwards=True)
    made = person.sign(CHALLENGE)
    for name in ("authenticator", "client", "signature"):
        part = getattr(made, name)
        for index in range(len(part)):
            other = part[:index] + bytes([part[index] ^ 1]) + part[index + 1 :]
            with pytest.raises(AssertionRefused):
                verify(person, dataclasses.replace(made, **{name: other}))


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=100))
def test_whatever_comes_is_refused_by_one_fault(data: bytes, client: bytes, signature: bytes) -> None:
    soft = SoftPasskey()
    for text in (client, b"[]", b'{"type":"webauthn.get","challenge":"","origin":""}', soft.sign(CHALLENGE).client):
        with pytest.raises(AssertionRefused):
            verify(soft, Assertion(data, text, signature))


@given(st.binary(max_size=200))
def test_whatever_comes_as_a_key_is_refused_by_one_fault(cose: bytes) -> None:
    with pytest.raises(AssertionRefused):
        passkey_of("localhost", b"id", cose)


def test_an_id_that_is_too_long_is_refused() -> None:
    with pytest.raises(AssertionRefused, match="longer"):
        passkey_of("localhost", bytes(1024), SoftPasskey().cose)
