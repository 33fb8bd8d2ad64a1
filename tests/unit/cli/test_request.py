# SPDX-License-Identifier: Apache-2.0
"""Roles asked for at the command line: who asks is proved by their key; tests/real/test_roles.py uses what is given."""

from __future__ import annotations

import pytest
from support.installation import Installation

ROLE = """
[[target.role]]
name = "repair"
account = "app"
groups = ["agents"]
approvers = "dba"
break_glass = true
"""
WORDS = ("--target", "work", "--for", "30m", "--reason", "INC-17")


@pytest.fixture
def asking(gate: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A target with a role to ask for, and an agent's key in the surroundings."""
    config = gate.folder / "gatebook.toml"
    target = '\n[[target]]\nname = "work"\nhost = "127.0.0.1"\ndatabase = "work"\ntls = "disable"\n'
    config.write_text(config.read_text() + target + ROLE)
    made = gate.run("key", "create", "--agent", "bot", "--owner", "alice", "--group", "agents", "--json").json
    monkeypatch.setenv("GATEBOOK_TOKEN", made["token"])
    return gate


def test_a_role_is_asked_for(asking: Installation) -> None:
    told = asking.run("request", "role", "repair", *WORDS, "--json")
    assert told.status == 0, told.err
    assert (told.json["kind"], told.json["state"], told.json["role"]) == ("role", "pending", "repair")
    listed = asking.run("approvals", "list").out
    assert "role repair" in listed
    assert "1 of dba" in listed
    shown = asking.run("approvals", "show", told.json["request"]).out
    assert "role for 30 minutes" in shown
    assert "who asks says (nobody has checked it): INC-17" in shown


def test_it_says_how_to_go_on(asking: Installation) -> None:
    assert "connect anew once it is granted" in asking.run("request", "role", "repair", *WORDS).err
    assert "It will be reviewed" in asking.run("request", "break-glass", "repair", *WORDS).err


def test_nobody_asks_without_a_key_that_is_good(asking: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEBOOK_TOKEN", "gbk_nonsense")
    told = asking.run("request", "role", "repair", *WORDS)
    assert told.status == 1
    assert "it is not proved who asks" in told.err


@pytest.mark.parametrize("words", [("nothing", "--target", "work"), ("repair", "--target", "nowhere")])
def test_a_role_that_is_not_there_is_told(asking: Installation, words: tuple[str, ...]) -> None:
    told = asking.run("request", "role", *words, "--reason", "x")
    assert told.status == 1
    assert "no role" in told.err


def test_a_role_with_glass_has_somebody_to_review_it(asking: Installation) -> None:
    config = asking.folder / "gatebook.toml"
    config.write_text(config.read_text().replace('approvers = "dba"\n', ""))
    told = asking.run("request", "break-glass", "repair", *WORDS)
    assert told.status == 1
    assert "nobody to review it" in told.err
