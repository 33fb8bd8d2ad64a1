# SPDX-License-Identifier: Apache-2.0
"""`gatebook policy`: problems by file and line, explanations by access."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation


def test_says_that_the_policies_load(gate: Installation) -> None:
    told = gate.run("policy", "check", "--json")
    assert told.status == 0
    assert told.json["ok"]
    assert told.json["files"] == ["example.cedar"]
    assert told.json["hash"].startswith("sha256:")
    assert "1 files load" in gate.run("policy", "check").err


def test_names_every_problem_with_file_and_line(gate: Installation) -> None:
    bad = gate.folder / "policies" / "bad.cedar"
    bad.write_text('\n@approvals("dba")\npermit (principal, action, resource);\n')
    told = gate.run("policy", "check", "--json")
    assert told.status == 1
    assert not told.json["ok"]
    assert {problem["file"] for problem in told.json["problems"]} == {"bad.cedar"}
    text = gate.run("policy", "check")
    assert text.status == 1
    assert text.err.startswith("error: bad.cedar:")


def test_checks_a_file_or_folder_in_place_of_the_configured_one(gate: Installation, tmp_path: Path) -> None:
    (tmp_path / "one.cedar").write_text('@id("x")\npermit (principal, action, resource);\n')
    assert gate.run("policy", "check", str(tmp_path), "--json").json["files"] == ["one.cedar"]
    assert gate.run("policy", "check", str(tmp_path / "one.cedar"), "--json").json["files"] == ["one.cedar"]


def test_says_that_there_is_no_policy(gate: Installation, tmp_path: Path) -> None:
    told = gate.run("policy", "check", str(tmp_path))
    assert told.status == 1
    assert "no policy in" in told.err


def test_says_that_a_policy_cannot_be_read(gate: Installation) -> None:
    (gate.folder / "policies" / "bad.cedar").write_bytes(b"\xff")
    told = gate.run("policy", "check")
    assert told.status == 1
    assert "a policy cannot be read" in told.err


ASKS = '@id("held") @approval("dba") permit (principal, action, resource);\n'


def test_ap_07_names_a_policy_that_asks_more_people_than_could_vote(gate: Installation) -> None:
    (gate.folder / "policies" / "held.cedar").write_text(ASKS)
    told = gate.run("policy", "check", "--json")
    assert told.status == 1
    assert told.json["problems"] == [
        {
            "file": "held.cedar",
            "line": 1,
            "reason": "the policy `held` asks for 1 of group `dba`, and nobody there could vote",
            "hint": "add people with `gatebook person add NAME --group dba`, each with a key of "
            "`gatebook person key add`; or name the group in `approval.provider_groups`",
        }
    ]
    gate.config.write_text('[approval]\nprovider_groups = ["dba"]\n' + gate.config.read_text())
    assert gate.run("policy", "check", "--json").json["approvers_checked"] is True


def test_says_that_people_were_not_looked_up_where_there_is_no_store(gate: Installation) -> None:
    gate.settings.store_path.unlink()
    (gate.folder / "policies" / "held.cedar").write_text(ASKS)
    assert gate.run("policy", "check", "--json").json["approvers_checked"] is False
    assert "whether groups of approvers have enough people was not looked at" in gate.run("policy", "check").err


class App:
    """Answers as the application would."""

    def __init__(self, *, permitted: bool) -> None:
        self.permitted = permitted
        self.asked: dict[str, Any] = {}

    def explain(self, config: Path, **asked: Any) -> list[dict[str, Any]]:  # noqa: ANN401  what it was asked
        self.asked = {"config": config, **asked}
        return [
            {
                "action": "drop",
                "object": "Relation:shop.shop.public.customers",
                "permitted": self.permitted,
                "permits": ["agents-read"] if self.permitted else [],
                "forbids": [],
                "reason": "",
                "needed": "a permit for drop",
            }
        ]


@pytest.mark.parametrize(
    ("permitted", "status", "line"),
    [
        (True, 0, "yes        drop    Relation:shop.shop.public.customers  agents-read"),
        (False, 1, "no         drop    Relation:shop.shop.public.customers              a permit for drop"),
    ],
)
def test_explains_each_access(
    gate: Installation, monkeypatch: pytest.MonkeyPatch, permitted: bool, status: int, line: str
) -> None:
    app = App(permitted=permitted)
    monkeypatch.setattr("gatebook.cli.policy.load_application", lambda: app)
    ask = ("policy", "explain", "DROP TABLE customers", "--as", "reporter", "--group", "etl", "--target", "shop")
    told = gate.run(*ask)
    assert told.status == status
    assert told.out.splitlines()[1] == line
    assert app.asked == {
        "config": gate.config,
        "agent": "reporter",
        "groups": ("etl",),
        "target_name": "shop",
        "sql": "DROP TABLE customers",
        "database": "",
    }
    assert gate.run(*ask, "--json").json[0]["permitted"] == permitted


def test_compares_decisions_with_what_is_expected(
    gate: Installation, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def answer(name: str, *, passed: bool) -> dict[str, Any]:
        decided = {"decision": "refuse", "code": "policy.denied", "reason": "no permit", "policies": []}
        return {"case": name, "passed": passed, "expected": "refuse" if passed else "allow", **decided}

    class Tests:
        answers: tuple[dict[str, Any], ...] = (answer("one", passed=True),)

        def test_policies(self, config: Path, cases: Path, policies: Path | None) -> list[dict[str, Any]]:
            assert (config, cases.name, policies) == (gate.config, "cases.toml", None)
            return list(self.answers)

    app = Tests()
    monkeypatch.setattr("gatebook.cli.policy.load_application", lambda: app)
    cases = tmp_path / "cases.toml"
    cases.touch()
    told = gate.run("policy", "test", str(cases))
    assert told.status == 0
    assert told.out.splitlines()[1] == "ok  one   refuse    refuse (policy.denied)  no permit"
    app.answers = (answer("one", passed=True), answer("two", passed=False))
    told = gate.run("policy", "test", str(cases), "--json")
    assert told.status == 1
    assert [one["passed"] for one in told.json] == [True, False]
