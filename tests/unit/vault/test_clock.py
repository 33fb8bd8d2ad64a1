# SPDX-License-Identifier: Apache-2.0
"""Tests of gatebook.vault.clock."""

from __future__ import annotations

import ctypes

import pytest

from gatebook.vault import clock


def test_asks_the_system_for_the_state_of_its_clock() -> None:
    assert clock.clock_state() in {None, 0, 1, 2, 3, 4, 5}


@pytest.mark.parametrize(("state", "synchronised"), [(0, True), (1, True), (5, False), (None, False)])
def test_only_a_clock_that_the_system_vouches_for_is_synchronised(
    monkeypatch: pytest.MonkeyPatch, state: int | None, synchronised: bool
) -> None:
    monkeypatch.setattr(clock, "clock_state", lambda: state)
    assert clock.is_synchronised() is synchronised


def test_a_system_without_the_call_does_not_vouch(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_args: object, **_options: object) -> object:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", absent)
    assert clock.clock_state() is None
