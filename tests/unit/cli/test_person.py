# SPDX-License-Identifier: Apache-2.0
"""`gatebook person`: who may own keys."""

from __future__ import annotations

from support.installation import Installation


def test_adds_a_person_and_enters_it(gate: Installation) -> None:
    assert gate.run("person", "add", "bob").status == 0
    told = gate.run("person", "add", "carol", "--admin", "--json")
    assert (told.json["name"], told.json["admin"]) == ("carol", True)
    assert [entry["event"] for entry in gate.entries()] == ["person.added"] * 3
    people = gate.run("person", "list", "--json").json
    assert [(one["name"], one["admin"]) for one in people] == [("alice", True), ("bob", False), ("carol", True)]


def test_refuses_the_same_person_twice_without_an_entry(gate: Installation) -> None:
    told = gate.run("person", "add", "alice")
    assert told.status == 1
    assert "person `alice` is there already" in told.err
    assert len(gate.entries()) == 1


def test_a_disabled_person_owns_no_more_keys(gate: Installation) -> None:
    assert gate.run("person", "disable", "alice").status == 0
    assert gate.entries()[-1]["event"] == "person.disabled"
    told = gate.run("key", "create", "--agent", "x", "--owner", "alice")
    assert told.status == 1
    assert "known: nobody" in told.err
    assert gate.run("person", "disable", "alice", "--json").json["disabled"] != ""


def test_refuses_to_disable_who_is_not_there(gate: Installation) -> None:
    told = gate.run("person", "disable", "bob")
    assert told.status == 1
    assert "no person `bob`" in told.err


def test_lists_people_as_a_table(gate: Installation) -> None:
    lines = gate.run("person", "list").out.splitlines()
    assert lines[0].split() == ["NAME", "DUTY", "GROUPS", "SINCE", "DISABLED"]
    assert lines[1].split()[:2] == ["alice", "admin"]
