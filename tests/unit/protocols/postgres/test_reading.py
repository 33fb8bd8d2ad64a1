# SPDX-License-Identifier: Apache-2.0
"""The walk is exhaustive or it fails: what no table lists makes the statement opaque."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.model.operation import CacheScope, Statement
from gatebook.native.pure import parse_sql
from gatebook.protocols.postgres.catalogue import CatalogueView
from gatebook.protocols.postgres.facts import SessionFacts
from gatebook.protocols.postgres.operations import understand
from gatebook.protocols.postgres.reading import ACCESSES

FACTS = SessionFacts(schemas=("pg_catalog", "public"))


def _understand(tree: bytes, text: bytes = b"SELECT 1") -> tuple[Statement, ...]:
    operation = understand(
        text,
        tree,
        "",
        target="t",
        database="d",
        catalogue=CatalogueView(),
        facts=FACTS,
        prepared={},
        parse=parse_sql,
        columns=False,
    )
    return operation.statements


@pytest.mark.parametrize(
    "statement",
    [
        {"NewStmt": {}},
        {"SelectStmt": {"targetList": [{"ResTarget": {"val": {"NewExpr": {}}}}]}},
        {"SelectStmt": {"targetList": [{"CoalesceExpr": {"args": [], "surprise": [{"A_Const": {}}]}}]}},
        {"SelectStmt": {"targetList": [{"ColumnRef": {}}]}},
        {"SelectStmt": {"fromClause": [{"RangeVar": {"relname": ["x"]}}]}},
        {"A_Const": {"ival": {"ival": 1}}},
        {"SelectStmt": {}, "DropStmt": {}},
        {"VariableSetStmt": {"kind": "VAR_NEW", "name": "x"}},
        {
            "MergeStmt": {
                "relation": {"relname": "x"},
                "mergeWhenClauses": [{"MergeWhenClause": {"commandType": "NEW"}}],
            }
        },
        {},
    ],
)
def test_an_unlisted_node_or_form_is_opaque(statement: dict[str, object]) -> None:
    (found,) = _understand(json.dumps({"stmts": [{"stmt": statement}]}).encode())
    assert found.opaque != ""
    assert found.privileged
    assert found.cacheable is CacheScope.NONE
    assert "opaque" in {access.action for access in found.accesses}


@pytest.mark.parametrize(
    "tree", [b"", b"{", b"[]", b'{"stmts": 7}', b'{"stmts": [7]}', b'{"stmts": [{"stmt": 7}]}', b"null"]
)
def test_a_tree_that_is_none_is_opaque(tree: bytes) -> None:
    (found,) = _understand(tree)
    assert found.opaque != ""


def test_too_many_accesses_are_opaque(read: Callable[..., list[Statement]]) -> None:
    (found,) = read("SELECT 1 FROM " + ", ".join(f"t{number}" for number in range(ACCESSES + 1)))
    assert found.opaque == f"it has more than {ACCESSES} accesses"


NODES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "SelectStmt",
                    "RangeVar",
                    "ColumnRef",
                    "fields",
                    "FuncCall",
                    "funcname",
                    "args",
                    "String",
                    "sval",
                    "targetList",
                    "ResTarget",
                    "val",
                    "fromClause",
                    "relname",
                    "A_Expr",
                    "name",
                    "lexpr",
                    "JoinExpr",
                    "larg",
                    "CopyStmt",
                    "query",
                    "List",
                    "items",
                    "DropStmt",
                    "objects",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=20,
)


@given(NODES)
def test_no_tree_raises(node: object) -> None:
    for statement in _understand(
        json.dumps(
            {"stmts": [{"stmt": {"SelectStmt": {"targetList": node, "fromClause": node, "whereClause": node}}}]}
        ).encode()
    ):
        assert statement.accesses
