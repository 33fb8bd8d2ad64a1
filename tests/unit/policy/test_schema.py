# SPDX-License-Identifier: Apache-2.0
"""The published schema is read as it is written, and policies that do not fit it do not load."""

from __future__ import annotations

import pytest

from gatebook.model.operation import ObjectKind
from gatebook.policy import SCHEMA_TEXT, PolicyFault, load
from gatebook.policy.schema import ACTION_GROUPS, ACTIONS, CONTEXT, VOLATILE


def test_every_kind_of_object_is_an_entity_type() -> None:
    for kind in ObjectKind:
        assert f"entity {kind.value} " in SCHEMA_TEXT


def test_actions_and_groups_are_read_from_the_text() -> None:
    assert {"connect", "read", "write", "define", "administer", "call"} == ACTION_GROUPS
    assert ACTIONS["select"] == {"read"}
    assert ACTIONS["truncate"] == {"write"}
    assert ACTIONS["execute"] == {"call"}
    assert ACTIONS["opaque"] == frozenset()
    assert {group for groups in ACTIONS.values() for group in groups} == ACTION_GROUPS
    assert len(ACTIONS) == 34


def test_the_circumstances_are_read_from_the_text() -> None:
    assert CONTEXT["verb"] is True
    assert CONTEXT["has_where"] is False
    assert CONTEXT.keys() >= VOLATILE


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ('permit (principal, action == Action::"sel", resource);', "unrecognized action"),
        ('permit (principal, action, resource in Tabel::"x");', "unrecognized entity type"),
        ('permit (principal, action == Action::"select", resource is Relation) when { resource.kid == "x" };', "kid"),
        ("permit (principal, action, resource) when { context.has_where };", "has_where"),
        ("permit (principal, action, resource) when { context.verb == 7 };", "type"),
        ('permit (principal, action == Action::"login", resource in Relation::"x");', "applicable"),
    ],
)
def test_what_does_not_fit_the_schema_does_not_load(policy: str, reason: str) -> None:
    with pytest.raises(PolicyFault) as caught:
        load({"p.cedar": f"\n{policy}"})
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("p.cedar", 2)
    assert reason in problem.reason
