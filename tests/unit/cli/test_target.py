# SPDX-License-Identifier: Apache-2.0
"""`gatebook target`: what the configuration says, and whether it works."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from support.installation import Installation


@dataclass(frozen=True)
class Step:
    name: str
    passed: bool
    words: str


class App:
    """Tests targets as the application would."""

    def __init__(self, *, passed: bool) -> None:
        self.passed = passed

    def test_target(self, config: Path, name: str) -> list[Step]:
        assert config.name == "gatebook.toml"
        return [Step("login", passed=True, words=f"to {name}"), Step("catalogue", passed=self.passed, words="seen")]


def test_lists_targets_with_their_roles(gate: Installation) -> None:
    lines = gate.run("target", "list").out.splitlines()
    assert lines[1].split("  ") == ["shop", "postgres", "127.0.0.1:1/shop", "disable", "reader (shop-agents)"]
    assert gate.run("target", "list", "--json").json == [
        {
            "name": "shop",
            "kind": "postgres",
            "host": "127.0.0.1",
            "port": 1,
            "database": "shop",
            "tls": "disable",
            "roles": [{"name": "reader", "account": "shop_reader", "groups": ["shop-agents"]}],
        }
    ]


@pytest.mark.parametrize(("passed", "status", "word"), [(True, 0, "ok"), (False, 1, "FAILED")])
def test_tells_each_step_of_a_test(
    gate: Installation, monkeypatch: pytest.MonkeyPatch, passed: bool, status: int, word: str
) -> None:
    monkeypatch.setattr("gatebook.cli.target.load_application", lambda: App(passed=passed))
    told = gate.run("target", "test", "shop")
    assert told.status == status
    assert told.out.splitlines()[2].split() == [word, "catalogue", "seen"]
    told = gate.run("target", "test", "shop", "--json")
    assert told.status == status
    assert told.json[1] == {"name": "catalogue", "passed": passed, "words": "seen"}
