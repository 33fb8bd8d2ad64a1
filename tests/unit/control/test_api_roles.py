# SPDX-License-Identifier: Apache-2.0
"""Roles asked for over the API, by who may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.control import CONTROL, Desk
from support.control import desk as made_desk
from support.installation import Installation

TARGET = """
[[target]]
name = "work"
host = "127.0.0.1"
database = "work"
tls = "disable"

[[target.role]]
name = "repair"
account = "app"
groups = ["shop-agents"]
approvers = "dba"
longest_minutes = 30
break_glass = true

[[target.role]]
name = "other"
account = "app"
groups = ["others"]
approvers = "dba"
"""
WISH: dict[str, Any] = {"target": "work", "role": "repair", "minutes": 20, "reason": "INC-17"}


@pytest.fixture
def asking(gate: Installation) -> Iterator[Desk]:
    with made_desk(gate, CONTROL + TARGET) as made:
        yield made


def ask(desk: Desk, **other: object) -> Any:  # noqa: ANN401  JSON
    answer = desk.ask("POST", "/api/v1/roles", bearer=desk.bearer, json=WISH | other)
    return answer.status_code, answer.json()


def test_an_agent_asks_for_a_role_and_its_approvers_see_that(asking: Desk) -> None:
    status, told = ask(asking)
    assert (status, told["kind"], told["state"], told["role"]) == (200, "role", "pending", "repair")
    listed = asking.ask("GET", "/api/v1/approvals", web=asking.sign_in("ann")).json()
    assert [(one["request"], one["can_vote"]) for one in listed] == [(told["request"], True)]
    assert [one["request"] for one in asking.entries("approval.requested")] == [told["request"]]


def test_glass_is_broken_at_once_and_once(asking: Desk) -> None:
    assert ask(asking, break_glass=True)[1]["state"] == "granted"
    assert len(asking.entries("approval.granted")) == 1


@pytest.mark.parametrize(
    ("other", "status"),
    [
        ({"role": "nothing"}, 404),
        ({"target": "nowhere"}, 404),
        ({"role": "other"}, 404),
        ({"minutes": 31}, 409),
        ({"minutes": 0}, 422),
        ({"reason": ""}, 422),
        ({"more": 1}, 422),
    ],
)
def test_what_may_not_be_asked_for_leaves_nothing(asking: Desk, other: dict[str, object], status: int) -> None:
    assert ask(asking, **other)[0] == status
    assert asking.entries("approval.requested") == []


def test_a_person_without_the_group_finds_no_such_role(asking: Desk) -> None:
    answer = asking.ask("POST", "/api/v1/roles", web=asking.sign_in("per"), json=WISH)
    assert answer.status_code == 404
