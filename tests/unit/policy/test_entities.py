# SPDX-License-Identifier: Apache-2.0
"""Principals and objects become entities that fit the schema."""

from __future__ import annotations

import json
from dataclasses import replace

from cedarpy import Entities

from gatebook.model.operation import ObjectKind, ObjectRef
from gatebook.model.principal import Principal, Subject
from gatebook.policy.entities import actors, object_entities, parent_of, principal_entities
from gatebook.policy.schema import SCHEMA

PATHS = {
    ObjectKind.TARGET: ("t",),
    ObjectKind.DATABASE: ("t", "d"),
    ObjectKind.SCHEMA: ("t", "d", "s"),
    ObjectKind.RELATION: ("t", "d", "s", "r"),
    ObjectKind.COLUMN: ("t", "d", "s", "r", "c"),
    ObjectKind.FUNCTION: ("t", "d", "pg_catalog", "f"),
    ObjectKind.OPERATOR: ("t", "d", "s", "+"),
    ObjectKind.TYPE: ("t", "d", "s", "y"),
    ObjectKind.SETTING: ("t", "d", "app.tenant"),
    ObjectKind.CHANNEL: ("t", "d", "c"),
    ObjectKind.UNKNOWN: ("t", "d", "x.y"),
    ObjectKind.ROLE: ("t", "admin"),
}


def test_every_entity_fits_the_schema(agent: Principal) -> None:
    refs = [ObjectRef(kind, path) for kind, path in PATHS.items()]
    assert len(refs) == len(ObjectKind)
    entities = [*principal_entities(agent), *object_entities(refs, lambda _ref: "table")]
    loaded = json.loads(str(Entities.from_json_str(json.dumps(entities), schema=SCHEMA)))
    assert {entity["uid"]["type"] for entity in loaded} >= {kind.value for kind in ObjectKind} | {"Agent", "Person"}


def test_an_object_brings_all_that_holds_it_once() -> None:
    refs = [ObjectRef(ObjectKind.COLUMN, ("t", "d", "s", "r", name)) for name in ("a", "b")]
    uids = [entity["uid"] for entity in object_entities(refs, lambda _ref: "view")]
    assert uids == [
        {"type": "Column", "id": "t.d.s.r.a"},
        {"type": "Relation", "id": "t.d.s.r"},
        {"type": "Schema", "id": "t.d.s"},
        {"type": "Database", "id": "t.d"},
        {"type": "Target", "id": "t"},
        {"type": "Column", "id": "t.d.s.r.b"},
    ]


def test_dots_in_names_do_not_make_another_object() -> None:
    (entity, *_) = object_entities([ObjectRef(ObjectKind.RELATION, ("t", "d", "s", "a.b"))], lambda _ref: "table")
    assert entity["uid"] == {"type": "Relation", "id": "t.d.s.a\\.b"}
    assert entity["attrs"] == {"name": "a.b", "system": False, "kind": "table"}


def test_roles_belong_to_the_target() -> None:
    assert parent_of(ObjectRef(ObjectKind.ROLE, ("t", "admin"))) == ObjectRef(ObjectKind.TARGET, ("t",))
    assert parent_of(ObjectRef(ObjectKind.TARGET, ("t",))) is None


def test_an_agent_that_acts_for_itself_is_one_actor(agent: Principal) -> None:
    assert actors(agent) == ({"type": "Agent", "id": "keys|order-bot"},)
    chained = replace(agent, chain=(agent.subject, Subject("keys", "helper")))
    assert [uid["id"] for uid in actors(chained)] == ["keys|order-bot", "keys|helper"]
