# SPDX-License-Identifier: Apache-2.0
"""The rules in force know which target a client means."""

from __future__ import annotations

from dataclasses import replace

from gatebook.model.target import Target
from gatebook.session.gate import Rules


def test_a_target_is_found_by_the_name_that_clients_use_as_database(rules: Rules, target: Target) -> None:
    assert rules.target("shop") == target


def test_another_name_finds_nothing(rules: Rules) -> None:
    assert rules.target("Shop") is None
    assert rules.target("") is None


def test_a_target_for_any_database_answers_for_every_name(rules: Rules, target: Target) -> None:
    anything = replace(target, any_database=True)
    assert replace(rules, any_target=anything).target("accounts") == anything
