# SPDX-License-Identifier: Apache-2.0
"""Who could consent at a moment: groups, keys, accounts and what is no person, as entries tell."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.evidence import NOW
from support.record import entry, who

from gatebook.evidence.approval_people import Moment, People
from gatebook.evidence.entry import Leaf, parse_time
from gatebook.model.principal import Subject

ANA, BO, BOT = (Subject("gatebook:gate", name) for name in ("ana", "bo", "bot"))


def at(seconds: float, writer: str = "gate", number: int = 1) -> Moment:
    return Moment(NOW + timedelta(seconds=seconds), writer, number)


def added(seconds: float, name: str = "ana", **members: Any) -> Leaf:  # noqa: ANN401  JSON
    return entry("person.added", seconds, person=who(name), admin=False, by="root", **members)


def groups(seconds: float, *names: str) -> Leaf:
    return entry("person.groups", seconds, person=who("ana"), groups=list(names), by="root")


def key(seconds: float, text: str, *, name: str = "ana", gone: bool = False) -> Leaf:
    event = "person.key.removed" if gone else "person.key.added"
    return entry(event, seconds, person=who(name), key=text, fingerprint="f", by="root")


def told(*leaves: Leaf) -> People:
    people = People()
    for number, leaf in enumerate(leaves):
        seconds = (parse_time(str(leaf["time"])) - NOW).total_seconds()
        people.add(at(seconds, str(leaf["writer"]), number), leaf)
    people.settle()
    return people


def why(people: People, person: Subject = ANA, since: float = 10, until: float = 20) -> str:
    return people.why_not(person, ["dba"], [BOT], at(since), at(until))


def test_moments_of_one_journal_are_in_its_order_and_of_two_by_time() -> None:
    assert at(5, "gate", 1).precedes(at(1, "gate", 2))
    assert not at(1, "gate", 2).precedes(at(5, "gate", 1))
    assert at(1, "cli").precedes(at(2, "gate"))
    assert not at(1, "cli").precedes(at(1.9, "gate"))


def test_a_member_of_the_group_may() -> None:
    assert why(told(added(0, groups=["dba"]))) == ""
    assert why(told(added(0), groups(5, "dba", "ops"))) == ""
    assert why(told(added(0, groups=["dba"]), groups(15, "dba", "ops"))) == ""


@pytest.mark.parametrize(
    ("leaves", "reason"),
    [
        ([], "is not a person that the book knows"),
        ([added(0)], "was not in a group that was asked"),
        ([added(0, groups=["ops"])], "was not in a group that was asked"),
        ([added(0), groups(15, "dba")], "was not in a group that was asked"),
        ([added(0, groups=["dba"]), groups(12)], "was not in a group that was asked"),
        ([added(0, groups=["dba"]), groups(12), groups(14, "dba")], "was not in a group that was asked"),
        ([added(0, groups="dba")], "was not in a group that was asked"),
        (
            [added(0, groups=["dba"]), entry("person.disabled", 15, person=who("ana"), by="root")],
            "was disabled",
        ),
        (
            [
                added(0, groups=["dba"]),
                entry("person.disabled", 5, person=who("ana"), by="root"),
                added(8, groups=["dba"]),
            ],
            "was disabled",
        ),
        (
            [
                added(0, groups=["dba"]),
                entry("key.created", 1, key="k", agent=who("ana"), owner=who("bo"), by="", expires=""),
            ],
            "is not a person that the book knows",
        ),
        (
            [added(0, groups=["dba"], human="gatebook:gate|bot")],
            "is who asked, or for whom it was asked",
        ),
        ([groups(0, "dba")], "is not a person that the book knows"),
    ],
)
def test_others_may_not(leaves: list[Leaf], reason: str) -> None:
    assert why(told(*leaves)) == reason


def test_what_came_behind_the_moment_does_not_count() -> None:
    gone = entry("person.disabled", 25, person=who("ana"), by="root")
    assert why(told(added(0, groups=["dba"]), groups(22), gone)) == ""


def test_entries_of_two_journals_come_in_the_order_of_time() -> None:
    later = {**groups(5), "writer": "control"}
    assert why(told(later, added(0, groups=["dba"]))) == "was not in a group that was asked"


def test_a_clock_that_was_put_back_changes_no_order() -> None:
    assert why(told(added(8, groups=["ops"]), groups(2, "dba"))) == ""


def test_accounts_of_one_human_being_are_one() -> None:
    people = told(added(0), added(0, "bo", human="gatebook:gate|ana"))
    assert people.human(ANA) == people.human(BO) == "gatebook:gate|ana"
    assert people.human(BOT) == "gatebook:gate|bot"


def test_a_key_is_somebodys_from_when_it_was_added_until_it_was_removed() -> None:
    people = told(key(5, "old"), key(10, "old", gone=True), key(20, "new"))
    found = [people.find_key("f", ANA, at(seconds)) for seconds in (1, 7, 15, 25)]
    assert found == ["", "old", "", "new"]
    assert people.find_key("f", BO, at(7)) == ""
    assert people.find_key("other", ANA, at(7)) == ""
