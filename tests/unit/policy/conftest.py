# SPDX-License-Identifier: Apache-2.0
"""An agent of the shop, objects of the shop's database, and the circumstances of a statement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gatebook.model.operation import Access, ObjectKind, ObjectRef
from gatebook.model.principal import Principal, PrincipalKind, Subject

Context = dict[str, bool | int | str | datetime]


@pytest.fixture
def agent() -> Principal:
    subject = Subject("keys", "order-bot")
    return Principal(
        PrincipalKind.AGENT, subject, ("shop-agents",), Subject("keys", "ann"), (subject,), "api_key", "key-1"
    )


@pytest.fixture
def context() -> Context:
    return {
        "role": "clerk",
        "verb": "SELECT",
        "via": "query",
        "statement_count": 1,
        "in_transaction": False,
        "tls": True,
        "now": datetime(2026, 11, 23, 3, 4, 5, tzinfo=UTC),
    }


def _access(text: str) -> Access:
    """`select public.orders`, `drop Unknown x`, `login Database`, `set_role Role admin`."""
    action, *rest = text.split()
    kind = ObjectKind(rest[0]) if rest[0] in {kind.value for kind in ObjectKind} else ObjectKind.RELATION
    name = rest[-1] if rest[-1] != kind.value else ""
    parts = tuple(name.split(".")) if name else ()
    base = ("shop",) if kind in {ObjectKind.TARGET, ObjectKind.ROLE} else ("shop", "shop")
    return Access(action, ObjectRef(kind, (*base, *parts)))


@pytest.fixture
def access() -> Callable[[str], Access]:
    return _access
