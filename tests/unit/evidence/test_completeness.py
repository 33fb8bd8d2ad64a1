# SPDX-License-Identifier: Apache-2.0
"""Nothing can be missing unseen: sequence, outcomes, ends."""

from __future__ import annotations

import pytest
from support.evidence import SESSION, end, held, intent, leaf, outcome, refused, session_leaf, start

from gatebook.evidence.completeness import Completeness, Finding
from gatebook.evidence.entry import decode_leaf


def findings(*leaves: bytes, writer_lives: bool = False) -> list[Finding]:
    check = Completeness()
    found = [finding for data in leaves for finding in check.add(decode_leaf(data))]
    return found + list(check.finish(writer_lives=writer_lives))


def lost(*open_operations: str, last_seq: int) -> bytes:
    return leaf("session.lost", session=SESSION, cause="gateway lost", open=list(open_operations), last_seq=last_seq)


def test_finds_nothing_in_a_whole_session() -> None:
    assert findings(start(), intent(1, 1), intent(2, 2), outcome(2, 3), outcome(1, 4), end(5)) == []


def test_takes_a_refused_operation_without_outcome() -> None:
    assert findings(start(), refused(1, 1), end(2)) == []


@pytest.mark.parametrize(
    "leaves",
    [
        [held(1, 1), intent(1, 2), outcome(1, 3), end(4)],
        [held(1, 1), refused(1, 2), held(2, 3), refused(2, 4), end(5)],
        [held(1, 1), held(2, 2), intent(1, 3), intent(2, 4), outcome(1, 5), outcome(2, 6), end(7)],
        [held(1, 1), held(2, 2), refused(1, 3), held(2, 4), refused(2, 5), end(6)],
        [held(1, 1), end(2)],
        [intent(1, 1), held(2, 2), outcome(1, 3), end(4)],
    ],
    ids=["allowed", "refused", "of two statements", "refused as a whole", "given up", "behind one that runs"],
)
def test_takes_what_was_held_and_then_decided_or_given_up(leaves: list[bytes]) -> None:
    assert findings(start(), *leaves) == []


def test_what_is_held_when_its_gateway_is_lost_is_given_up() -> None:
    found = findings(start(), intent(1, 1), held(2, 2), lost(f"{SESSION}.1", last_seq=2))
    assert [finding.name for finding in found if not finding.accounted] == []


def test_takes_a_portal_executed_again() -> None:
    assert findings(start(), intent(1, 1), outcome(1, 2, execution=1), outcome(1, 3, execution=2), end(4)) == []


@pytest.mark.parametrize(
    ("leaves", "name", "words"),
    [
        ([start(), intent(1, 2), outcome(1, 3), end(4)], "seq_missing", "seq 1 to 1 are missing"),
        ([start(1), end(2)], "seq_missing", "seq 0 to 0 are missing"),
        ([start(), start(), end(1)], "seq_twice", "seq 0 is there twice or out of order"),
        ([start(), intent(1, 1), end(2)], "intent_without_outcome", "operations without outcome: 1"),
        (
            [start(), held(1, 1), intent(2, 2), outcome(2, 3), end(4)],
            "held_passed_over",
            "operation 1 was held and has no decision",
        ),
        (
            [start(), held(1, 1), held(1, 2), end(3)],
            "held_twice",
            "operation 1 is held twice, or was decided before",
        ),
        (
            [start(), refused(1, 1), held(1, 2), end(3)],
            "held_twice",
            "operation 1 is held twice, or was decided before",
        ),
        (
            [start(), held(1, 1), outcome(1, 2), end(3)],
            "outcome_without_intent",
            "operation 1 has an outcome without an intent",
        ),
        ([start(), outcome(1, 1), end(2)], "outcome_without_intent", "operation 1 has an outcome without an intent"),
        (
            [start(), intent(1, 1), outcome(1, 2), outcome(1, 3), end(4)],
            "outcome_without_intent",
            "operation 1 has an outcome without an intent",
        ),
        (
            [start(), intent(1, 1), outcome(1, 2), outcome(7, 3, execution=2), end(4)],
            "outcome_without_intent",
            "operation 7 has an outcome without an intent",
        ),
        ([session_leaf("session.end", 0, cause="x", counts={})], "session_without_start", "has no `session.start`"),
        ([start()], "session_without_end", "has neither `session.end` nor `session.lost`"),
        ([lost(last_seq=0)], "session_lost_unknown", "is said to be lost, but was not open"),
    ],
)
def test_names_what_is_missing(leaves: list[bytes], name: str, words: str) -> None:
    assert findings(*leaves) == [Finding(name, SESSION, words)]


@pytest.mark.parametrize("operation", ["other.1", f"{SESSION}.x", f"{SESSION}.{'9' * 5000}", ""])
def test_takes_no_operation_of_another_form(operation: str) -> None:
    found = findings(start(), outcome(1, 1, operation=operation), end(2))
    assert [finding.name for finding in found] == ["outcome_without_intent"]


def test_a_lost_session_that_the_book_accounts_for_does_not_fail() -> None:
    found = findings(start(), intent(1, 1), lost(f"{SESSION}.1", last_seq=1))
    assert found == [
        Finding("session_lost", SESSION, "ended with its gateway", accounted=True),
        Finding("intent_without_outcome", SESSION, "operations without outcome: 1", accounted=True),
    ]


def test_a_lost_session_must_name_what_is_open() -> None:
    found = findings(start(), intent(1, 1), lost(last_seq=0))
    assert [finding.words for finding in found if not finding.accounted] == [
        "`session.lost` names other operations than are open",
        "`session.lost` names another last seq",
    ]


def test_an_open_session_is_no_finding_while_its_writer_lives() -> None:
    assert findings(start(), intent(1, 1), writer_lives=True) == []


def test_who_was_admitted_has_a_session_or_it_is_told() -> None:
    admitted = leaf("authn", admitted=SESSION, result="accepted")
    assert findings(admitted, start(), end(1)) == []
    assert [one.name for one in findings(admitted)] == ["session_without_end"]
    assert findings(admitted, writer_lives=True) == []
    told = findings(admitted, leaf("session.lost", session=SESSION, cause="gateway lost", open=[]))
    assert [(one.name, one.accounted) for one in told] == [("session_lost", True)]


def test_an_entry_behind_the_end_is_a_finding() -> None:
    found = findings(start(), end(1), intent(1, 2), writer_lives=True)
    assert [finding.name for finding in found] == ["seq_missing"]


def test_names_only_so_many_operations() -> None:
    found = findings(start(), *(intent(number, number) for number in range(1, 31)), end(31))
    assert found[0].words.endswith("19, 20 and 10 more")


def test_tells_what_is_open() -> None:
    check = Completeness()
    for data in [start(), intent(2, 1), intent(10, 2)]:
        list(check.add(decode_leaf(data)))
    (session,) = check.open_sessions()
    assert session.last_seq == 2
    assert session.open_operations == [f"{SESSION}.2", f"{SESSION}.10"]
