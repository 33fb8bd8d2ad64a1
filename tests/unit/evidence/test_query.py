# SPDX-License-Identifier: Apache-2.0
"""Questions: which leaves answer, and that the terms of an index miss none that does."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import NOW, SESSION, canonical, leaf, start
from support.search import ORDERS, login, operation, outcome, refused, subject

from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.object_pattern import ObjectPattern, QuestionFault
from gatebook.evidence.query import (
    Posting,
    Question,
    facets_of,
    micros,
    moment,
    operation_key,
    posting_of,
    read_quickly,
    terms_of,
)

DELETE = operation(
    1, ("delete", ORDERS), ("select", "Relation:shop.db.public.customers"), shape="DELETE FROM orders USING Customers"
)
ORDERS_PATTERN = ObjectPattern.parse("orders")


def answers(question: Question, data: bytes) -> bool:
    """Whether a leaf answers; where it does, an index must have found it."""
    told = question.matches(decode_leaf(data))
    if told:
        assert set(terms_of(question.facets())) <= set(posting_of(0, data).terms)
    return told


@pytest.mark.parametrize(
    "question",
    [
        Question(),
        Question(object=ORDERS_PATTERN),
        Question(object=ObjectPattern.parse("relation:orders")),
        Question(object=ORDERS_PATTERN, action="delete"),
        Question(object=ObjectPattern.parse("public.*"), action="Select"),
        Question(action="select"),
        Question(agent="helper"),
        Question(owner="alice"),
        Question(person="alice"),
        Question(target="shop"),
        Question(session="s_1"),
        Question(decision="allow"),
        Question(event="operation.intent"),
        Question(shape="delete customers"),
        Question(shape="FROM orders"),
        Question(agent="helper", session="s_1", decision="allow", shape="using", begin=NOW, end=NOW + timedelta(1)),
    ],
)
def test_an_operation_answers_what_is_true_of_it(question: Question) -> None:
    assert answers(question, DELETE)


@pytest.mark.parametrize(
    "question",
    [
        Question(object=ObjectPattern.parse("payments")),
        Question(object=ORDERS_PATTERN, action="select"),
        Question(object=ObjectPattern.parse("function:orders")),
        Question(action="update"),
        Question(agent="alice"),
        Question(agent="help"),
        Question(owner="helper"),
        Question(person="helper"),
        Question(target="other"),
        Question(session="s_2"),
        Question(decision="refuse"),
        Question(event="operation.refused"),
        Question(shape="delete payments"),
        Question(shape="custom"),
        Question(approval="a_1"),
        Question(unclear=True),
        Question(begin=NOW + timedelta(microseconds=1)),
        Question(end=NOW),
    ],
)
def test_an_operation_does_not_answer_what_is_not(question: Question) -> None:
    assert not answers(question, DELETE)


def test_a_refusal_is_one_whatever_else_it_says() -> None:
    assert answers(Question(decision="refuse", object=ORDERS_PATTERN), refused(1, ("select", ORDERS)))
    assert not answers(Question(decision="allow"), refused(1, ("select", ORDERS)))


def test_who_acts_for_whom_is_found_by_each_of_them() -> None:
    identity = {"agent": subject("outer"), "owner": subject("alice"), "act": [subject("inner"), subject("bob")]}
    acting = operation(1, identity=identity)
    assert all(answers(Question(agent=name), acting) for name in ("outer", "inner"))
    assert all(answers(Question(person=name), acting) for name in ("alice", "bob"))
    assert answers(Question(person="carol"), operation(1, identity={"person": subject("carol"), "act": []}))


def test_logins_keys_and_ends_answer_too() -> None:
    assert answers(Question(agent="helper", decision="allow", session="s_1"), login("helper", session="s_1"))
    failed = login("helper", result="refused")
    assert answers(Question(target="shop", decision="refuse"), failed)
    assert not answers(Question(agent="helper"), failed), "a claim is no identity"
    made = leaf("key.created", "cli", key="k", agent=subject("helper"), owner=subject("alice"), by="root", expires="x")
    assert answers(Question(agent="helper", owner="alice"), made)
    assert answers(Question(person="carol"), leaf("person.added", "cli", person=subject("carol"), admin=True, by="x"))
    assert answers(Question(session=SESSION), start())
    assert answers(Question(session=SESSION), leaf("session.lost", session=SESSION, cause="gateway lost", open=[]))


@pytest.mark.parametrize("told", [{"decision": {"approval": "a_1"}}, {"approval": {"id": "a_1"}}, {"approval": "a_1"}])
def test_an_approval_is_found_wherever_a_leaf_names_it(told: dict[str, Any]) -> None:
    assert answers(Question(approval="a_1"), operation(1, **told))


@pytest.mark.parametrize(
    ("data", "object_unclear", "shape_unclear"),
    [
        (DELETE, False, False),
        (operation(1, ("select", ORDERS), action={"accesses_more": 3}), True, False),
        (operation(1, ("opaque", "Database:shop.db"), action={"opaque": "too long"}), True, True),
        (operation(1, ("select", "Relation:shop.db.public." + "x" * 276)), True, False),
        (operation(1, ("select", ORDERS), action={"shape_cut": True}), False, True),
        (b'{"cut', True, True),
    ],
)
def test_what_no_leaf_tells_whole_is_counted(data: bytes, object_unclear: bool, shape_unclear: bool) -> None:
    terms = set(posting_of(0, data).terms)
    for question, unclear in (
        (Question(object=ObjectPattern.parse("elsewhere")), object_unclear),
        (Question(shape="elsewhere"), shape_unclear),
    ):
        assert (set(terms_of(question.without_contents())) <= terms) is unclear


def test_only_questions_of_contents_count_what_is_unclear() -> None:
    assert Question(agent="helper").without_contents() == frozenset()
    assert Question(object=ORDERS_PATTERN, unclear=True).without_contents() == frozenset()
    asked = Question(object=ORDERS_PATTERN, action="delete", agent="helper")
    assert asked.without_contents() == {("agent", "helper"), ("unclear", "object")}


def test_an_outcome_is_kept_under_its_operation() -> None:
    assert posting_of(7, outcome(3)) == Posting(7, (), micros(NOW), operation_key("s_1.3"))
    assert operation_key("s_1.3") != operation_key("s_1.31")


def test_a_time_that_is_none_is_not_known() -> None:
    assert posting_of(0, canonical({"event": "heartbeat", "time": "noon"})).at_us is None
    assert moment(micros(NOW)) == NOW


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"[" * 100_000, b'{"a":}'])
def test_what_is_no_leaf_is_none(data: bytes) -> None:
    assert read_quickly(data) is None
    assert posting_of(0, data).terms


def test_terms_tell_nothing() -> None:
    terms = terms_of({("agent", "helper"), ("word", "orders")})
    assert sorted(map(len, terms)) == [12, 12]
    assert len(set(terms)) == 2
    assert terms_of([("agent", "a\ud800")]), "half of a surrogate pair comes from a command line"


@pytest.mark.parametrize(
    ("shape", "event", "words"),
    [
        (" ,; ", "", "by 1 to 32 words"),
        (" ".join(f"w{number}" for number in range(33)), "", "by 1 to 32 words"),
        ("", "nothing", "`nothing` is no kind of entry"),
        ("", "operation.outcome", "is shown with its operation"),
    ],
)
def test_refuses_what_nothing_could_answer(shape: str, event: str, words: str) -> None:
    with pytest.raises(QuestionFault, match=words):
        Question(shape=shape, event=event)


JSON = st.recursive(
    st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
NAMES = st.sampled_from(["event", "time", "action", "accesses", "identity", "agent", "sub", "act", "where", "decision"])


@given(st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=3), max_size=3))
def test_reads_any_object_without_a_fault(members: dict[str, Any]) -> None:
    assert ("entry", "") in facets_of(members)
    posting_of(0, canonical(members))
