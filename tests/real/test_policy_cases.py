# SPDX-License-Identifier: Apache-2.0
"""`gatebook policy test` against the catalogue of a real database."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.servers import Place, make_database, make_place
from throwaway_postgres import Postgres

POLICIES = """
@id("connect") permit (principal in Group::"agents", action in Action::"connect", resource in Target::"work");
@id("read") permit (principal in Group::"agents", action in Action::"read", resource in Schema::"work.cases.public");
@id("ann") permit (principal == Person::"https://idp.example|ann", action, resource);
@id("no-cards") forbid (principal, action, resource == Relation::"work.cases.public.cards");
"""
CASES = """
[[case]]
name = "agents read orders"
agent = "bot"
groups = ["agents"]
target = "work"
statement = "SELECT total FROM orders"
expect = "allow"

[[case]]
name = "nobody reads cards, not even behind something else"
agent = "bot"
groups = ["agents"]
target = "work"
statement = \"\"\"
SELECT 1;
SELECT number FROM cards
\"\"\"
expect = "refuse"
code = "policy.denied"

[[case]]
name = "a person of the issuer may write"
person = "ann"
issuer = "https://idp.example"
groups = ["agents"]
target = "work"
statement = "DELETE FROM orders"
expect = "allow"

[[case]]
name = "a person of that name of nobody's may not"
person = "ann"
groups = ["agents"]
target = "work"
statement = "DELETE FROM orders"
expect = "refuse"

[[case]]
name = "strangers have no role"
agent = "bot"
groups = ["strangers"]
target = "work"
statement = "SELECT 1"
expect = "refuse"
code = "authn.failed"
"""


@pytest.fixture(scope="module")
def gate(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Place:
    make_database(server, "cases")
    place = make_place(tmp_path_factory.mktemp("cases") / "gate", server, "cases", policies={"shop.cedar": POLICIES})
    place.ask("CREATE TABLE orders (total int); CREATE TABLE cards (number text)")
    return place


def decide(place: Place, cases: str, *more: str) -> tuple[int, list[dict[str, Any]]]:
    path = place.gate.folder / "cases.toml"
    path.write_text(cases)
    done = place.gate.run("policy", "test", str(path), *more, "--json", check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_decisions_are_those_of_a_gate(gate: Place) -> None:
    status, answers = decide(gate, CASES)
    assert [answer["passed"] for answer in answers] == [True] * 5, answers
    assert status == 0
    assert "no-cards" in answers[1]["policies"]


def test_a_difference_is_a_failure(gate: Place) -> None:
    status, answers = decide(gate, CASES.replace('expect = "allow"', 'expect = "refuse"', 1))
    assert status == 1
    assert [answer["passed"] for answer in answers] == [False, True, True, True, True]
    assert answers[0]["decision"] == "allow"


def test_another_folder_of_policies_can_be_asked(gate: Place) -> None:
    folder = gate.gate.folder / "candidate"
    folder.mkdir()
    (folder / "all.cedar").write_text("permit (principal, action, resource);\n")
    _, answers = decide(gate, CASES, "--policies", str(folder))
    assert [answer["decision"] for answer in answers] == ["allow", "allow", "allow", "allow", "refuse"]


def test_a_target_that_is_not_there_is_told(gate: Place) -> None:
    path = gate.gate.folder / "cases.toml"
    path.write_text(CASES.replace('target = "work"', 'target = "nope"'))
    done = gate.gate.run("policy", "test", str(path), check=False)
    assert done.returncode == 1
    assert "target `nope` is not in the configuration" in done.stderr
