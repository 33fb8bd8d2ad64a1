# SPDX-License-Identifier: Apache-2.0
"""Who may consent: people of the group before it was asked, never who asks, by no account of theirs, nor a machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.asked import ANA, BO, BOT, CY, HOLD, NOW, PEOPLE, PRINCIPAL, ROBIN, crowd, person, subject

from gatebook.approval.people import Crowd, ineligible, is_met
from gatebook.model.approval import Hold, Requirement
from gatebook.model.principal import Principal, Subject

OWN = "who asks, or for whom it is asked, cannot consent"


def why(who: Subject, known: Crowd, principal: Principal = PRINCIPAL) -> str:
    return ineligible(principal, HOLD, NOW, who, known)


def test_a_member_of_the_group_may_vote() -> None:
    assert why(ANA, crowd()) == ""


def test_ap_01_the_person_behind_an_agent_may_not() -> None:
    assert why(ROBIN, crowd()) == OWN


def test_ap_01_another_account_of_theirs_may_not_either() -> None:
    second = person(subject("robin-2"), "dba", human=str(ROBIN))
    assert why(second.subject, crowd(*PEOPLE, second)) == OWN
    both = [person(ROBIN, human="h1"), person(subject("robin-2"), "dba", human="h1")]
    assert why(subject("robin-2"), crowd(*both)) == OWN


def test_ap_01_who_asks_and_who_passed_it_on_may_not() -> None:
    asks = replace(PRINCIPAL, subject=ANA, owner=None, chain=(ANA, BO))
    assert [why(who, crowd(), asks) for who in (ANA, BO, ROBIN)] == [OWN, OWN, ""]


def test_ap_01_a_machine_or_somebody_unknown_may_not() -> None:
    machine = person(BOT, "dba")
    assert why(BOT, crowd(machine)) == "not a person that the gate knows"
    assert why(subject("nobody"), crowd()) == "not a person that the gate knows"
    assert why(Subject("elsewhere", "ana"), crowd()) == "not a person that the gate knows"


def test_ap_08_who_was_disabled_may_not() -> None:
    assert why(ANA, crowd(replace(person(ANA, "dba"), disabled_at=NOW))) == "disabled"


def test_ap_01_who_came_into_the_group_afterwards_may_not() -> None:
    late = person(ANA, "dba", since=NOW + timedelta(microseconds=1))
    assert why(ANA, crowd(late)) == "a member only since it was asked"
    assert why(ANA, crowd(person(ANA, "dba", since=NOW))) == ""


def test_who_is_in_no_group_that_is_asked_may_not() -> None:
    assert why(CY, crowd()) == "not in a group that is asked"
    assert why(ANA, crowd(person(ANA, "ops"))) == "not in a group that is asked"


@pytest.mark.parametrize(
    ("needs", "consenting", "met"),
    [
        ((Requirement("dba", 1),), [ANA], True),
        ((Requirement("dba", 2),), [ANA], False),
        ((Requirement("dba", 2),), [ANA, ANA], False),
        ((Requirement("dba", 2),), [ANA, ROBIN], False),
        ((Requirement("dba", 2),), [ANA, BO], True),
        ((Requirement("dba", 1), Requirement("ops", 1)), [BO], False),
        ((Requirement("dba", 2), Requirement("ops", 1)), [ANA, BO], True),
        ((Requirement("dba", 1),), [], False),
        ((), [ANA, BO], False),
    ],
)
def test_each_group_needs_its_number_of_people(
    needs: tuple[Requirement, ...], consenting: list[Subject], *, met: bool
) -> None:
    assert is_met(PRINCIPAL, Hold(needs), NOW, consenting, crowd()) is met


def test_two_accounts_of_one_human_being_count_once() -> None:
    twin = person(subject("ana-2"), "dba", human=str(ANA))
    two = Hold((Requirement("dba", 2),))
    known = crowd(*PEOPLE, twin)
    assert not is_met(PRINCIPAL, two, NOW, [ANA, twin.subject], known)
    assert is_met(PRINCIPAL, two, NOW, [twin.subject, BO], known)
