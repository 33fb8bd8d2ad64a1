# SPDX-License-Identifier: Apache-2.0
"""API keys: form, checks in their order, and that nothing but a live key identifies."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.identity import api_key
from gatebook.model.credential import KeyRecord, Person
from gatebook.model.errors import Bug
from gatebook.model.principal import Identified, NotIdentified, PrincipalKind, Subject

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ISSUER = "gatebook:gate"
AGENT = Subject(ISSUER, "reporter")
OWNER = Subject(ISSUER, "alice")
PERSON = Person(OWNER, admin=False, created_at=NOW)


class Book:
    """Keys and people in two dictionaries."""

    def __init__(self, *keys: KeyRecord, people: tuple[Person, ...] = (PERSON,)) -> None:
        self.keys = {key.sha256: key for key in keys}
        self.people = {person.subject: person for person in people}

    def find_key(self, sha256: bytes) -> KeyRecord | None:
        return self.keys.get(sha256)

    def find_person(self, subject: Subject) -> Person | None:
        return self.people.get(subject)


def minted(random: bytes = b"\x01" * 32) -> api_key.MintedKey:
    return api_key.mint(
        random, agent=AGENT, owner=OWNER, groups=("b", "a", "b"), now=NOW, expires_at=NOW + timedelta(days=1)
    )


def failed(token: bytes, book: Book, now: datetime = NOW) -> NotIdentified:
    answer = api_key.verify(token, book, now)
    assert isinstance(answer, NotIdentified)
    return answer


def test_accepts_a_live_key_and_tells_who_it_is() -> None:
    key = minted()
    answer = api_key.verify(key.token.reveal(), Book(key.record), NOW)
    assert isinstance(answer, Identified)
    assert answer.principal.kind is PrincipalKind.AGENT
    assert answer.principal.subject == AGENT
    assert answer.principal.owner == OWNER
    assert answer.principal.groups == ("a", "b")
    assert answer.principal.chain == (AGENT,)
    assert answer.principal.method == "api_key"
    assert answer.principal.credential == key.record.id
    assert [check.name for check in answer.checks] == ["form", "checksum", "known", "revoked", "expired", "owner"]
    assert all(check.passed for check in answer.checks)


def test_agrees_with_the_vectors_of_the_specification() -> None:
    zeros = api_key.format_token(bytes(32))
    assert zeros == b"gbk_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaatjakmg"
    assert api_key.key_id(api_key.hash_token(zeros)) == "19c1000f0ffd"
    counted = api_key.format_token(bytes(range(32)))
    assert counted == b"gbk_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq3vkobs"
    assert api_key.hash_token(counted).hex() == "5db1b2b537fd0c04f96579b0b7e07429faeebe54f3b6edeacf0834381b85421e"
    ones = api_key.format_token(b"\xff" * 32)
    assert ones == b"gbk_777777777777777777777777777777777777777777777777777qv2uwg2"


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"gbk_",
        b"gbx_" + b"a" * 58,
        b"gbk_" + b"a" * 57,
        b"gbk_" + b"a" * 59,
        b"gbk_" + b"A" * 58,
        b"gbk_" + b"1" * 58,
        b"gbk_" + b"a" * 51 + b"b" + b"a" * 6,
        b"\xff" * 62,
        b"gbk_" + b"a" * 57 + b"\n",
    ],
)
def test_refuses_what_has_not_the_form(token: bytes) -> None:
    answer = failed(token, Book())
    assert answer.failed == "form"
    assert answer.credential == ""


def test_refuses_a_mistyped_key_without_a_look_up() -> None:
    key = minted()
    token = key.token.reveal()
    wrong = token[:10] + (b"b" if token[10:11] == b"a" else b"a") + token[11:]
    assert failed(wrong, Book(key.record)).failed == "checksum"


def test_refuses_an_unknown_key_by_its_public_id() -> None:
    key = minted()
    answer = failed(key.token.reveal(), Book())
    assert answer.failed == "known"
    assert answer.credential == key.record.id


def test_refuses_a_record_that_the_index_returned_by_mistake() -> None:
    key, other = minted(), minted(b"\x02" * 32)
    book = Book()
    book.keys[key.record.sha256] = other.record
    assert failed(key.token.reveal(), book).failed == "known"


def test_refuses_a_revoked_key() -> None:
    key = minted()
    assert failed(key.token.reveal(), Book(replace(key.record, revoked_at=NOW))).failed == "revoked"


def test_refuses_from_the_very_moment_of_expiry() -> None:
    key = minted()
    end = key.record.expires_at
    assert failed(key.token.reveal(), Book(key.record), end).failed == "expired"
    assert isinstance(api_key.verify(key.token.reveal(), Book(key.record), end - timedelta(microseconds=1)), Identified)


def test_refuses_when_the_owner_is_unknown_or_disabled() -> None:
    key = minted()
    assert failed(key.token.reveal(), Book(key.record, people=())).failed == "owner"
    gone = replace(PERSON, disabled_at=NOW)
    assert failed(key.token.reveal(), Book(key.record, people=(gone,))).failed == "owner"


def test_refuses_to_mint_from_too_little_randomness() -> None:
    with pytest.raises(Bug):
        minted(b"\x01" * 31)


def test_never_shows_the_token() -> None:
    key = minted()
    assert key.token.reveal().decode() not in repr(key)


def test_names_the_gate_in_the_issuer_of_local_identities() -> None:
    assert api_key.local_issuer("north") == "gatebook:north"


@given(st.binary(min_size=32, max_size=32), st.integers(4, 61), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_detects_any_single_wrong_character(random: bytes, position: int, character: str) -> None:
    token = api_key.format_token(random)
    wrong = token[:position] + character.encode() + token[position + 1 :]
    answer = failed(wrong, Book())
    breaks_form = position == 55 and character not in "aq"
    assert answer.failed == ("form" if breaks_form else "known" if wrong == token else "checksum")


@given(st.binary(max_size=80))
def test_identifies_nobody_from_garbage(garbage: bytes) -> None:
    assert failed(garbage, Book()).failed in {"form", "checksum", "known"}
