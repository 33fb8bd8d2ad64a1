# SPDX-License-Identifier: Apache-2.0
"""The rules in force know which place a client means."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatebook.model.target import Target
from gatebook.session.gate import Place, Rules


def test_a_target_is_found_by_the_name_that_clients_use_as_database(rules: Rules, target: Target) -> None:
    assert rules.find("shop") == Place(target, target.database)


def test_a_target_is_found_with_its_database_behind_a_slash(rules: Rules, target: Target) -> None:
    assert rules.find(f"shop/{target.database}") == Place(target, target.database)


@pytest.mark.parametrize("asked", ["Shop", "", "/", "shop/", "/shop", "shop/other", "other/shop", "shop/shop/shop"])
def test_another_name_finds_nothing(rules: Rules, asked: str) -> None:
    assert rules.find(asked) is None


def test_a_target_for_any_database_is_asked_for_others_by_name(rules: Rules, target: Target) -> None:
    anything = replace(target, any_database=True)
    rules = replace(rules, targets={"shop": anything})
    assert rules.find("shop") == Place(anything, target.database)
    assert rules.find("shop/accounts") == Place(anything, "accounts")
    assert rules.find("shop/a/b") == Place(anything, "a/b")
    assert rules.find("accounts") is None


def test_the_one_target_of_a_trial_answers_for_every_name_and_user(rules: Rules, target: Target) -> None:
    trial = replace(rules, targets={}, any_target=target)
    assert trial.find("accounts") == Place(target, "accounts", any_user=True)
    assert trial.find("a/b") == Place(target, "a/b", any_user=True)
