# SPDX-License-Identifier: Apache-2.0
"""Queries: SELECT, INSERT, UPDATE, DELETE, MERGE and COPY, at the top or anywhere inside.

Source: PostgreSQL 18, reference pages of these commands, and their sections on privileges: what the server asks
SELECT for, the gate asks `select` for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gatebook.model.operation import ObjectKind, ObjectRef
from gatebook.protocols.postgres.expressions import strings
from gatebook.protocols.postgres.reading import Body, Handler, Reading
from gatebook.protocols.postgres.scope import Item, Scope


def parts_of(body: Body) -> list[str]:
    """Return the name in a RangeVar: one to three parts."""
    return [body[key] for key in ("catalogname", "schemaname", "relname") if body.get(key)]


def _alias(body: Body) -> tuple[str | None, list[str]]:
    alias = body.get("alias") or {}
    return alias.get("aliasname"), strings(alias.get("colnames"))


def _select(reading: Reading, body: Body, scope: Scope) -> None:
    inner = Scope(parent=scope)
    with_clause(reading, body.get("withClause"), inner)
    if body.get("op", "SETOP_NONE") != "SETOP_NONE":
        reading.walk_as("SelectStmt", body.get("larg"), inner)
        reading.walk_as("SelectStmt", body.get("rarg"), inner)
    first = len(reading.read_from)
    reading.walk(body.get("fromClause"), inner)
    if into := body.get("intoClause"):
        into_clause(reading, into)
    for clause in (
        "targetList", "whereClause", "groupClause", "havingClause", "windowClause", "valuesLists", "distinctClause",
        "sortClause", "limitOffset", "limitCount",
    ):  # fmt: skip
        reading.walk(body.get(clause), inner)
    for locking in body.get("lockingClause") or ():
        _locking(reading, locking["LockingClause"], inner, first)


def into_clause(reading: Reading, body: Body) -> None:
    """Note the table that a query makes."""
    relation = body["rel"]
    reading.access("create", created(reading, relation))
    reading.walk(body.get("options"), Scope())
    makes_relation(reading, relation)
    reading.exact = True


def makes_relation(reading: Reading, body: Body) -> None:
    """Note what making the table of a RangeVar changes: a temporary one is no part of the committed catalogue."""
    if body.get("relpersistence") == "t":
        reading.stale()
    else:
        reading.defines()


def created(reading: Reading, body: Body, *, temporary: bool = False) -> ObjectRef:
    """Return the relation that a RangeVar in a CREATE names."""
    is_temporary = temporary or body.get("relpersistence") == "t"
    return reading.names.new(ObjectKind.RELATION, parts_of(body), temporary=is_temporary)


def _locking(reading: Reading, body: Body, scope: Scope, first: int) -> None:
    """FOR UPDATE and its kin lock what they name, or all that FROM reads, inside sub-queries too."""
    named = [entry["RangeVar"]["relname"] for entry in body.get("lockedRels") or ()]
    items = [item for item in scope.items if not named or any(name in item.names for name in named)]
    refs = [item.ref for item in items if item.ref is not None]
    if len(refs) != len(items) or not items:
        refs = reading.read_from[first:]
    for ref in refs:
        reading.access("lock", ref)


def with_clause(reading: Reading, body: Body | None, scope: Scope) -> None:
    """Read common table expressions: each sees those before it, and with RECURSIVE all of them."""
    if body is None:
        return
    tables = [node["CommonTableExpr"] for node in body["ctes"]]
    if body.get("recursive"):
        for table in tables:
            scope.ctes[table["ctename"]] = None
    for table in tables:
        # The query of a CTE does not see the items of the level it is attached to, which has none yet.
        reading.walk(table["ctequery"], scope)
        reading.walk_as("CTECycleClause", table.get("cycle_clause"), Scope())
        names = strings(table.get("aliascolnames"))
        scope.ctes[table["ctename"]] = frozenset(names) if names else outputs(table["ctequery"])


def outputs(node: Body) -> frozenset[str] | None:
    """Names of the columns that a query gives, where they can be read off; None where a star hides them."""
    body = node.get("SelectStmt")
    while body is not None and body.get("larg"):
        body = body["larg"]
    if body is None or body.get("valuesLists"):
        return None
    names: set[str] = set()
    for target in body.get("targetList") or ():
        name = _output_name(target["ResTarget"])
        if name is None:
            return None
        names.add(name)
    return frozenset(names)


def _output_name(body: Body) -> str | None:
    if body.get("name"):
        return str(body["name"])
    value = body.get("val") or {}
    while "TypeCast" in value:
        value = value["TypeCast"].get("arg") or {}
    if "ColumnRef" in value:
        last = value["ColumnRef"]["fields"][-1]
        return None if "A_Star" in last else str(last["String"].get("sval", ""))
    if "A_Indirection" in value:
        last = value["A_Indirection"]["indirection"][-1]
        return None if "A_Star" in last else str(last.get("String", {}).get("sval", ""))
    if "FuncCall" in value:
        return strings(value["FuncCall"]["funcname"])[-1]
    return ""  # `?column?`, `case`, ...: nobody refers to it but by a name that then is looked up further


# ── FROM ────────────────────────────────────────────────────────────────────────────────────────


def _range_var(reading: Reading, body: Body, scope: Scope) -> None:
    alias, columns = _alias(body)
    parts = parts_of(body)
    if len(parts) == 1:
        is_cte, known = scope.cte(parts[0])
        if is_cte:
            scope.items.append(Item((alias or parts[0],), None, frozenset(columns) if columns else known))
            return
    item = reading.read_relation(parts)
    if alias:
        item.names = (alias,)
    scope.items.append(item)
    if columns:  # renamed: which column a name means is not followed
        reading.touch_all(item)
        item.columns = None


def _join(reading: Reading, body: Body, scope: Scope) -> None:
    first = len(scope.items)
    reading.walk(body.get("larg"), scope)
    reading.walk(body.get("rarg"), scope)
    joined = scope.items[first:]
    using = strings(body.get("usingClause"))
    if using or body.get("isNatural"):
        reading.code(reading.names.operator(("=",)))
    for item in joined:
        if body.get("isNatural"):
            reading.touch_all(item)
        else:
            reading.touch(item, using)
    alias, columns = _alias(body)
    extra = [name for name in (alias, (body.get("join_using_alias") or {}).get("aliasname")) if name]
    for item in joined:
        item.names = (*item.names, *extra)
        if columns:
            reading.touch_all(item)
    reading.walk(body.get("quals"), scope)


def _range_subselect(reading: Reading, body: Body, scope: Scope) -> None:
    alias, columns = _alias(body)
    reading.walk(body.get("subquery"), scope)
    known = frozenset(columns) if columns else outputs(body["subquery"])
    scope.items.append(Item((alias,) if alias else (), None, known))


def _range_function(reading: Reading, body: Body, scope: Scope) -> None:
    alias, _ = _alias(body)
    names = []
    for entry in body["functions"]:
        call, definitions = (entry["List"]["items"] + [{}])[:2]
        reading.walk(call or None, scope)
        reading.walk(definitions or None, scope)
        if "FuncCall" in call:
            names.append(strings(call["FuncCall"]["funcname"])[-1])
    reading.walk(body.get("coldeflist"), scope)
    scope.items.append(Item((alias,) if alias else tuple(names), None, None))


def _range_table_function(reading: Reading, body: Body, scope: Scope) -> None:
    """XMLTABLE and JSON_TABLE."""
    fields = {
        "docexpr": "", "rowexpr": "", "namespaces": "", "columns": "", "alias": "-", "context_item": "JsonValueExpr",
        "pathspec": "JsonTablePathSpec", "passing": "", "on_error": "JsonBehavior",
    }  # fmt: skip
    reading.rest("RangeTableFunc", body, scope, fields)
    alias, _ = _alias(body)
    scope.items.append(Item((alias,) if alias else (), None, None))


def _table_sample(reading: Reading, body: Body, scope: Scope) -> None:
    reading.walk(body.get("relation"), scope)
    reading.code(reading.names.function(strings(body.get("method"))))
    reading.walk(body.get("args"), scope)
    reading.walk(body.get("repeatable"), scope)


# ── statements that change data ─────────────────────────────────────────────────────────────────


def _target(reading: Reading, body: Body, action: str, scope: Scope) -> Item:
    """Note the relation that a statement changes; it is read only where a column of it is used."""
    found = reading.names.relation(parts_of(body))
    reading.access(action, found.ref)
    alias, _ = _alias(body)
    columns = frozenset(found.relation.columns) if found.relation else None
    item = Item((alias or body["relname"],), found.ref, columns, is_target=True)
    scope.items.append(item)
    return item


def _returning(reading: Reading, body: Body | None, scope: Scope, item: Item) -> None:
    """Read RETURNING: it reads the target; `old`, `new` and names given to them mean it too."""
    if body is None:
        return
    given = [option["ReturningOption"].get("value", "") for option in body.get("options") or ()]
    item.names = (*item.names, "old", "new", *given)
    reading.walk(body.get("exprs"), scope)


def _assignments(reading: Reading, targets: list[Any] | None, scope: Scope, item: Item) -> None:
    for target in targets or ():
        body = target["ResTarget"]
        reading.touch(item, (body["name"],), "update")
        reading.walk([step for step in body.get("indirection") or () if "String" not in step], scope)
        reading.walk(body.get("val"), scope)


def _insert(reading: Reading, body: Body, scope: Scope) -> None:
    inner = Scope(parent=scope)
    with_clause(reading, body.get("withClause"), inner)
    reading.walk(body.get("selectStmt"), inner)  # it does not see the target
    item = _target(reading, body["relation"], "insert", inner)
    columns = [target["ResTarget"].get("name", "") for target in body.get("cols") or ()]
    if columns:
        reading.touch(item, columns, "insert")
    else:
        reading.touch_all(item, "insert")
    conflict = body.get("onConflictClause")
    if conflict:
        inner.items.append(Item(("excluded",), None, item.columns))
        _on_conflict(reading, conflict, inner, item)
    _returning(reading, body.get("returningClause"), inner, item)


def _on_conflict(reading: Reading, body: Body, scope: Scope, item: Item) -> None:
    infer = body.get("infer") or {}
    for element in infer.get("indexElems") or ():
        reading.touch(item, (element["IndexElem"].get("name", ""),))
    reading.walk_as("InferClause", infer or None, scope)
    if body.get("action") == "ONCONFLICT_UPDATE" and item.ref is not None:
        reading.access("update", item.ref)
        _assignments(reading, body.get("targetList"), scope, item)
        reading.walk(body.get("whereClause"), scope)


def _update(reading: Reading, body: Body, scope: Scope) -> None:
    inner = Scope(parent=scope)
    with_clause(reading, body.get("withClause"), inner)
    item = _target(reading, body["relation"], "update", inner)
    reading.walk(body.get("fromClause"), inner)
    _assignments(reading, body.get("targetList"), inner, item)
    reading.walk(body.get("whereClause"), inner)
    _returning(reading, body.get("returningClause"), inner, item)


def _delete(reading: Reading, body: Body, scope: Scope) -> None:
    inner = Scope(parent=scope)
    with_clause(reading, body.get("withClause"), inner)
    item = _target(reading, body["relation"], "delete", inner)
    reading.walk(body.get("usingClause"), inner)
    reading.walk(body.get("whereClause"), inner)
    _returning(reading, body.get("returningClause"), inner, item)


_MERGE_ACTIONS: Final = {"CMD_INSERT": "insert", "CMD_UPDATE": "update", "CMD_DELETE": "delete"}


def _merge(reading: Reading, body: Body, scope: Scope) -> None:
    inner = Scope(parent=scope)
    with_clause(reading, body.get("withClause"), inner)
    found = reading.names.relation(parts_of(body["relation"]))
    item = _target(reading, body["relation"], "select", inner)
    reading.walk(body.get("sourceRelation"), inner)
    reading.walk(body.get("joinCondition"), inner)
    for node in body.get("mergeWhenClauses") or ():
        clause = node["MergeWhenClause"]
        action = _MERGE_ACTIONS.get(clause.get("commandType", ""))
        reading.walk(clause.get("condition"), inner)
        if action == "insert":
            reading.access("insert", found.ref)
            names = [target["ResTarget"].get("name", "") for target in clause.get("targetList") or ()]
            reading.touch(item, names or sorted(item.columns or ()), "insert")
            reading.walk(clause.get("values"), inner)
        elif action is not None:
            reading.access(action, found.ref)
            _assignments(reading, clause.get("targetList"), inner, item)
        elif clause.get("commandType") != "CMD_NOTHING":
            reading.not_understood("MERGE has an action that is not listed")
    _returning(reading, body.get("returningClause"), inner, item)


def _copy(reading: Reading, body: Body, scope: Scope) -> None:
    inner = Scope(parent=scope)
    reading.exact = True
    if body.get("is_program"):
        reading.on_database("server_program")
    elif body.get("filename"):
        reading.on_database("server_file")
    elif body.get("is_from"):
        reading.unseen = True
    if relation := body.get("relation"):
        action = "insert" if body.get("is_from") else "select"
        item = _target(reading, relation, action, inner)
        item.is_target = bool(body.get("is_from"))
        names = strings(body.get("attlist"))
        reading.touch(item, names or sorted(item.columns or ()), action)
    reading.walk(body.get("query"), scope)
    reading.walk(body.get("whereClause"), inner)


QUERIES: Final[Mapping[str, Handler]] = {
    "SelectStmt": _select,
    "InsertStmt": _insert,
    "UpdateStmt": _update,
    "DeleteStmt": _delete,
    "MergeStmt": _merge,
    "CopyStmt": _copy,
    "RangeVar": _range_var,
    "JoinExpr": _join,
    "RangeSubselect": _range_subselect,
    "RangeFunction": _range_function,
    "RangeTableFunc": _range_table_function,
    "JsonTable": _range_table_function,
    "RangeTableSample": _table_sample,
}
