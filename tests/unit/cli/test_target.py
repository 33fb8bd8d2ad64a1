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


ADD = (
    *("target", "add", "store", "--host", "db.example", "--database", "store", "--role", "reader"),
    *("--account", "store_reader", "--password", "env:STORE", "--group", "agents", "--group", "people"),
)


def test_adds_a_target_and_leaves_the_rest_as_it_is(gate: Installation) -> None:
    before = gate.config.read_text()
    root = gate.folder / "root.crt"
    told = gate.run(*ADD, "--tls-roots", str(root), "--label", "env=prod", "--catalogue-account", "cat")
    assert told.status == 0, told.err
    assert told.err.startswith(f"target store is in {gate.config}: ")
    assert gate.config.read_text().startswith(before)
    added = gate.settings.targets[-1]
    assert (added.name, added.host, added.port, added.database) == ("store", "db.example", 5432, "store")
    assert added.tls_roots == root
    assert 'tls_roots = "root.crt"' in gate.config.read_text()
    assert added.roles[0].groups == ("agents", "people")
    assert added.labels == (("env", "prod"),)
    assert added.catalogue is not None
    entry = gate.entries()[-1]
    assert (entry["event"], entry["target"], entry["config"]) == ("target.added", "store", gate.settings.digest)


def test_tells_programs_what_was_added(gate: Installation) -> None:
    assert gate.run(*ADD, "--json").json == {"target": "store", "config": gate.settings.digest}


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (("--password", "hunter2"), "must say where the secret is, and never be the secret itself"),
        (("--tls", "disable"), "is `disable`, but the target is not on this machine"),
        (("--host", ""), "must be a string of printable characters that is not empty"),
    ],
)
def test_a_target_that_is_wrong_leaves_the_file_and_the_book_alone(
    gate: Installation, more: tuple[str, ...], wrong: str
) -> None:
    before, entries = gate.config.read_bytes(), gate.entries()
    told = gate.run(*ADD, *more)
    assert told.status == 1
    assert wrong in told.err
    assert "hunter2" not in told.err
    assert gate.config.read_bytes() == before
    assert gate.entries() == entries


def test_a_target_that_is_there_already_is_refused(gate: Installation) -> None:
    told = gate.run("target", "add", "shop", *ADD[3:])
    assert told.status == 1
    assert "is there twice" in told.err


def test_a_label_without_value_is_wrong_usage(gate: Installation) -> None:
    told = gate.run(*ADD, "--label", "prod")
    assert told.status == 2
    assert "a label is KEY=VALUE" in told.err
