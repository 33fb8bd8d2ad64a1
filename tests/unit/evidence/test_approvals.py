# SPDX-License-Identifier: Apache-2.0
"""Whether what ran by an approval is what people consented to: each rule broken, by votes whose signatures are good."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.evidence import NOW
from support.record import (
    BINDING,
    IDENTITY,
    KEYS,
    OBJECT,
    PRIVATE,
    REQUEST,
    SESSION,
    WHERE,
    ended,
    entry,
    fold,
    granted,
    operation,
    people,
    person,
    requested,
    used,
    voted,
    who,
    whole,
)

from gatebook.evidence.approvals import AT_BIND, MARKS, Approvals
from gatebook.evidence.entry import Leaf, encode_leaf
from gatebook.model.approval import Choice

OPERATION = f"{SESSION}.3"
HOLD: dict[str, Any] = BINDING["hold"]
ROLE: dict[str, Any] = {
    "v": 1,
    "kind": "role",
    "identity": IDENTITY | {"role": "fix"},
    "where": {"target": "shop"},
    "policies": [],
    "hold": HOLD | {"approvers": [["dba", 1]]},
    "minutes": 1,
}


def session(name: str = SESSION, seconds: float = 31, seq: int = 0, **members: Any) -> Leaf:  # noqa: ANN401  JSON
    """A session under the role."""
    words: dict[str, Any] = {
        "session": name,
        "seq": seq,
        "identity": IDENTITY | {"role": "fix", "credential": "k1", "grant": REQUEST},
        "source": {},
        "where": WHERE | {"gateway": "gate"},
        "recording": {},
        "upstream": {},
        "parameters": {},
    }
    return entry("session.start", seconds, "gate", **(words | members))


def without(*names: str, **changed: Leaf) -> list[Leaf]:
    """All entries, less some, and with others in place of some."""
    return [changed.get(name, leaf) for name, leaf in whole().items() if name not in names]


def test_what_two_people_approved_has_no_finding() -> None:
    approvals = Approvals()
    for leaf in whole().values():
        approvals.add(leaf, PRIVATE if str(leaf["event"]).startswith("operation.") else None)
    assert list(approvals.finish()) == []
    assert approvals.checked == {"approvals": 1}


def test_journals_may_come_in_any_order() -> None:
    leaves = list(whole().values())
    gate = [leaf for leaf in leaves if leaf["writer"] == "gate"]
    cli = [leaf for leaf in leaves if leaf["writer"] == "cli"]
    assert fold([*gate, *cli]) == fold([*cli, *gate]) == []


def test_the_marks_are_in_whatever_is_looked_at() -> None:
    leaves = [
        *whole().values(),
        session(),
        ended(1),
        entry("key.created", 0, key="k", agent={}, owner={}, by="", expires=""),
    ]
    assert all(any(mark in encode_leaf(leaf) for mark in MARKS) for leaf in leaves)


def test_a_request_with_a_newer_entry_is_passed_over_where_that_is_asked_for() -> None:
    approvals = Approvals()
    for leaf in without("ana"):
        approvals.add(leaf)
    assert list(approvals.finish(NOW + timedelta(seconds=31))) == []
    assert approvals.checked == {"approvals under way": 1}


def test_a_parse_names_no_approval() -> None:
    decision = {"approval": AT_BIND, "result": "allow", "policies": ["changes"]}
    assert fold([operation(via="parse", decision=decision)]) == []
    assert fold([operation(decision=decision)]) == [("approval_missing", OPERATION)]


@pytest.mark.parametrize("leaf", [operation(), operation("operation.held"), operation("operation.refused"), session()])
def test_an_approval_that_nobody_asked_for_is_found(leaf: Leaf) -> None:
    assert fold([leaf]) == [("approval_missing", str(leaf.get("operation", SESSION)))]


@pytest.mark.parametrize("leaf", [voted("ana", 20), granted(1, 2), used(), ended(1)])
def test_an_entry_about_a_request_that_nobody_made_is_found(leaf: Leaf) -> None:
    assert fold([leaf]) == [("approval_missing", REQUEST)]


def test_a_preview_asks_for_nothing() -> None:
    words = {"request": "apr_2", "operation": OPERATION}
    leaves = [
        entry("approval.preview", 1, "gate", action="preview", **words),
        entry("approval.previewed", 2, "gate", status="done", **words),
    ]
    assert fold(leaves) == []


@pytest.mark.parametrize("name", ["used", "granted"])
def test_an_operation_without_grant_or_use_is_found(name: str) -> None:
    assert fold(without(name)) == [("approval_missing", OPERATION)]


def test_a_use_behind_its_operation_is_none() -> None:
    leaves = whole()
    assert fold([*without("used"), leaves["used"]]) == [("approval_missing", OPERATION)]


def test_a_use_that_never_ran_counts_for_nothing() -> None:
    leaves = whole()
    lost = used(29, f"{SESSION}.2")
    assert fold([*without("used", "intent"), lost, leaves["used"], leaves["intent"]]) == []


def test_a_second_operation_by_an_approval_for_one_is_found() -> None:
    more = [used(40, f"{SESSION}.4", uses=2), operation(seconds=41, number=4)]
    assert fold([*whole().values(), *more]) == [("approval_reuse", REQUEST)]
    assert fold([*whole().values(), operation(seconds=41, number=4)]) == [
        ("approval_missing", f"{SESSION}.4"),
        ("approval_reuse", REQUEST),
    ]


def test_two_uses_of_one_number_are_found() -> None:
    binding = BINDING | {"hold": HOLD | {"uses": 2, "approvers": [["dba", 1]]}}
    start = [*people(), requested(binding), voted("ana", 20, binding=binding), granted(20, 80)]
    first = [used(binding=binding, voters=[]), operation()]

    def second(uses: int) -> list[Leaf]:
        return [used(40, f"{SESSION}.4", binding, uses=uses, voters=[]), operation(seconds=41, number=4)]

    assert fold([*start, *first, *second(2)]) == []
    assert fold([*start, *first, *second(1)]) == [("approval_reuse", REQUEST)]


def test_a_message_of_several_statements_is_one_use() -> None:
    binding = BINDING | {"verbs": ["UPDATE", "SELECT"]}
    statements = [
        operation(number=3, statement={"count": 2, "index": 0}),
        operation(number=4, statement={"count": 2, "index": 1}, action={"verb": "SELECT", "accesses": []}),
    ]
    votes = [voted(name, 20, binding=binding) for name in ("ana", "bo")]
    start = [*people(), requested(binding), *votes, granted(20, 80), used(binding=binding)]
    assert fold([*start, *statements]) == []


def test_two_requests_of_one_id_are_found() -> None:
    assert fold([requested(), requested()]) == [("approval_reuse", REQUEST)]


def test_a_request_without_form_is_found_once() -> None:
    assert fold(without(requested=requested(use_s=0))) == [("approval_binding", REQUEST)]


def test_a_use_of_another_digest_is_found() -> None:
    assert fold(without(used=used(digest="sha256:" + "0" * 64))) == [("approval_binding", OPERATION)]


def test_an_end_before_the_use_is_found_and_one_behind_it_is_none() -> None:
    leaves = list(whole().values())
    assert fold([*leaves[:-2], ended(25), *leaves[-2:]]) == [("approval_ended", OPERATION)]
    assert fold([*leaves, ended(40)]) == []


def test_within_a_second_the_order_of_two_journals_is_not_known() -> None:
    leaves = whole()
    assert fold([*without("used", "intent"), ended(29.5), leaves["used"], leaves["intent"]]) == []
    late = [*without("used", "intent"), used(21.5), operation(seconds=21.6)]
    assert fold(late) == []


def test_within_one_journal_it_is_known() -> None:
    leaves = whole()
    over = ended(29.9, writer="gate")
    assert fold([*without("used", "intent"), over, leaves["used"], leaves["intent"]]) == [("approval_ended", OPERATION)]


def test_a_denial_before_the_use_is_found() -> None:
    denial = voted("robin", 24, choice=Choice.DENY)
    assert ("approval_ended", OPERATION) in fold([*without("used", "intent"), denial, used(), operation()])


def test_a_use_before_the_votes_is_found() -> None:
    early = [*without("used", "intent"), used(15), operation(seconds=16)]
    assert set(fold(early)) == {
        ("approval_missing", OPERATION),
        ("approval_time", OPERATION),
        ("approval_quorum", OPERATION),
    }


def test_a_use_when_its_time_was_over_is_found() -> None:
    late = [*without("used", "intent"), used(84), operation(seconds=85)]
    assert fold(late) == [("approval_time", OPERATION)]


@pytest.mark.parametrize("until", ["2026-01-01T12:05:00.000000Z", "some day"])
def test_a_grant_for_another_time_is_found(until: str) -> None:
    leaf = entry("approval.granted", 22, request=REQUEST, until=until)
    assert fold(without(granted=leaf)) == [("approval_time", REQUEST)]


def test_a_vote_to_another_gate_is_found() -> None:
    assert ("approval_vote", REQUEST) in fold(without(ana=voted("ana", 20, gate="other")))


def test_one_of_two_people_is_found() -> None:
    assert fold(without("ana")) == [("approval_quorum", OPERATION)] * 2  # too few, and one is counted who did not
    assert fold(without("ana", used=used(voters=[who("bo")]))) == [("approval_quorum", OPERATION)]


def test_one_person_twice_is_one() -> None:
    leaves = without("used", "intent", bo=voted("ana", 22))
    assert fold([*leaves, used(voters=[who("ana")]), operation()]) == [("approval_quorum", OPERATION)]


def test_two_accounts_of_one_human_being_are_one() -> None:
    leaves = without("person 2", "person 3")
    bo = person("bo", "dba", human="gatebook:gate|ana")
    assert fold([*bo, *leaves]) == [("approval_quorum", OPERATION)]


def test_who_was_disabled_between_vote_and_use_does_not_count() -> None:
    gone = entry("person.disabled", 25, person=who("ana"), by="root")
    found = fold([*without("used", "intent"), gone, used(), operation()])
    assert found == [("approval_quorum", OPERATION), ("approval_approver", OPERATION)]


def test_an_operation_before_its_request_is_found() -> None:
    leaves = without(requested=requested(seconds=19))
    assert ("approval_time", OPERATION) in fold([*leaves[:8], operation("operation.held", 11), *leaves[8:]])


def test_what_is_disclosed_is_held_beside_the_binding() -> None:
    leaves = list(whole().values())
    assert fold(leaves, PRIVATE | {"params": [{"text": "8"}]}) == [("approval_parameters", OPERATION)] * 2


def _role(binding: dict[str, Any] = ROLE, **members: Any) -> list[Leaf]:  # noqa: ANN401  JSON
    vote = voted("ana", 20, binding=binding)
    start = [*people(), requested(binding, **members), vote, granted(20, 80)]
    return [*start, used(operation=SESSION, binding=binding, voters=[who("ana")])]


def test_sessions_under_a_role_that_was_given_have_no_finding() -> None:
    second = [used(35, "s_2", ROLE, uses=2, voters=[who("ana")]), session("s_2", 36)]
    assert fold([*_role(), session(), *second]) == []


def test_sessions_of_somebody_else_or_elsewhere_are_found() -> None:
    role = {"identity": IDENTITY | {"role": "fire", "grant": REQUEST}}
    place = {"where": WHERE | {"target": "other", "gateway": "gate"}}
    for members in (role, place):
        assert fold([*_role(), session(**members)]) == [("approval_binding", SESSION)]
    assert ("approval_binding", SESSION) in fold([*without(), used(operation=SESSION), session()])


def _broken(*more: Leaf) -> list[Leaf]:
    binding = ROLE | {"kind": "break_glass"}
    start = [*people(), requested(binding), granted(10, 70), used(operation=SESSION, binding=binding, voters=[])]
    return [*start, session(), *more]


def test_broken_glass_needs_nobody_and_lasts_from_its_request() -> None:
    review = voted("ana", 100, binding=ROLE | {"kind": "break_glass"}, choice=Choice.REVIEW)
    assert fold(_broken(ended(90, "expired"), review)) == []
    late = entry("approval.granted", 10, request=REQUEST, until="2026-01-01T13:00:00.000000Z")
    leaves = [late if leaf["event"] == "approval.granted" else leaf for leaf in _broken()]
    assert fold(leaves) == [("approval_time", REQUEST)]


def test_a_review_before_the_end_or_of_something_else_is_found() -> None:
    review = voted("ana", 100, binding=ROLE | {"kind": "break_glass"}, choice=Choice.REVIEW)
    assert fold(_broken(review)) == [("approval_time", REQUEST)]
    odd = [*whole().values(), ended(40), voted("ana", 100, choice=Choice.REVIEW)]
    assert fold(odd) == [("approval_vote", REQUEST)]


def test_an_object_of_an_operation_is_cut_as_its_entry_has_it() -> None:
    long = f"{OBJECT}{'x' * 400}"
    binding = BINDING | {"accesses": [["update", long, "v1"]]}
    votes = [voted(name, 20, binding=binding) for name in ("ana", "bo")]
    action = {"verb": "UPDATE", "accesses": [["update", long[:300]]]}
    leaves = [*people(), requested(binding), *votes, granted(20, 80), used(binding=binding), operation(action=action)]
    assert fold(leaves) == []


def test_what_names_no_approval_is_passed_over() -> None:
    bare = {"result": "allow", "policies": []}
    assert fold([operation(decision=bare), session(identity=IDENTITY)]) == []


def test_a_refused_operation_may_differ_from_what_was_asked() -> None:
    leaves = without("used", "intent")
    assert fold([*leaves, operation("operation.refused", 31, via="query")]) == []


def test_a_denial_is_nobodys_consent() -> None:
    leaves = without("ana")
    denial = voted("ana", 23, choice=Choice.DENY)
    assert set(fold([*leaves[:-2], denial, *leaves[-2:]])) == {
        ("approval_ended", OPERATION),
        ("approval_quorum", OPERATION),
    }


def test_a_vote_whose_key_was_taken_away_before_the_use_does_not_count() -> None:
    key = KEYS["ana"].passkey
    words: dict[str, Any] = {"person": who("ana"), "key": key.text, "fingerprint": key.fingerprint, "by": "root"}
    gone = entry("person.key.removed", 25, **words)
    found = fold([*without("used", "intent"), gone, used(), operation()])
    assert found == [("approval_quorum", OPERATION), ("approval_approver", OPERATION)]
    later = entry("person.key.removed", 40, **words)
    assert fold([*whole().values(), later]) == []
