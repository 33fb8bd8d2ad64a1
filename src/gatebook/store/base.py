# SPDX-License-Identifier: Apache-2.0
"""The interfaces of the store, in product verbs; each has one shared test suite for all that implement it.

Duties of an implementer: a call that returns has committed, durably; readers see committed state only; a
change by any process is visible to every other process from its next call; every change raises `generation`.
Methods may be called from one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Protocol

from gatebook.model.approval import Asking, Request, State
from gatebook.model.credential import KeyRecord, Person, SigningKey
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

    def set_groups(self, subject: Subject, groups: Iterable[str], at: datetime) -> Person:
        """Let a person be in these groups and no others, and return; who stays in one stays since when they came.

        StoreFault if unknown.
        """


class SigningKeys(Protocol):
    """The public keys with which people sign votes."""

    def add_signing_key(self, key: SigningKey) -> None:
        """Keep a new key. StoreFault if it is, or was, anybody's already, or its person is unknown or disabled."""

    def list_signing_keys(self) -> tuple[SigningKey, ...]:
        """Return all keys, oldest first, also those removed."""

    def remove_signing_key(self, fingerprint: str, at: datetime) -> SigningKey:
        """Take a key from its person and return it; the first moment stays if repeated. StoreFault if unknown."""


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


class Approvals(Protocol):
    """Requests for consent. A request once added is never removed; its ends are kept."""

    def add_request(self, request: Request, check: Callable[[Asking], None]) -> None:
        """Keep a new request. `check` sees, in the same transaction, how much its principal asks.

        What `check` raises is raised, and nothing is kept.
        """

    def find_request(self, request: str) -> Request | None:
        """Return the request of this id."""

    def find_held(self, session: str, operation: int) -> Request | None:
        """Return the newest request for this operation of this session."""

    def find_claimable(self, subject: Subject, matter: str) -> Request | None:
        """Return the newest open request of this principal for this matter on which no session waits."""

    def change_request(self, request: str, change: Callable[[Request], Request]) -> Request:
        """Replace a request by what `change` makes of it, in one transaction that no other writer can enter.

        What `change` raises is raised, and nothing is changed. StoreFault if unknown.
        """

    def list_requests(self, states: Iterable[State], most: int) -> tuple[Request, ...]:
        """Return up to `most` requests in these states, newest first."""

    def list_changed(self, since: int) -> tuple[int, tuple[Request, ...]]:
        """Return requests changed since a number that this method returned (0: all that are open), and a new number."""


class Store(Directory, SigningKeys, KeyRing, Approvals, Protocol):
    """Everything a gate keeps beside evidence."""

    def generation(self) -> int:
        """Return a number that grows with each change by any process; cheap enough to poll each 100 ms."""

    def close(self) -> None:
        """Release the store; nothing may be called afterwards."""
