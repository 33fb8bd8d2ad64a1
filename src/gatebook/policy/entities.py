# SPDX-License-Identifier: Apache-2.0
"""Principals and objects as Cedar entities: the small slice that one decision needs, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from gatebook.model.operation import ObjectKind, ObjectRef
from gatebook.model.principal import Principal, PrincipalKind, Subject

Uid: TypeAlias = dict[str, str]
Value: TypeAlias = "str | bool | dict[str, Uid]"
Entity: TypeAlias = "dict[str, Uid | dict[str, Value] | list[Uid]]"
KindOf: TypeAlias = Callable[[ObjectRef], str]

_SYSTEM_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema", "pg_toast"})
# Depth of each kind in the tree that begins at the target; what is not here lies right below the database.
_PARENTS: Final[Mapping[ObjectKind, ObjectKind]] = {
    ObjectKind.DATABASE: ObjectKind.TARGET,
    ObjectKind.ROLE: ObjectKind.TARGET,
    ObjectKind.SCHEMA: ObjectKind.DATABASE,
    ObjectKind.SETTING: ObjectKind.DATABASE,
    ObjectKind.CHANNEL: ObjectKind.DATABASE,
    ObjectKind.UNKNOWN: ObjectKind.DATABASE,
    ObjectKind.RELATION: ObjectKind.SCHEMA,
    ObjectKind.FUNCTION: ObjectKind.SCHEMA,
    ObjectKind.OPERATOR: ObjectKind.SCHEMA,
    ObjectKind.TYPE: ObjectKind.SCHEMA,
    ObjectKind.COLUMN: ObjectKind.RELATION,
}
_LENGTHS: Final[Mapping[ObjectKind, int]] = {
    ObjectKind.TARGET: 1,
    ObjectKind.DATABASE: 2,
    ObjectKind.SCHEMA: 3,
    ObjectKind.RELATION: 4,
}


def subject_uid(kind: PrincipalKind, subject: Subject) -> Uid:
    """Return the entity id of an identity: `Agent` or `Person`, named `issuer|subject`."""
    return {"type": "Agent" if kind is PrincipalKind.AGENT else "Person", "id": str(subject)}


def principal_entities(principal: Principal) -> list[Entity]:
    """Return the principal with its groups and owner, then its further actors."""
    attributes: dict[str, Value] = {
        "issuer": principal.subject.issuer,
        "subject": principal.subject.subject,
        "method": principal.method,
        "credential": principal.credential,
    }
    if principal.owner is not None and principal.kind is PrincipalKind.AGENT:
        attributes["owner"] = {"__entity": subject_uid(PrincipalKind.PERSON, principal.owner)}
    uid = subject_uid(principal.kind, principal.subject)
    groups = [{"type": "Group", "id": group} for group in principal.groups]
    found: dict[str, Entity] = {str(uid): {"uid": uid, "attrs": attributes, "parents": groups}}
    bare = [_bare(PrincipalKind.AGENT, actor) for actor in principal.chain]
    if principal.owner is not None:
        bare.append(_bare(PrincipalKind.PERSON, principal.owner))
    for entity in bare:
        found.setdefault(str(entity["uid"]), entity)
    return list(found.values())


def actors(principal: Principal) -> tuple[Uid, ...]:
    """Everybody who must be permitted: the principal, and each actor of the chain (RFC 8693: rights intersect)."""
    own = subject_uid(principal.kind, principal.subject)
    chain = [subject_uid(PrincipalKind.AGENT, actor) for actor in principal.chain]
    return (own, *(uid for uid in chain if uid != own))


def object_uid(ref: ObjectRef) -> Uid:
    """Return the entity id of an object."""
    return {"type": ref.kind.value, "id": str(ref)}


def object_entities(refs: Iterable[ObjectRef], kind_of: KindOf) -> list[Entity]:
    """Return the objects with all that holds them, each once."""
    found: dict[ObjectRef, Entity] = {}
    for ref in refs:
        current: ObjectRef | None = ref
        while current is not None and current not in found:
            parent = parent_of(current)
            parents = [object_uid(parent)] if parent else []
            found[current] = {"uid": object_uid(current), "attrs": _attributes(current, kind_of), "parents": parents}
            current = parent
    return list(found.values())


def parent_of(ref: ObjectRef) -> ObjectRef | None:
    """Return what holds an object in the tree of resources; None for a target."""
    kind = _PARENTS.get(ref.kind)
    return ObjectRef(kind, ref.path[: _LENGTHS[kind]]) if kind else None


def _bare(kind: PrincipalKind, subject: Subject) -> Entity:
    attributes: dict[str, Value] = {"issuer": subject.issuer, "subject": subject.subject}
    return {"uid": subject_uid(kind, subject), "attrs": attributes, "parents": []}


def _attributes(ref: ObjectRef, kind_of: KindOf) -> dict[str, Value]:
    attributes: dict[str, Value] = {"name": ref.path[-1]}
    below = _PARENTS.get(ref.kind)
    if ref.kind is ObjectKind.SCHEMA or below in {ObjectKind.SCHEMA, ObjectKind.RELATION}:
        attributes["system"] = ref.path[2] in _SYSTEM_SCHEMAS
    if ref.kind is ObjectKind.RELATION:
        attributes["kind"] = kind_of(ref)
    return attributes
