# SPDX-License-Identifier: Apache-2.0
"""Roles that are asked for: who may, for how long, what stands in the book before anything is in force."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from unit.session.conftest import ANN, BOT, NOW

from gatebook.approval.request import NotNow, cancel
from gatebook.model.approval import Asking, Kind, Request, Requirement, State
from gatebook.model.ids import RoleName
from gatebook.model.principal import Principal, PrincipalKind
from gatebook.model.target import Account, Role
from gatebook.session.requesting import Counter, Terms, role_hold, role_matter

SALT = "5a" * 32
ROLE = Role(
    RoleName("repair"), Account("shop_repair", None), ("agents",), approvers="dba", longest_minutes=60, break_glass=True
)
AGENT = Principal(PrincipalKind.AGENT, BOT, ("agents",), ANN, (BOT,), "api_key", "k1")


@dataclass
class Kept:
    """Requests, and the leaves of the book, in memory."""

    requests: list[Request] = field(default_factory=list)
    leaves: list[dict[str, Any]] = field(default_factory=list)

    def add_request(self, request: Request, check: Callable[[Asking], None]) -> None:
        unreviewed = sum(one.waits_for_review for one in self.requests)
        check(Asking(sum(one.is_open for one in self.requests), len(self.requests), unreviewed))
        self.requests.append(request)

    def append(self, leaf: bytes) -> None:
        self.leaves.append(json.loads(leaf))


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def counter(kept: Kept) -> Counter:
    names = iter(f"apr_{number}" for number in range(1000))
    terms = Terms(decide_s=300, pending=3, per_hour=5)
    return Counter("cli", kept, kept.append, lambda: NOW, lambda: next(names), lambda: SALT, terms)


def test_a_role_waits_for_its_approvers_and_is_in_the_book(counter: Counter, kept: Kept) -> None:
    request = counter.ask(AGENT, "shop", ROLE, 30, "INC-17")
    assert (request.kind, request.state, request.minutes, request.use_s) == (Kind.ROLE, State.PENDING, 30, 1800)
    assert request.hold.requirements == (Requirement("dba", 1),)
    assert request.decide_by == NOW + timedelta(seconds=300)
    (leaf,) = kept.leaves
    assert leaf["event"] == "approval.requested"
    assert leaf["digest"] == request.digest
    assert leaf["binding"] == {
        "v": 1,
        "kind": "role",
        "identity": {
            "act": [{"iss": "gatebook:gate-1", "sub": "order-bot"}],
            "agent": {"iss": "gatebook:gate-1", "sub": "order-bot"},
            "groups": ["agents"],
            "method": "api_key",
            "owner": {"iss": "gatebook:gate-1", "sub": "ann"},
            "role": "repair",
        },
        "where": {"target": "shop"},
        "policies": [],
        "hold": {"approvers": [["dba", 1]], "covers": "exact", "uses": 1, "signed": True, "unseen": False},
        "minutes": 30,
    }
    assert json.loads(request.shown)["reason"] == "INC-17"


def test_glass_is_broken_at_once_for_its_minutes(counter: Counter, kept: Kept) -> None:
    request = counter.break_glass(AGENT, "shop", ROLE, 15, "down")
    assert (request.state, request.ends_at()) == (State.GRANTED, NOW + timedelta(minutes=15))
    assert [leaf["event"] for leaf in kept.leaves] == ["approval.requested", "approval.granted"]
    assert kept.leaves[0]["binding"]["kind"] == "break_glass"


def test_glass_is_not_broken_again_before_a_review(counter: Counter, kept: Kept) -> None:
    request = counter.break_glass(AGENT, "shop", ROLE, 15, "down")
    kept.requests[:] = [cancel(request, NOW, "given back")]
    with pytest.raises(NotNow, match="waits for its review"):
        counter.break_glass(AGENT, "shop", ROLE, 15, "down again")
    assert len(kept.leaves) == 2


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((replace(ROLE, approvers=""), 30, "x"), "cannot be asked for"),
        ((replace(ROLE, groups=("others",)), 30, "x"), "cannot be asked for"),
        ((ROLE, 61, "x"), "1 to 60 minutes"),
        ((ROLE, 0, "x"), "1 to 60 minutes"),
        ((ROLE, 30, " "), "a reason"),
        ((ROLE, 30, "x" * 1025), "a reason"),
    ],
)
def test_what_may_not_be_asked_for_leaves_nothing(
    counter: Counter, kept: Kept, asked: tuple[Role, int, str], words: str
) -> None:
    for verb in (counter.ask, counter.break_glass):
        with pytest.raises(NotNow, match=words):
            verb(AGENT, "shop", *asked)
    assert (kept.requests, kept.leaves) == ([], [])


def test_a_role_without_glass_cannot_be_broken_into(counter: Counter) -> None:
    with pytest.raises(NotNow, match="cannot be taken by breaking glass"):
        counter.break_glass(AGENT, "shop", replace(ROLE, break_glass=False), 15, "down")


def test_who_asks_too_much_is_refused(counter: Counter) -> None:
    for _ in range(3):
        counter.ask(AGENT, "shop", ROLE, 30, "again")
    with pytest.raises(NotNow, match="too many requests"):
        counter.ask(AGENT, "shop", ROLE, 30, "again")


def test_the_digest_holds_who_where_what_and_for_how_long() -> None:
    def digest(principal: Principal = AGENT, target: str = "shop", role: Role = ROLE, minutes: int = 30) -> str:
        return role_matter(principal, target, role, kind=Kind.ROLE, minutes=minutes).bind(SALT).digest

    others = {
        digest(replace(AGENT, groups=("agents", "admins"))),
        digest(replace(AGENT, owner=None)),
        digest(target="other"),
        digest(role=replace(ROLE, name=RoleName("admin"))),
        digest(role=replace(ROLE, approvers_needed=2)),
        digest(minutes=31),
    }
    assert len(others) == 6
    assert digest() not in others
    assert digest(replace(AGENT, credential="k2")) == digest()
    assert role_hold(replace(ROLE, approvers_needed=2)).requirements == (Requirement("dba", 2),)
