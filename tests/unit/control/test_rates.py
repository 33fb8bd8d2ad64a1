# SPDX-License-Identifier: Apache-2.0
"""Buckets: so many at once, then steadily, each name for itself, and no more names than a bound."""

from __future__ import annotations

import pytest

from gatebook.control import rates
from gatebook.control.rates import Rates


def test_so_many_come_at_once_and_then_one_each_second() -> None:
    made = Rates(60)
    assert [made.take("a", 0.0) for _ in range(60)] == [0.0] * 60
    assert made.take("a", 0.0) == 1.0
    assert made.take("b", 0.0) == 0.0
    assert made.take("a", 0.5) == 0.5
    assert made.take("a", 1.0) == 0.0
    assert made.take("a", 1.0) == 1.0


def test_a_bucket_is_never_fuller_than_at_first_and_a_clock_that_stands_adds_nothing() -> None:
    made = Rates(2)
    assert [made.take("a", 1e6), made.take("a", 1e6)] == [0.0, 0.0]
    assert made.take("a", 5.0) == 30.0


def test_who_was_not_seen_for_long_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "NAMES", 2)
    made = Rates(1)
    assert made.take("a", 0.0) == 0.0
    assert made.take("a", 0.0) == 60.0
    made.take("b", 0.0)
    made.take("c", 0.0)
    assert made.take("a", 0.0) == 0.0
