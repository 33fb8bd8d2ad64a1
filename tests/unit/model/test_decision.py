# SPDX-License-Identifier: Apache-2.0
"""A decision is a no unless something says otherwise."""

from __future__ import annotations

import dataclasses

import pytest

from gatebook.model.decision import Decision, Refused, Result


def test_refusal_is_the_first_result() -> None:
    assert [result.value for result in Result] == ["refuse", "allow", "hold"]


def test_a_decision_cannot_be_turned_afterwards() -> None:
    decision = Decision(Result.REFUSE, (), "sha256:0")
    with pytest.raises(dataclasses.FrozenInstanceError):
        decision.result = Result.ALLOW  # type: ignore[misc]  # what the test is about


def test_a_refusal_needs_no_facts() -> None:
    assert Refused("policy.denied", "no", "").facts == ()
