# SPDX-License-Identifier: Apache-2.0
"""`gatebook person key`: whose signature is whose."""

from __future__ import annotations

from pathlib import Path

from support.installation import Installation
from support.people import make_key


def test_adds_lists_and_removes(gate: Installation, tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "alice")
    assert gate.run("person", "key", "add", "alice", str(key.public)).status == 0
    (listed,) = gate.run("person", "key", "list", "--json").json
    assert (listed["person"], listed["key"]) == ("alice", " ".join(key.public.read_text().split()[:2]))
    assert gate.run("person", "key", "list").out.splitlines()[1].split()[0] == "alice"
    assert gate.run("person", "key", "remove", listed["fingerprint"]).status == 0
    assert gate.run("person", "key", "list", "--json").json == []
    assert [entry["event"] for entry in gate.entries()][-2:] == ["person.key.added", "person.key.removed"]
    told = gate.run("person", "key", "remove", listed["fingerprint"])
    assert (told.status, "no key" in told.err) == (1, True)


def test_a_key_is_of_one_person_who_is_there(gate: Installation, tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "alice")
    gate.run("person", "add", "bob")
    gate.run("person", "key", "add", "alice", str(key.public))
    for name, why in (("bob", "somebody's already"), ("alice", "somebody's already"), ("carol", "no person `carol`")):
        told = gate.run("person", "key", "add", name, str(key.public))
        assert (told.status, why in told.err) == (1, True)
    gate.run("person", "disable", "bob")
    told = gate.run("person", "key", "add", "bob", str(key.public))
    assert (told.status, "no person `bob`" in told.err) == (1, True)


def test_a_private_key_is_no_public_one(gate: Installation, tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "alice")
    for file in (key.file, tmp_path / "absent"):
        assert gate.run("person", "key", "add", "alice", str(file)).status == 1
    assert gate.run("person", "key", "list", "--json").json == []
