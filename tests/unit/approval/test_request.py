# SPDX-License-Identifier: Apache-2.0
"""The life of a request: what leads from state to state, and that nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from support.asked import ANA, BO, CY, DIGEST, NOW, REQUEST, ROBIN, crowd, holding, person, vote

from gatebook.approval import request as rules
from gatebook.approval.people import Crowd
from gatebook.approval.request import TRANSITIONS, NotNow, Step
from gatebook.model.approval import Asking, Choice, Kind, Request, Requirement, State

SECOND = timedelta(seconds=1)
GRANTED = rules.cast(REQUEST, vote(), crowd())
STEPS: dict[Step, Callable[[Request], Request]] = {
    Step.GRANT: lambda request: rules.cast(request, vote(BO), crowd()),
    Step.DENY: lambda request: rules.cast(request, vote(BO, Choice.DENY), crowd()),
    Step.EXPIRE: lambda request: rules.expire(request, NOW),
    Step.CANCEL: lambda request: rules.cancel(request, NOW, "why"),
    Step.WITHDRAW: lambda request: rules.withdraw(request, ANA, crowd(), NOW, "why"),
    Step.ANNUL: lambda request: rules.annul(request, NOW, "why"),
    Step.USE: lambda request: rules.use(replace(request, hold=holding(uses=2).hold), DIGEST, crowd(), NOW, "s_1.1"),
    Step.USE_UP: lambda request: rules.use(request, DIGEST, crowd(), NOW, "s_1.1"),
    Step.REVIEW: lambda request: rules.review(
        replace(request, kind=Kind.BREAK_GLASS), vote(BO, Choice.REVIEW), crowd()
    ),
}


def in_state(state: State) -> Request:
    """A request of this state on which Ana voted where it was ever granted."""
    if state is State.PENDING:
        return REQUEST
    return replace(GRANTED, state=state)


@pytest.mark.parametrize(("state", "step"), [(state, step) for state in State for step in Step])
def test_leads_where_the_table_says_and_nowhere_else(state: State, step: Step) -> None:
    after = TRANSITIONS.get((state, step))
    if after is None:
        with pytest.raises(NotNow):
            STEPS[step](in_state(state))
    else:
        assert STEPS[step](in_state(state)).state is after


def test_the_table_is_that_of_the_specification() -> None:
    assert {(state.value, step.value): after.value for (state, step), after in TRANSITIONS.items()} == {
        ("pending", "grant"): "granted",
        ("pending", "deny"): "denied",
        ("pending", "expire"): "expired",
        ("pending", "cancel"): "cancelled",
        ("granted", "use"): "granted",
        ("granted", "use up"): "used",
        ("granted", "expire"): "expired",
        ("granted", "cancel"): "cancelled",
        ("granted", "withdraw"): "withdrawn",
        ("granted", "annul"): "void",
        ("expired", "review"): "reviewed",
        ("cancelled", "review"): "reviewed",
        ("void", "review"): "reviewed",
    }


def test_the_last_consent_that_is_needed_grants_from_its_own_time() -> None:
    two = holding(requirements=(Requirement("dba", 2),))
    once = rules.cast(two, vote(ANA), crowd())
    assert (once.state, once.use_by) == (State.PENDING, None)
    twice = rules.cast(once, vote(BO, at=NOW + SECOND), crowd())
    assert (twice.state, twice.use_by) == (State.GRANTED, NOW + timedelta(seconds=61))
    assert [one.person for one in twice.votes] == [ANA, BO]


def test_one_denial_denies_with_its_reason_whoever_consented_before() -> None:
    two = holding(requirements=(Requirement("dba", 2),))
    denied = rules.cast(rules.cast(two, vote(ANA), crowd()), vote(BO, Choice.DENY), crowd())
    assert (denied.state, denied.why, denied.ended_at) == (State.DENIED, "my words", NOW)


@pytest.mark.parametrize(
    ("request_", "cast", "words"),
    [
        (REQUEST, vote(at=NOW + timedelta(minutes=5)), "the request has expired"),
        (REQUEST, vote(CY), "this person may not vote on it: not in a group that is asked"),
        (REQUEST, vote(ROBIN, Choice.DENY), "this person may not vote on it: who asks"),
        (REQUEST, vote(method="session"), "the vote is not signed"),
        (GRANTED, vote(BO), "the request is granted already"),
        (rules.cast(holding(requirements=(Requirement("dba", 2),)), vote(), crowd()), vote(), "has voted already"),
    ],
)
def test_a_vote_that_does_not_count_is_refused(request_: Request, cast: object, words: str) -> None:
    with pytest.raises(NotNow, match=words):
        rules.cast(request_, cast, crowd())  # type: ignore[arg-type]  # a vote


def test_a_second_account_does_not_vote_again() -> None:
    two = holding(requirements=(Requirement("dba", 2),))
    known = crowd(person(ANA, "dba"), person(BO, "dba", human=str(ANA)))
    with pytest.raises(NotNow, match="this person has voted already"):
        rules.cast(rules.cast(two, vote(ANA), known), vote(BO), known)


def test_a_vote_without_signature_counts_where_the_terms_say_so() -> None:
    assert rules.cast(holding(signed=False), vote(method="session"), crowd()).state is State.GRANTED


def test_ap_03_is_used_once_and_the_same_operation_is_not_counted_again() -> None:
    used = rules.use(GRANTED, DIGEST, crowd(), NOW, "s_1.3")
    assert (used.state, used.used, used.used_by, used.ended_at) == (State.USED, 1, "s_1.3", NOW)
    assert rules.use(used, DIGEST, crowd(), NOW, "s_1.3") is used
    with pytest.raises(NotNow, match="the request is used"):
        rules.use(used, DIGEST, crowd(), NOW, "s_1.4")


def test_a_vote_counts_as_long_as_its_key_is_there_or_where_keys_are_not_looked_at() -> None:
    known = replace(crowd(), keys=frozenset({"SHA256:k"}))
    assert rules.is_satisfied(GRANTED, known)
    assert not rules.is_satisfied(GRANTED, replace(known, keys=frozenset()))
    unsigned = rules.cast(holding(signed=False), replace(vote(method="session"), key=""), crowd())
    assert rules.is_satisfied(unsigned, replace(known, keys=frozenset()))


def test_ap_12_is_used_as_often_as_its_terms_say() -> None:
    request = rules.cast(holding(uses=3), vote(), crowd())
    for number in (1, 2, 3):
        request = rules.use(request, DIGEST, crowd(), NOW, f"s_1.{number}")
    assert (request.state, request.used) == (State.USED, 3)


@pytest.mark.parametrize(
    ("digest", "known", "after", "words"),
    [
        ("sha256:" + "f" * 64, crowd(), SECOND, "the approval is for another operation"),
        (DIGEST, crowd(), timedelta(seconds=60), "the approval has expired"),
        (DIGEST, crowd(person(ANA)), SECOND, "who approved may not approve any more"),
        (DIGEST, crowd(replace(person(ANA, "dba"), disabled_at=NOW)), SECOND, "may not approve any more"),
        (DIGEST, replace(crowd(), keys=frozenset({"SHA256:other"})), SECOND, "may not approve any more"),
    ],
)
def test_what_does_not_fit_at_use_is_not_used(digest: str, known: Crowd, after: timedelta, words: str) -> None:
    with pytest.raises(NotNow, match=words):
        rules.use(GRANTED, digest, known, NOW + after, "s_1.1")


def test_ends_say_why() -> None:
    assert rules.expire(REQUEST, NOW).why == "nobody decided in time"
    assert rules.expire(GRANTED, NOW).why == "not used"
    assert rules.cancel(REQUEST, NOW, "x" * 2000).why == "x" * 1024


def test_only_who_voted_withdraws_by_any_account() -> None:
    with pytest.raises(NotNow, match="this person did not vote on it"):
        rules.withdraw(GRANTED, BO, crowd(), NOW, "why")
    known = crowd(person(ANA, "dba"), person(BO, human=str(ANA)))
    assert rules.withdraw(GRANTED, BO, known, NOW, "why").state is State.WITHDRAWN


def test_ap_11_who_has_too_many_open_or_asked_too_often_asks_no_more() -> None:
    rules.check_quota(Asking(open=1, recent=2), pending=2, per_hour=3)
    with pytest.raises(NotNow, match="too many requests of this identity are open"):
        rules.check_quota(Asking(open=2, recent=2), pending=2, per_hour=9)
    with pytest.raises(NotNow, match="asked too often within the hour"):
        rules.check_quota(Asking(open=0, recent=2), pending=2, per_hour=2)


GLASS = rules.take(replace(REQUEST, kind=Kind.BREAK_GLASS), NOW)


def test_glass_is_broken_without_consent_and_nothing_else_is() -> None:
    assert (GLASS.state, GLASS.use_by) == (State.GRANTED, NOW + timedelta(seconds=60))
    with pytest.raises(NotNow, match="it has to be approved"):
        rules.take(REQUEST, NOW)
    assert rules.stands(GLASS, crowd())
    assert not rules.stands(replace(GLASS, kind=Kind.ROLE), crowd())


@pytest.mark.parametrize("end", [State.EXPIRED, State.CANCELLED, State.VOID])
def test_broken_glass_is_reviewed_once_it_is_over(end: State) -> None:
    over = replace(GLASS, state=end)
    assert over.waits_for_review
    reviewed = rules.review(over, vote(choice=Choice.REVIEW), crowd())
    assert (reviewed.state, len(reviewed.votes)) == (State.REVIEWED, 1)
    for request, cast in (
        (reviewed, vote(BO, Choice.REVIEW)),
        (GLASS, vote(choice=Choice.REVIEW)),
        (over, vote()),
        (replace(over, kind=Kind.OPERATION), vote(choice=Choice.REVIEW)),
    ):
        with pytest.raises(NotNow, match="there is nothing to review"):
            rules.review(request, cast, crowd())
    with pytest.raises(NotNow, match="who asks, or for whom it is asked"):
        rules.review(over, vote(ROBIN, Choice.REVIEW), crowd())
    with pytest.raises(NotNow, match="nothing to review yet"):
        rules.cast(REQUEST, vote(choice=Choice.REVIEW), crowd())


def test_a_role_is_entered_as_long_as_it_stands() -> None:
    given = replace(GRANTED, kind=Kind.ROLE)
    assert rules.enter(rules.enter(given, DIGEST, crowd(), NOW), DIGEST, crowd(), NOW).used == 2
    for found, told, known, moment, words in (
        (given, DIGEST, crowd(), NOW + timedelta(seconds=60), "the role is over"),
        (replace(given, state=State.EXPIRED), DIGEST, crowd(), NOW, "the role is over"),
        (given, "sha256:" + "f" * 64, crowd(), NOW, "given to somebody else"),
        (given, DIGEST, crowd(person(ANA)), NOW, "may not give it any more"),
    ):
        with pytest.raises(NotNow, match=words):
            rules.enter(found, told, known, moment)


def test_what_does_not_fit_any_more_ends_as_what_it_is() -> None:
    late = NOW + timedelta(hours=1)
    assert rules.end_unfit(REQUEST, NOW, "x").state is State.CANCELLED
    assert rules.end_unfit(GRANTED, NOW, "x").state is State.VOID
    assert {rules.end_unfit(one, late, "x").state for one in (REQUEST, GRANTED)} == {State.EXPIRED}


def test_ap_08_a_vote_whose_key_was_taken_away_does_not_count_at_the_use() -> None:
    signed = rules.cast(REQUEST, replace(vote(), key="SHA256:a"), crowd())
    known = replace(crowd(), keys=frozenset({"SHA256:a"}))
    assert rules.use(signed, DIGEST, known, NOW, "s_1.1").used == 1
    with pytest.raises(NotNow, match="who approved may not approve any more"):
        rules.use(signed, DIGEST, replace(known, keys=frozenset()), NOW, "s_1.1")
