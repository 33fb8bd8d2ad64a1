# SPDX-License-Identifier: Apache-2.0
"""Definitions: CREATE, ALTER, DROP, COMMENT, and what they carry inside (queries, defaults, conditions, code).

Source: PostgreSQL 18, reference pages of these commands. What runs later by itself (triggers, rules, event triggers,
conversions) is judged here, as a call of its function: there is no later statement that names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gatebook.model.operation import ObjectKind
from gatebook.protocols.postgres.commands import cascade
from gatebook.protocols.postgres.expressions import strings
from gatebook.protocols.postgres.objects import existing_type, names_in, objects_named
from gatebook.protocols.postgres.queries import created, makes_relation, parts_of
from gatebook.protocols.postgres.reading import Body, Handler, Reading
from gatebook.protocols.postgres.scope import Item, Scope

_ANY_ITEM: Final = Item((), None, None)
"""Stands for the relation whose columns a condition of a definition reads."""


def _inside() -> Scope:
    return Scope(items=[_ANY_ITEM])


def _relation(reading: Reading, body: Body | None, action: str) -> None:
    if body is not None:
        reading.access(action, reading.names.relation(parts_of(body)).ref)


# ── relations ───────────────────────────────────────────────────────────────────────────────────


def _create_table(reading: Reading, body: Body, _scope: Scope) -> None:
    reading.access("create", created(reading, body["relation"]))
    makes_relation(reading, body["relation"])
    for parent in body.get("inhRelations") or ():
        _relation(reading, parent["RangeVar"], "alter")
    fields = {
        "relation": "-", "inhRelations": "-", "tableElts": "", "partbound": "PartitionBoundSpec",
        "partspec": "PartitionSpec", "ofTypename": "TypeName", "constraints": "", "nnconstraints": "", "options": "",
    }  # fmt: skip
    reading.rest("CreateStmt", body, _inside(), fields)


def _create_foreign_table(reading: Reading, body: Body, scope: Scope) -> None:
    reading.on_database("extend")
    reading.walk_as("CreateStmt", body.get("base"), scope)


def _like(reading: Reading, body: Body, _scope: Scope) -> None:
    _relation(reading, body["relation"], "select")


def _constraint(reading: Reading, body: Body, scope: Scope) -> None:
    _relation(reading, body.get("pktable"), "select")
    for pair in body.get("exclusions") or ():
        operator = pair["List"]["items"][-1]
        reading.code(reading.names.operator(names_in(operator)))
        reading.walk(pair["List"]["items"][0], scope)
    reading.walk(body.get("raw_expr"), scope)
    reading.walk(body.get("where_clause"), scope)
    reading.walk(body.get("options"), scope)


def _alter_table(reading: Reading, body: Body, _scope: Scope) -> None:
    if body.get("objtype") == "OBJECT_TYPE":
        reading.access("alter", existing_type(reading, parts_of(body["relation"])))
    else:
        _relation(reading, body["relation"], "alter")
    reading.defines()
    for node in body["cmds"]:
        command = node["AlterTableCmd"]
        if command.get("newowner"):
            reading.access("grant", reading.names.relation(parts_of(body["relation"])).ref)
        definition = command.get("def") or {}
        if "RangeVar" in definition:  # INHERIT, NO INHERIT
            _relation(reading, definition["RangeVar"], "alter")
        elif "PartitionCmd" in definition:
            _relation(reading, definition["PartitionCmd"].get("name"), "alter")
            reading.walk_as("PartitionBoundSpec", definition["PartitionCmd"].get("bound"), _inside())
        else:
            reading.walk(definition or None, _inside())
    if any(node["AlterTableCmd"].get("behavior") == "DROP_CASCADE" for node in body["cmds"]):
        cascade(reading, {"behavior": "DROP_CASCADE"}, "drop")


def _create_index(reading: Reading, body: Body, _scope: Scope) -> None:
    _relation(reading, body["relation"], "alter")
    reading.defines()
    fields = {
        "relation": "-", "indexParams": "", "indexIncludingParams": "", "options": "", "whereClause": "",
        "excludeOpNames": "-",
    }  # fmt: skip
    reading.rest("IndexStmt", body, _inside(), fields)


def _create_view(reading: Reading, body: Body, scope: Scope) -> None:
    reading.access("create", created(reading, body["view"]))
    reading.defines()
    reading.walk(body.get("query"), scope)
    reading.walk(body.get("options"), scope)


def _create_sequence(reading: Reading, body: Body, _scope: Scope) -> None:
    reading.access("create", created(reading, body["sequence"]))
    reading.defines()
    _owned_by(reading, body)


def _alter_sequence(reading: Reading, body: Body, _scope: Scope) -> None:
    _relation(reading, body["sequence"], "alter")
    reading.defines()
    _owned_by(reading, body)


def _owned_by(reading: Reading, body: Body) -> None:
    for option in body.get("options") or ():
        if option["DefElem"].get("defname") == "owned_by":
            parts = names_in(option["DefElem"]["arg"])
            if len(parts) > 1:
                reading.access("alter", reading.names.relation(parts[:-1]).ref)


def _rule(reading: Reading, body: Body, _scope: Scope) -> None:
    _relation(reading, body["relation"], "alter")
    reading.defines()
    inside = Scope(items=[Item(("old", "new"), None, None)])
    # `old` and `new` stand for the row; as relations they would resolve to nothing.
    reading.walk(body.get("whereClause"), inside)
    reading.walk(body.get("actions"), inside)


def _policy(reading: Reading, body: Body, _scope: Scope) -> None:
    """Row policies decide who sees which rows: as much a grant as a change of the table."""
    _relation(reading, body["table"], "alter")
    _relation(reading, body["table"], "grant")
    reading.defines()
    reading.walk(body.get("qual"), _inside())
    reading.walk(body.get("with_check"), _inside())


def _trigger(reading: Reading, body: Body, _scope: Scope) -> None:
    _relation(reading, body["relation"], "alter")
    reading.code(reading.names.function(strings(body["funcname"])))
    reading.defines()
    reading.walk(body.get("whenClause"), _inside())
    _relation(reading, body.get("constrrel"), "select")


def _statistics(reading: Reading, body: Body, _scope: Scope) -> None:
    for entry in body.get("relations") or ():
        _relation(reading, entry.get("RangeVar"), "alter")
    if not body.get("relations"):
        reading.on_database("alter")
    reading.defines()
    reading.walk(body.get("exprs"), _inside())


# ── schemas, types, functions ───────────────────────────────────────────────────────────────────


def _create_schema(reading: Reading, body: Body, scope: Scope) -> None:
    owner = body.get("authrole") or {}
    reading.access("create", reading.names.schema(body.get("schemaname") or owner.get("rolename", "")))
    reading.defines()
    if owner:
        reading.access("grant", reading.names.role(owner.get("rolename", "")))
    if body.get("schemaElts"):
        # Names inside mean the schema that does not exist yet.
        reading.not_understood("CREATE SCHEMA with definitions inside is read by the server in its own way")
        reading.walk(body.get("schemaElts"), scope)


def _create_type(reading: Reading, body: Body, scope: Scope) -> None:
    """Enum, range, composite and domain types."""
    names = strings(body.get("typeName") if isinstance(body.get("typeName"), list) else body.get("domainname"))
    if "typevar" in body:
        names = parts_of(body["typevar"])
    reading.access("create", reading.names.new(ObjectKind.TYPE, names))
    reading.defines()
    reading.walk(body.get("coldeflist"), scope)
    if isinstance(body.get("typeName"), dict):
        reading.walk_as("TypeName", body["typeName"], scope)
    reading.walk(body.get("constraints"), _inside())
    _functions_in(reading, body.get("params"))


def _alter_type(reading: Reading, body: Body, _scope: Scope) -> None:
    """ALTER TYPE and ALTER DOMAIN."""
    reading.access("alter", existing_type(reading, strings(body.get("typeName"))))
    reading.defines()
    reading.walk(body.get("def"), _inside())
    _functions_in(reading, body.get("options"))


def _functions_in(reading: Reading, options: list[Body] | None) -> None:
    """Functions that a definition names as its parts; they stand there as type names."""
    for option in options or ():
        argument = option["DefElem"].get("arg") or {}
        parts = names_in(argument) if "TypeName" in argument else []
        if parts and reading.names.functions(parts):
            reading.code(reading.names.function(parts))


def _define(reading: Reading, body: Body, _scope: Scope) -> None:
    """Handle aggregates, operators, base types, collations and text search: made of functions."""
    kinds = {
        "OBJECT_AGGREGATE": ObjectKind.FUNCTION,
        "OBJECT_OPERATOR": ObjectKind.OPERATOR,
        "OBJECT_TYPE": ObjectKind.TYPE,
    }
    kind = kinds.get(body.get("kind", ""))
    if kind is None:
        reading.on_database("create")
    else:
        reading.access("create", reading.names.new(kind, strings(body["defnames"])))
    reading.defines()
    _functions_in(reading, body.get("definition"))


def _create_function(reading: Reading, body: Body, scope: Scope) -> None:
    reading.access("create", reading.names.new(ObjectKind.FUNCTION, strings(body["funcname"])))
    reading.defines()
    reading.walk(body.get("parameters"), scope)
    reading.walk_as("TypeName", body.get("returnType"), scope)
    if body.get("sql_body"):
        reading.walk(body["sql_body"], scope)
    if any(option["DefElem"].get("defname") == "as" for option in body.get("options") or ()):
        reading.not_understood("the body of the function is code that the gate does not read")


def _alter_function(reading: Reading, body: Body, _scope: Scope) -> None:
    kind = body.get("objtype", "OBJECT_FUNCTION")
    _apply(reading, "alter", kind, {"ObjectWithArgs": body["func"]})
    reading.defines()


def _create_cast(reading: Reading, body: Body, scope: Scope) -> None:
    reading.on_database("create")
    reading.defines()
    for key in ("sourcetype", "targettype", "type_name"):
        reading.walk_as("TypeName", body.get(key), scope)
    for key in ("func", "fromsql", "tosql"):
        if parts := strings((body.get(key) or {}).get("objname")):
            reading.code(reading.names.function(parts))
    for key in ("func_name", "funcname", "plhandler", "plinline", "plvalidator", "handler_name"):
        if parts := strings(body.get(key)):
            reading.code(reading.names.function(parts))


def _operator_class(reading: Reading, body: Body, _scope: Scope) -> None:
    reading.on_database("create")
    reading.defines()
    for node in body.get("items") or ():
        item = node["CreateOpClassItem"]
        parts = strings((item.get("name") or {}).get("objname"))
        if parts:
            is_function = bool(reading.names.functions(parts))
            names = reading.names
            reading.code(names.function(parts) if is_function else names.operator(parts))


# ── any object ──────────────────────────────────────────────────────────────────────────────────


def _apply(reading: Reading, action: str, kind: str, node: Body) -> None:
    for instead, ref in objects_named(reading, kind, node):
        reading.access(instead or action, ref)


def _drop(reading: Reading, body: Body, _scope: Scope) -> None:
    for node in body["objects"]:
        _apply(reading, "drop", body.get("removeType", ""), node)
    cascade(reading, body, "drop")
    reading.defines()


def _comment(reading: Reading, body: Body, _scope: Scope) -> None:
    _apply(reading, "comment", body.get("objtype", ""), body.get("object") or {})
    reading.defines()


def _object(reading: Reading, body: Body, action: str) -> None:
    """ALTER ... in the forms that are common to all kinds: the object stands in `relation` or in `object`."""
    kind = body.get("renameType") or body.get("objectType") or body.get("objtype") or ""
    if body.get("relation"):
        _relation(reading, body["relation"], action)
    else:
        _apply(reading, action, kind, body.get("object") or {"String": {"sval": body.get("subname", "")}})
    reading.defines()


def _rename(reading: Reading, body: Body, _scope: Scope) -> None:
    """RENAME takes a name away and makes another, which policies may speak of."""
    _object(reading, body, "alter")
    new, relation = body.get("newname", ""), body.get("relation")
    if body.get("renameType") == "OBJECT_SCHEMA":
        reading.access("create", reading.names.schema(new))
        reading.access("alter", reading.names.unknown(("contents",)))  # everything inside gets another path
    elif relation and body.get("renameType") not in {
        "OBJECT_COLUMN",
        "OBJECT_ATTRIBUTE",
        "OBJECT_TABCONSTRAINT",
        "OBJECT_TRIGGER",
        "OBJECT_RULE",
        "OBJECT_POLICY",
    }:
        found = reading.names.relation(parts_of(relation)).ref
        schema = found.path[2:3] if found.kind is ObjectKind.RELATION else ()
        names = reading.names
        reading.access("create", names.inside(ObjectKind.RELATION, schema[0], new) if schema else names.unknown((new,)))


def _alter_schema(reading: Reading, body: Body, _scope: Scope) -> None:
    _object(reading, body, "alter")
    if relation := body.get("relation"):
        moved = reading.names.inside(ObjectKind.RELATION, body["newschema"], relation["relname"])
        reading.access("create", moved)
    else:
        reading.access("create", reading.names.schema(body["newschema"]))


def _alter_owner(reading: Reading, body: Body, _scope: Scope) -> None:
    _object(reading, body, "alter")
    _object(reading, body, "grant")


def _depends(reading: Reading, body: Body, _scope: Scope) -> None:
    """ALTER ... DEPENDS ON EXTENSION, SECURITY LABEL."""
    _object(reading, body, "alter")


def _on_database(action: str) -> Handler:
    """Make the handler of a command about something that policies know only as part of its database."""

    def handle(reading: Reading, _body: Body, _scope: Scope) -> None:
        reading.on_database(action)
        reading.defines()

    return handle


DEFINITIONS: Final[Mapping[str, Handler]] = {
    "CreateStmt": _create_table,
    "CreateForeignTableStmt": _create_foreign_table,
    "TableLikeClause": _like,
    "Constraint": _constraint,
    "AlterTableStmt": _alter_table,
    "IndexStmt": _create_index,
    "ViewStmt": _create_view,
    "CreateSeqStmt": _create_sequence,
    "AlterSeqStmt": _alter_sequence,
    "RuleStmt": _rule,
    "CreatePolicyStmt": _policy,
    "AlterPolicyStmt": _policy,
    "CreateTrigStmt": _trigger,
    "CreateStatsStmt": _statistics,
    "AlterStatsStmt": _statistics,
    "CreateSchemaStmt": _create_schema,
    "CreateEnumStmt": _create_type,
    "CreateRangeStmt": _create_type,
    "CompositeTypeStmt": _create_type,
    "CreateDomainStmt": _create_type,
    "AlterEnumStmt": _alter_type,
    "AlterTypeStmt": _alter_type,
    "AlterDomainStmt": _alter_type,
    "DefineStmt": _define,
    "CreateFunctionStmt": _create_function,
    "AlterFunctionStmt": _alter_function,
    "CreateCastStmt": _create_cast,
    "CreateTransformStmt": _create_cast,
    "CreateConversionStmt": _create_cast,
    "CreatePLangStmt": _create_cast,
    "CreateAmStmt": _create_cast,
    "CreateEventTrigStmt": _create_cast,
    "CreateOpClassStmt": _operator_class,
    "AlterOpFamilyStmt": _operator_class,
    "CreateOpFamilyStmt": _on_database("create"),
    "DropStmt": _drop,
    "CommentStmt": _comment,
    "RenameStmt": _rename,
    "AlterObjectSchemaStmt": _alter_schema,
    "AlterOwnerStmt": _alter_owner,
    "AlterObjectDependsStmt": _depends,
    "SecLabelStmt": _depends,
    "AlterOperatorStmt": _on_database("alter"),
    "AlterCollationStmt": _on_database("alter"),
    "AlterTSDictionaryStmt": _on_database("alter"),
    "AlterTSConfigurationStmt": _on_database("alter"),
    "AlterEventTrigStmt": _on_database("alter"),
}
