# SPDX-License-Identifier: Apache-2.0
"""The reach of a policy is read from its parsed form, always rather too wide than too narrow."""

from __future__ import annotations

import pytest

from gatebook.model.operation import ObjectKind, ObjectRef
from gatebook.policy.schema import ACTIONS
from gatebook.policy.scope import Reach, reach_of
from gatebook.policy.source import parse_policies

SHOP = ObjectRef(ObjectKind.DATABASE, ("shop", "shop"))


def _reach(text: str) -> Reach:
    (policy,), problems = parse_policies({"p": text})
    assert problems == []
    return reach_of(policy)


@pytest.mark.parametrize(
    ("scope", "principals"),
    [
        ("principal", None),
        ("principal is Agent", None),
        ('principal == Agent::"a|b"', {("Agent", "a|b")}),
        ('principal in Group::"g"', {("Group", "g")}),
        ('principal is Agent in Group::"g"', {("Group", "g")}),
    ],
)
def test_reads_whom_it_could_concern(scope: str, principals: set[tuple[str, str]] | None) -> None:
    assert _reach(f"permit ({scope}, action, resource);").principals == principals


@pytest.mark.parametrize(
    ("scope", "actions"),
    [
        ("action", set(ACTIONS)),
        ('action == Action::"drop"', {"drop"}),
        ('action in Action::"read"', {"select"}),
        ('action in [Action::"read", Action::"drop"]', {"select", "drop"}),
    ],
)
def test_reads_which_actions_it_names(scope: str, actions: set[str]) -> None:
    assert _reach(f"permit (principal, {scope}, resource);").actions == actions


@pytest.mark.parametrize(
    ("rest", "protects"),
    [
        ("resource);", False),
        ('resource in Target::"shop");', False),
        ('resource in Database::"shop.shop");', False),
        ('resource == Database::"shop.shop");', False),
        ("resource is Database);", False),
        ('resource in Schema::"shop.shop.hr");', True),
        ('resource in Schema::"shop.shop2.hr");', False),
        ('resource is Relation in Schema::"shop.shop.hr");', True),
        ("resource is Relation);", True),
        ('resource is Relation in Database::"shop.shop");', True),
        ('resource) when { resource in Relation::"shop.shop.hr.x" };', True),
        ('resource in Database::"shop.shop") unless { resource is Setting };', True),
    ],
)
def test_reads_whether_it_singles_out_something_inside_a_database(rest: str, protects: bool) -> None:
    assert _reach(f"forbid (principal, action, {rest}").could_protect(SHOP) is protects


@pytest.mark.parametrize(
    ("condition", "reads"),
    [
        ("context.now > context.now", True),
        ("context has now", True),
        ('context.verb == "x" && !(context.role == "y")', False),
        ("{a: context} == {a: context}", True),
        ("if context.tls then true else false", True),
    ],
)
def test_reads_whether_it_depends_on_the_moment(condition: str, reads: bool) -> None:
    assert _reach(f"permit (principal, action, resource) when {{ {condition} }};").reads_volatile is reads
