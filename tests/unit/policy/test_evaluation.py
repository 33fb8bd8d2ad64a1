# SPDX-License-Identifier: Apache-2.0
"""Relations and their columns are judged as one."""

from __future__ import annotations

from gatebook.model.approval import Hold, Requirement
from gatebook.model.ids import PolicyId
from gatebook.model.operation import Access, ObjectKind, ObjectRef
from gatebook.policy.evaluation import Evaluation, with_columns

WHOLE = Access("select", ObjectRef(ObjectKind.RELATION, ("shop", "db", "public", "things")))
NAME, PRICE = (
    Access("select", ObjectRef(ObjectKind.COLUMN, ("shop", "db", "public", "things", column)))
    for column in ("name", "price")
)
P, Q, F = (PolicyId(name) for name in "pqf")


def yes(access: Access, *policies: PolicyId) -> Evaluation:
    return Evaluation(access, permitted=True, policies=policies)


def no(access: Access, *policies: PolicyId) -> Evaluation:
    return Evaluation(access, permitted=False, policies=policies, code="policy.denied", reason="no")


def test_without_columns_nothing_changes() -> None:
    results = [yes(WHOLE, P)]
    assert with_columns(results) is results


def test_a_relation_is_permitted_by_permits_on_all_its_columns() -> None:
    joined = with_columns([no(WHOLE), yes(NAME, Q), yes(PRICE, P)])
    assert joined == [yes(WHOLE, P, Q), yes(NAME, Q), yes(PRICE, P)]


def test_a_relation_is_not_permitted_where_one_column_is_not() -> None:
    results = [no(WHOLE), yes(NAME, Q), no(PRICE)]
    assert with_columns(results) == results


def test_a_column_needs_no_permit_where_its_relation_has_one() -> None:
    assert with_columns([yes(WHOLE, P), no(NAME)]) == [yes(WHOLE, P), yes(NAME, P)]


def test_a_forbid_holds_on_a_relation_and_on_a_column() -> None:
    for results in ([no(WHOLE, F), yes(NAME, Q)], [yes(WHOLE, P), no(NAME, F)]):
        assert with_columns(results) == results


def test_a_column_without_its_relation_stands_alone() -> None:
    assert with_columns([no(NAME)]) == [no(NAME)]
    assert with_columns([no(WHOLE), no(NAME)]) == [no(WHOLE), no(NAME)]


def test_people_are_asked_where_every_policy_that_stands_in_the_way_asks() -> None:
    holds = {P: Hold((Requirement("dba", 1),))}
    assert no(WHOLE, P).policies_ask(holds)
    assert not no(WHOLE, P, F).policies_ask(holds)
