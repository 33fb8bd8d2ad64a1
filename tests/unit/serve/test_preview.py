# SPDX-License-Identifier: Apache-2.0
"""Plans as people are shown them; tests/real/test_approval.py asks a server for one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from unit.serve.test_grants import session
from unit.session.conftest import BOT

from gatebook.model.decision import Verdict
from gatebook.model.ids import EvaluationId
from gatebook.model.operation import Access, CacheScope, ObjectKind, ObjectRef, Statement
from gatebook.serve.preview import LINES, Previews, render_plan
from gatebook.session.binding import Matter

SCAN = {"Node Type": "Seq Scan", "Relation Name": "things", "Filter": "(id > 3)", "Plan Rows": 52000}


def test_tells_the_rows_that_a_change_is_expected_to_touch() -> None:
    update = {"Node Type": "ModifyTable", "Operation": "Update", "Relation Name": "things", "Plan Rows": 0}
    assert render_plan([{"Plan": update | {"Plans": [SCAN]}}]) == {
        "rows": 52000,
        "plan": ["Update on things", "  Seq Scan on things where (id > 3), some 52,000 rows"],
    }


def test_tells_the_rows_of_a_read_and_the_index() -> None:
    node = {"Node Type": "Index Scan", "Index Name": "things_pkey", "Relation Name": "things", "Plan Rows": 1}
    assert render_plan([{"Plan": node}]) == {
        "rows": 1,
        "plan": ["Index Scan using things_pkey on things, some 1 rows"],
    }


def test_a_plan_is_cut() -> None:
    node: dict[str, Any] = {"Node Type": "Result", "Plan Rows": 1}
    for _ in range(200):
        node = {"Node Type": "Append", "Plan Rows": 1, "Plans": [node, node]}
    assert len(render_plan([{"Plan": node}])["plan"]) <= LINES  # type: ignore[arg-type]  # an array


@pytest.mark.parametrize("told", [[], {}, [{}], [{"Plan": {"Node Type": "Result"}}], None])
def test_what_is_no_plan_is_told_as_such(told: object) -> None:
    with pytest.raises((KeyError, TypeError, IndexError, ValueError)):
        render_plan(told)


CALL = Access("execute", ObjectRef(ObjectKind.FUNCTION, ("shop", "db", "public", "f")))


def verdict(*verbs: str, blots: tuple[tuple[int, int], ...] = (), accesses: tuple[Access, ...] = ()) -> Verdict:
    statements = tuple(Statement(verb, accesses, privileged=True, blots=blots) for verb in verbs)
    return Verdict(EvaluationId("e"), statements, (), None, CacheScope.NONE, 1.0)


@pytest.mark.parametrize(
    ("asked", "shown", "words"),
    [
        (verdict("DROP TABLE"), {"text": "DROP TABLE x", "params": []}, "single SELECT"),
        (verdict("UPDATE", "UPDATE"), {"text": "UPDATE x; UPDATE y", "params": []}, "single SELECT"),
        (verdict("UPDATE", blots=((1, 2),)), {"text": "UPDATE x", "params": []}, "single SELECT"),
        (verdict("UPDATE"), {"text": "UPDATE x", "params": [{"text": "1"}]}, "with parameters"),
        (verdict("SELECT", accesses=(CALL,)), {"text": "SELECT f()", "params": []}, "that call functions"),
        (verdict("UPDATE"), {"text": {"base64": "/w=="}, "params": []}, "with parameters"),
    ],
)
def test_what_has_no_plan_is_not_asked_for_and_leaves_no_entry(
    asked: Verdict, shown: dict[str, Any], words: str
) -> None:
    leaves: list[bytes] = []
    previews = Previews("gate", leaves.append)
    told = asyncio.run(previews.of("apr_1", "s.1", None, asked, Matter({}, {}, shown)))  # type: ignore[arg-type]  # not reached
    assert words in str(told["none"])
    assert leaves == []


@pytest.mark.parametrize("version", ["7 view (a)", "7 materialized view (a)", "7 foreign table (a)", "", "20500/731"])
def test_what_is_on_anything_but_tables_has_no_plan(version: str) -> None:
    leaves: list[bytes] = []
    accesses = [["select", "Relation:t", "7 table (a)"], ["select", "Relation:v", version]]
    asked = Matter({"accesses": accesses}, {}, {"text": "SELECT", "params": []})
    told = asyncio.run(Previews("gate", leaves.append).of("apr_1", "s.1", None, verdict("SELECT"), asked))  # type: ignore[arg-type]  # not reached
    assert told == {"none": "there are plans of statements on tables only"}
    assert leaves == []


def test_who_asked_too_much_has_no_plan_for_a_while() -> None:
    leaves: list[bytes] = []
    previews = Previews("gate", leaves.append)
    previews.rest(BOT)
    versions = ("7 table (a)", "7 partitioned table (a)", "temporary table (a)")
    asked = Matter(
        {"accesses": [["select", "Relation:t", one] for one in versions]}, {}, {"text": "SELECT", "params": []}
    )
    told = asyncio.run(previews.of("apr_1", "s.1", session("apr_1"), verdict("SELECT"), asked))
    assert told == {"none": "too many were asked for"}
    assert leaves == []
