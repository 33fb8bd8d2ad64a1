# SPDX-License-Identifier: Apache-2.0
"""Objects as DROP, COMMENT, ALTER and GRANT name them: from PostgreSQL's object kinds to the resources of policies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gatebook.model.operation import ObjectKind, ObjectRef
from gatebook.protocols.postgres.expressions import strings
from gatebook.protocols.postgres.reading import Body, Reading

RELATIONS: Final = frozenset(
    {
        "OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW", "OBJECT_INDEX", "OBJECT_SEQUENCE", "OBJECT_FOREIGN_TABLE",
    }
)  # fmt: skip
FUNCTIONS: Final = frozenset({"OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_AGGREGATE"})
TYPES: Final = frozenset({"OBJECT_TYPE", "OBJECT_DOMAIN"})
# They belong to a relation, named before their own name.
PARTS_OF_RELATIONS: Final = frozenset({"OBJECT_TRIGGER", "OBJECT_RULE", "OBJECT_POLICY", "OBJECT_TABCONSTRAINT"})
# They belong to the target, not to a database.
SHARED: Final = frozenset({"OBJECT_DATABASE", "OBJECT_TABLESPACE", "OBJECT_PARAMETER_ACL"})


def names_in(node: Body) -> list[str]:
    """Return the parts of a name, however the tree wraps them: List, String, TypeName, RangeVar, ObjectWithArgs."""
    if "List" in node:
        return strings(node["List"].get("items"))
    if "String" in node:
        return [str(node["String"].get("sval", ""))]
    if "TypeName" in node:
        return strings(node["TypeName"].get("names"))
    if "ObjectWithArgs" in node:
        return strings(node["ObjectWithArgs"].get("objname"))
    return []


def objects_named(reading: Reading, kind: str, node: Body) -> Iterator[tuple[str, ObjectRef]]:
    """Return what a name of this object kind means, each as (`` or an action that replaces the command's, object)."""
    names = reading.names
    parts = names_in(node)
    if kind in RELATIONS and parts:
        yield "", names.relation(parts).ref
    elif kind in FUNCTIONS and parts:
        schemas = names.functions(parts)
        yield from (("", names.inside(ObjectKind.FUNCTION, schema, parts[-1])) for schema in schemas)
        if not schemas:
            yield "", names.unknown(parts)
    elif kind in TYPES and parts:
        yield "", existing_type(reading, parts)
    elif kind == "OBJECT_SCHEMA" and parts:
        yield "", names.schema(parts[-1])
    elif kind == "OBJECT_COLUMN" and len(parts) > 1:
        relation = names.relation(parts[:-1]).ref
        is_known = relation.kind is ObjectKind.RELATION
        yield "", names.column(relation, parts[-1]) if is_known else relation
    elif kind in PARTS_OF_RELATIONS and len(parts) > 1:
        yield "alter", names.relation(parts[:-1]).ref
    elif kind == "OBJECT_ROLE" and parts:
        yield "manage_role", names.role(parts[-1])
    elif kind in SHARED:
        yield "", names.server()
    else:
        yield "", names.database


def existing_type(reading: Reading, parts: list[str]) -> ObjectRef:
    """Return a type by name, unknown where it cannot be told."""
    schema = reading.names.type_schema(parts)
    if schema is None:
        return reading.names.unknown(parts)
    return reading.names.inside(ObjectKind.TYPE, schema, parts[-1])
