# SPDX-License-Identifier: Apache-2.0
"""The interfaces of the store, in product verbs; each has one shared test suite for all that implement it.

Duties of an implementer: a call that returns has committed, durably; readers see committed state only; a
change by any process is visible to every other process from its next call; every change raises `generation`.
Methods may be called from one thread at a time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from gatebook.model.credential import KeyRecord, Person
from gatebook.model.errors import OperatorFault
from gatebook.model.ids import KeyId
from gatebook.model.principal import Subject


class StoreFault(OperatorFault):
    """The store cannot do what was asked: absent, already there, or its file is not usable."""

    code = "store"


class Directory(Protocol):
    """The people a gate knows by itself."""

    def add_person(self, person: Person) -> None:
        """Keep a new person. StoreFault if the subject is there already."""

    def find_person(self, subject: Subject) -> Person | None:
        """Return the person, also if disabled."""

    def list_people(self) -> tuple[Person, ...]:
        """Return everybody, ordered by subject."""

    def disable_person(self, subject: Subject, at: datetime) -> Person:
        """Disable for good and return; the first moment stays if repeated. StoreFault if unknown."""


class KeyRing(Protocol):
    """The API keys of agents."""

    def add_key(self, record: KeyRecord) -> None:
        """Keep a new key. StoreFault if its id or hash is there already, or its owner is unknown or disabled."""

    def find_key(self, sha256: bytes) -> KeyRecord | None:
        """Return the key whose token has this hash, also if revoked or expired."""

    def list_keys(self) -> tuple[KeyRecord, ...]:
        """Return all keys, oldest first."""

    def revoke_key(self, key: KeyId, at: datetime) -> KeyRecord:
        """Revoke and return; the first moment stays if repeated. StoreFault if unknown."""


class Store(Directory, KeyRing, Protocol):
    """Everything a gate keeps beside evidence."""

    def generation(self) -> int:
        """Return a number that grows with each change by any process; cheap enough to poll each 100 ms."""

    def close(self) -> None:
        """Release the store; nothing may be called afterwards."""
