# SPDX-License-Identifier: Apache-2.0
"""Places in a timeline as people name them."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import NOW

from gatebook.evidence.replay import Item
from gatebook.evidence.timeline import (
    PlaceFault,
    Point,
    cut_points,
    find_mark,
    number_points,
    parse_place,
    show_elapsed,
)


def at(text: str, start: datetime = NOW) -> datetime | None:
    return find_mark(parse_place(text), start, dict).at


@pytest.mark.parametrize(
    ("text", "seconds"), [("+7", 7), ("+1:30", 90), ("+01:02:03.5", 3723.5), ("+0", 0), ("+90:00", 5400)]
)
def test_takes_time_since_the_start(text: str, seconds: float) -> None:
    assert at(text) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12:00", datetime(2026, 1, 1, 12, 0, tzinfo=UTC)),
        ("12:30:15", datetime(2026, 1, 1, 12, 30, 15, tzinfo=UTC)),
        ("11:59", datetime(2026, 1, 2, 11, 59, tzinfo=UTC)),
        ("2026-01-01T13:00:00+01:00", NOW),
        ("2026-01-01 12:00", NOW),
    ],
)
def test_takes_time_of_the_clock_from_the_start_on(text: str, expected: datetime) -> None:
    assert at(text) == expected


def test_the_second_and_the_minute_in_which_it_starts_are_no_day_later() -> None:
    start = NOW + timedelta(seconds=30, microseconds=900)
    assert at("12:00:30", start) == NOW + timedelta(seconds=30)
    assert at("12:00", start) == NOW
    assert at("12:00:29", start) == NOW + timedelta(days=1, seconds=29)


@pytest.mark.parametrize(
    "text", ["", "x", "+", "+1:2:3:4", "25:00", "12:60", "12:00:61", "0", "-1", "\uff11", "9" * 20]
)
def test_refuses_what_is_no_place(text: str) -> None:
    with pytest.raises(PlaceFault, match="is no place in a session"):
        parse_place(text)


@given(st.text(max_size=40))
def test_raises_one_class_whatever_is_given(text: str) -> None:
    with contextlib.suppress(PlaceFault):
        find_mark(parse_place(text), NOW, dict)


def test_takes_the_number_of_an_operation() -> None:
    assert find_mark(parse_place("2"), NOW, lambda: {2: 70}).offset == 70
    with pytest.raises(PlaceFault, match="the book has no operation 3"):
        find_mark(parse_place("3"), NOW, lambda: {2: 70})


def item(seconds: float, direction: str = ">", kind: str = "query", offset: int = 0) -> Item:
    return Item(NOW + timedelta(seconds=seconds), direction, kind, offset=offset)


ITEMS = [
    item(0),
    item(1, "<", "done", 5),
    item(2, ">", "query", 10),
    item(2, ">", "copy in", 12),
    item(9, "<", "done", 15),
    item(10, ">", "end", 20),
]


@pytest.mark.parametrize(
    ("begin", "end", "numbers"),
    [
        (None, None, [1, 2, 3, 4, 5, 6]),
        ("2", None, [3, 4, 5, 6]),
        (None, "1", [1, 2]),
        ("2", "2", [3, 4, 5]),
        ("+1", "+2", [2, 3, 4]),
        ("+11", None, []),
    ],
)
def test_cuts(begin: str | None, end: str | None, numbers: list[int]) -> None:
    def offsets() -> Mapping[int, int]:
        return {1: 0, 2: 10}

    places = [None if text is None else parse_place(text) for text in (begin, end)]
    assert [point.number for point in cut_points(number_points(ITEMS), places[0], places[1], offsets)] == numbers


def test_cuts_nothing_out_of_nothing() -> None:
    assert list(cut_points(iter(()), parse_place("9"), None, dict)) == []


def test_time_never_goes_back() -> None:
    points = list(number_points([item(5), item(3), item(6)]))
    assert [point.elapsed for point in points] == [timedelta(0), timedelta(0), timedelta(seconds=1)]
    assert points[1] == Point(2, timedelta(0), item(3))


@pytest.mark.parametrize(
    ("elapsed", "digits", "shown"),
    [
        (timedelta(seconds=61, microseconds=1500), 3, "+01:01.001"),
        (timedelta(hours=30), 0, "+30:00:00"),
        (timedelta(microseconds=1), 6, "+00:00.000001"),
    ],
)
def test_shows_time_since_the_start(elapsed: timedelta, digits: int, shown: str) -> None:
    assert show_elapsed(elapsed, digits) == shown
