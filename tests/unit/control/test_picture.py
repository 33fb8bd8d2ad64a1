# SPDX-License-Identifier: Apache-2.0
"""Pictures of sessions: lanes that carry the meaning, marks inside, nothing of a peer's taken as markup."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from gatebook.control import picture
from gatebook.control.picture import draw, lane_of
from gatebook.evidence.sessions import OperationSummary
from gatebook.vault.book import Operation

BEGIN = datetime(2026, 11, 25, 12, tzinfo=UTC)


def operation(
    number: int, second: float, *, result: str = "allow", status: str = "done", took_us: int = 1000
) -> Operation:
    at = BEGIN + timedelta(seconds=second)
    made = OperationSummary(f"s.{number}", number, at, "query", "SELECT", "SELECT '<script>'", [], result, [], [])
    made.status, made.duration_us = status, took_us
    return Operation(made)


def test_each_operation_stands_in_the_lane_of_what_came_of_it() -> None:
    found = [
        lane_of(operation(1, 0, result=result, status=status).summary)
        for result, status in (("allow", "done"), ("allow", ""), ("allow", "error"), ("refuse", ""), ("held", ""))
    ]
    assert found == ["ran", "ran", "failed", "refused", "held"]


def test_what_waited_for_people_is_drawn_with_its_wait_and_with_what_came_of_it() -> None:
    granted, waiting = operation(1, 5), operation(2, 8, result="held")
    granted.summary.held_at, waiting.summary.held_at = BEGIN + timedelta(seconds=1), BEGIN + timedelta(seconds=8)
    drawn = str(draw([granted, waiting], BEGIN, BEGIN + timedelta(seconds=10)))
    found = re.findall(r'class="mark (\w+)" x="([\d.]+)" y="\d+" width="([\d.]+)"', drawn)
    assert found == [("ran", "545.0", "3.0"), ("held", "181.0", "364.0"), ("held", "818.0", "182.0")]


def test_the_picture_is_well_formed_and_tells_its_counts_in_words() -> None:
    drawn = str(draw([operation(1, 1), operation(2, 5, result="refuse")], BEGIN, BEGIN + timedelta(seconds=10)))
    root = ET.fromstring(drawn)
    assert root.attrib["aria-label"] == "operations over time: 1 ran, 1 refused"
    assert "<script>" not in drawn
    assert "style=" not in drawn


@pytest.mark.parametrize("second", [-5.0, 0.0, 9.9, 10.0, 99.0])
def test_marks_stay_inside_their_picture(second: float) -> None:
    drawn = str(draw([operation(1, second, took_us=60_000_000)], BEGIN, BEGIN + timedelta(seconds=10)))
    ((x, width),) = re.findall(r'class="mark ran" x="([\d.]+)" y="\d+" width="([\d.]+)"', drawn)
    assert float(x) >= picture.LEFT
    assert float(x) + float(width) <= picture.WIDTH + picture.LEAST


def test_a_session_without_length_has_a_picture() -> None:
    assert "refused" in str(draw([], BEGIN, BEGIN))


def test_no_more_marks_are_drawn_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "DRAWN", 10)
    many = [operation(number, number) for number in range(95)]
    assert str(draw(many, BEGIN, BEGIN + timedelta(seconds=95))).count("<rect") == 10
