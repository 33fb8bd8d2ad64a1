# SPDX-License-Identifier: Apache-2.0
"""A gate with one target, one policy file and a book of keys, without files, sockets or a clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from gatebook import policy
from gatebook.identity.api_key import MintedKey, mint
from gatebook.model.credential import KeyRecord, Person
from gatebook.model.ids import EvaluationId, RoleName, TargetName
from gatebook.model.operation import Access
from gatebook.model.principal import Subject
from gatebook.model.secret import Secret
from gatebook.model.target import Account, Address, Role, Target, TlsMode
from gatebook.session.gate import Circumstances, Knock, Place, Rules

NOW = datetime(2026, 11, 23, 3, 4, 5, tzinfo=UTC)
ANN = Subject("gatebook:gate-1", "ann")
BOT = Subject("gatebook:gate-1", "order-bot")
POLICIES = """
@id("connect") permit (principal in Group::"shop-agents", action in Action::"connect", resource in Target::"shop");
@id("read")
permit (principal in Group::"shop-agents", action in Action::"read", resource in Schema::"shop.shop.public");
@id("no-define") @message("agents define nothing") @hint("ask for a migration")
forbid (principal, action in Action::"define", resource);
"""


@dataclass
class Book:
    """Keys and people in memory."""

    keys: dict[bytes, KeyRecord] = field(default_factory=dict)
    people: dict[Subject, Person] = field(default_factory=dict)

    def find_key(self, sha256: bytes) -> KeyRecord | None:
        return self.keys.get(sha256)

    def find_person(self, subject: Subject) -> Person | None:
        return self.people.get(subject)


@pytest.fixture
def target() -> Target:
    return Target(
        name=TargetName("shop"),
        kind="postgres",
        address=Address("127.0.0.1", 5432),
        tls=TlsMode.DISABLE,
        tls_roots=b"",
        database="shop",
        roles=(
            Role(RoleName("writer"), Account("shop_writer", Secret("w")), ("shop-writers",)),
            Role(RoleName("reader"), Account("shop_reader", Secret("r")), ("shop-agents",)),
        ),
    )


@pytest.fixture
def key() -> MintedKey:
    return mint(
        bytes(range(32)),
        agent=BOT,
        owner=ANN,
        groups=("shop-agents",),
        now=NOW - timedelta(days=1),
        expires_at=NOW + timedelta(days=1),
    )


@pytest.fixture
def book(key: MintedKey) -> Book:
    return Book({key.record.sha256: key.record}, {ANN: Person(ANN, admin=True, created_at=NOW)})


@pytest.fixture
def rules(book: Book, target: Target) -> Rules:
    return Rules(engine=policy.load({"shop.cedar": POLICIES}), book=book, targets={"shop": target})


@pytest.fixture
def circumstances() -> Circumstances:
    return Circumstances(NOW, EvaluationId("e_1"), in_transaction=False)


@pytest.fixture
def knock(key: MintedKey, target: Target) -> Callable[..., Knock]:
    def _knock(**other: object) -> Knock:
        accesses: tuple[Access, ...] = ()
        usual = Knock(
            credential=key.token,
            user="order-bot",
            place=Place(target, target.database),
            accesses=accesses,
            tls=True,
            now=NOW,
        )
        return replace(usual, **other)  # type: ignore[arg-type]  # a test names fields of the knock

    return _knock
