# SPDX-License-Identifier: Apache-2.0
"""Expressions: functions, operators, casts and columns, wherever in a statement they stand.

Source: PostgreSQL 18 chapter 4.2 and its gram.y. What a column name may hide is in 4.2.4 and 9.26.3 of the
documentation ("field selection", "functional notation"): `x.f` may be the call `f(x)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from gatebook.protocols.postgres.functions import SEQUENCE, SET_CONFIG
from gatebook.protocols.postgres.names import SYSTEM
from gatebook.protocols.postgres.reading import Body, Handler, Reading
from gatebook.protocols.postgres.scope import Item, Scope
from gatebook.protocols.postgres.settings import set_setting

_SYSTEM_COLUMNS: Final = frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"})
# Kinds of A_Expr whose `name` is no operator but a word; what they stand for.
_WORDS: Final = {
    "AEXPR_BETWEEN": (">=", "<="),
    "AEXPR_NOT_BETWEEN": ("<", ">"),
    "AEXPR_BETWEEN_SYM": (">=", "<="),
    "AEXPR_NOT_BETWEEN_SYM": ("<", ">"),
    "AEXPR_DISTINCT": ("=",),
    "AEXPR_NOT_DISTINCT": ("=",),
    "AEXPR_NULLIF": ("=",),
}
# Column definitions alone know these; they stand for an integer and a sequence.
_SERIAL: Final = frozenset({"serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"})

_PART: Final = re.compile(r'"((?:[^"]|"")+)"|(\w[\w$]*)')
_REGCLASS: Final = re.compile(rf"(?:{_PART.pattern})(?:\.(?:{_PART.pattern})){{0,2}}")


def strings(nodes: list[Any] | None) -> list[str]:
    """Names from a list of String nodes; what is no string (a star) is left out."""
    return [node["String"].get("sval", "") for node in nodes or () if "String" in node]


def constant(node: Body | None) -> str | None:
    """Return the text of a string constant, through casts of it; None for anything else."""
    while node is not None and "TypeCast" in node:
        node = node["TypeCast"].get("arg")
    text = node.get("A_Const", {}).get("sval") if node is not None else None
    return text.get("sval", "") if text is not None else None


def _column_ref(reading: Reading, body: Body, scope: Scope) -> None:
    fields = body["fields"]
    names = strings(fields)
    if "A_Star" in fields[-1]:
        _star(reading, names, scope)
    elif len(names) == 1:
        _plain_name(reading, names[0], scope)
    else:
        _qualified(reading, names, scope)


def _star(reading: Reading, names: list[str], scope: Scope) -> None:
    """`*` means every item of its own level; `x.*` the items called x, at the nearest level that has one."""
    if not names:
        for item in scope.items:
            reading.touch_all(item)
        return
    for item in _called(names[-1], scope):
        reading.touch_all(item)


def _plain_name(reading: Reading, name: str, scope: Scope) -> None:
    """Note a column of the nearest level that has it, of every level where that is not sure; or a whole row."""
    for level in scope.outward():
        sure = False
        for item in level.items:
            if name in item.names:
                reading.touch_all(item)
            if item.columns is None or name in item.columns or name in _SYSTEM_COLUMNS:
                reading.touch(item, (name,))
                sure = sure or item.columns is not None
        if sure:
            return


def _qualified(reading: Reading, names: list[str], scope: Scope) -> None:
    """`x.c`: a column of x, or the call `c(x)`; `s.t.c` likewise."""
    qualifier, name = names[-2], names[-1]
    items = list(_called(qualifier, scope))
    for item in items:
        reading.touch(item, (name,))
    known = name in _SYSTEM_COLUMNS or any(name in (item.columns or ()) for item in items)
    if known:
        return
    for item in items:
        reading.touch_all(item)  # if it is a call, it is given the whole row
    if not items:
        _plain_name(reading, qualifier, scope)  # a column of composite type: (x).c
    reading.code(reading.names.hides_code(name))


def _called(name: str, scope: Scope) -> list[Item]:
    for level in scope.outward():
        items = [item for item in level.items if name in item.names]
        if items:
            return items
    return []


def _indirection(reading: Reading, body: Body, scope: Scope) -> None:
    """`(expression).name`, which may be a call, and `expression[...]`."""
    reading.walk(body.get("arg"), scope)
    for step in body["indirection"]:
        if "String" in step:
            reading.code(reading.names.hides_code(step["String"].get("sval", "")))
        else:
            reading.walk(step, scope)


def _function(reading: Reading, body: Body, scope: Scope) -> None:
    parts = strings(body["funcname"])
    name = parts[-1]
    arguments = body.get("args") or []
    if name == SET_CONFIG:
        _set_config(reading, arguments)
    if name != SET_CONFIG or reading.names.functions(parts) != [SYSTEM]:
        reading.code(reading.names.function(parts))
    if name in SEQUENCE and arguments and (text := constant(arguments[0])) is not None:
        reading.access("update", reading.names.relation(_sequence_name(text)).ref)
    reading.walk(arguments, scope)
    reading.walk(body.get("agg_order"), scope)
    reading.walk(body.get("agg_filter"), scope)
    reading.walk_as("WindowDef", body.get("over"), scope)


def _sequence_name(text: str) -> list[str]:
    """Read a name in a string as regclass does (8.19): parts fold unless quoted; else it resolves to nothing."""
    if not _REGCLASS.fullmatch(text):
        return [text]
    return [quoted.replace('""', '"') if quoted else plain.lower() for quoted, plain in _PART.findall(text)]


def _set_config(reading: Reading, arguments: list[Any]) -> None:
    """SET as a function: the same access, and never kept by shape."""
    reading.exact = True
    name = constant(arguments[0]) if arguments else None
    if name is None:
        reading.not_understood("set_config names its setting by an expression")
        reading.stale()
        return
    value = constant(arguments[1]) if len(arguments) > 1 else None
    set_setting(reading, name, value)


def _operator(reading: Reading, body: Body, scope: Scope) -> None:
    """Read `a + b + c`: nested to the left without end, hence a loop there."""
    expression: Body | None = body
    while expression is not None:
        kind = expression.get("kind", "")
        for name in _WORDS.get(kind) or ():
            reading.code(reading.names.operator((name,)))
        if kind not in _WORDS:
            reading.code(reading.names.operator(strings(expression.get("name"))))
        reading.walk(expression.get("rexpr"), scope)
        operand = expression.get("lexpr") or {}
        expression = operand.get("A_Expr")
        if expression is None:
            reading.walk(operand or None, scope)


def _sublink(reading: Reading, body: Body, scope: Scope) -> None:
    if body.get("operName"):
        reading.code(reading.names.operator(strings(body["operName"])))
    elif body.get("testexpr"):
        reading.code(reading.names.operator(("=",)))
    reading.walk(body.get("testexpr"), scope)
    reading.walk(body.get("subselect"), scope)


def _case(reading: Reading, body: Body, scope: Scope) -> None:
    if body.get("arg"):
        reading.code(reading.names.operator(("=",)))
        reading.walk(body["arg"], scope)
    reading.walk(body.get("args"), scope)
    reading.walk(body.get("defresult"), scope)


def _sort(reading: Reading, body: Body, scope: Scope) -> None:
    if body.get("useOp"):
        reading.code(reading.names.operator(strings(body["useOp"])))
    reading.walk(body.get("node"), scope)


def _type_name(reading: Reading, body: Body, scope: Scope) -> None:
    names = strings(body.get("names"))
    if body.get("pct_type"):  # t.column%TYPE
        reading.access("select", reading.names.relation(names[:-1]).ref)
        reading.exact = True
    else:
        reading.code(reading.names.type(names))
    reading.walk(body.get("typmods"), scope)


def _column_definition(reading: Reading, body: Body, scope: Scope) -> None:
    names = strings(body.get("typeName", {}).get("names"))
    fields = {"typeName": "TypeName", "raw_default": "", "collClause": "-", "constraints": "", "fdwoptions": "-"}
    if len(names) == 1 and names[0] in _SERIAL:
        fields["typeName"] = "-"
    reading.rest("ColumnDef", body, scope, fields)


EXPRESSIONS: Final[Mapping[str, Handler]] = {
    "ColumnRef": _column_ref,
    "A_Indirection": _indirection,
    "FuncCall": _function,
    "A_Expr": _operator,
    "SubLink": _sublink,
    "CaseExpr": _case,
    "SortBy": _sort,
    "TypeName": _type_name,
    "ColumnDef": _column_definition,
}
