# SPDX-License-Identifier: Apache-2.0
"""People who sign in with a passkey: each check in its order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from gatebook.identity import passkey
from gatebook.identity.passkey import KnownPasskey
from gatebook.model.credential import Person
from gatebook.model.principal import Identified, NotIdentified, PrincipalKind, Subject

ANN = Subject("gatebook:gate", "ann")
NOW = datetime(2026, 11, 25, tzinfo=UTC)

KNOWN = KnownPasskey("SHA256:x", ANN)
PERSON = Person(ANN, admin=False, created_at=NOW)


@dataclass(frozen=True)
class Book:
    known: KnownPasskey | None = KNOWN
    signed: bool = True
    person: Person | None = PERSON

    def find_passkey(self) -> KnownPasskey | None:
        return self.known

    def is_signed(self) -> bool:
        return self.signed

    def find_person(self, subject: Subject) -> Person | None:
        assert subject == ANN
        return self.person


def test_identifies_the_person_by_the_key() -> None:
    answer = passkey.verify(Book())
    assert isinstance(answer, Identified)
    assert (answer.principal.kind, answer.principal.subject) == (PrincipalKind.PERSON, ANN)
    assert (answer.principal.method, answer.principal.credential) == ("passkey", "SHA256:x")
    assert [check.name for check in answer.checks] == ["passkey", "signature", "person"]


@pytest.mark.parametrize(
    ("book", "check", "credential"),
    [
        (Book(known=None), "passkey", ""),
        (Book(signed=False), "signature", "SHA256:x"),
        (Book(person=None), "person", "SHA256:x"),
        (Book(person=Person(ANN, admin=True, created_at=NOW, disabled_at=NOW)), "person", "SHA256:x"),
    ],
)
def test_names_the_check_that_failed(book: Book, check: str, credential: str) -> None:
    answer = passkey.verify(book)
    assert isinstance(answer, NotIdentified)
    assert (answer.failed, answer.credential) == (check, credential)


def test_what_failed_before_a_passkey_was_looked_at_has_its_name() -> None:
    assert passkey.not_shown("challenge").failed == "challenge"
