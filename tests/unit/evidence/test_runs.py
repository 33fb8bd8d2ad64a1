# SPDX-License-Identifier: Apache-2.0
"""Runs and signs of life: what is open because a gate lives is no gap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from support.evidence import NOW, leaf

from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.runs import Runs, Unsynchronised

INTERVAL_S = 60
START = ("gateway.start", {"version": "0", "policy": "p", "config": "c"})
STOP = ("gateway.stop", {"cause": "told to stop", "sessions": 0})
Told = tuple[str, Mapping[str, Any]]
Event = tuple[float, Told]


def beat(entries: int = 0, clock: str = "synchronised") -> Told:
    return ("heartbeat", {"sessions": 0, "journal": entries, "clock": clock})


def after(*events: Event, counted: bool = True) -> tuple[Runs, list[Finding]]:
    """Follow events at seconds after noon."""
    runs = Runs("gate", INTERVAL_S)
    return runs, list(_followed(runs, events, counted=counted))


def _followed(runs: Runs, events: Iterable[Event], *, counted: bool) -> Iterable[Finding]:
    for seconds, (event, members) in events:
        yield from runs.add(decode_leaf(leaf(event, **members)), NOW + timedelta(seconds=seconds), counted=counted)


def finish(runs: Runs, seconds: float, *, lives: bool) -> list[str]:
    return [one.name for one in runs.finish(NOW + timedelta(seconds=seconds), writer_lives=lives)]


def test_a_run_with_start_heartbeats_and_stop_is_whole() -> None:
    runs, found = after((0, START), (60, beat()), (121, beat()), (130, STOP))
    assert (found, runs.longest_gap_s, runs.began) == ([], 61.0, None)
    assert finish(runs, 10**6, lives=False) == []


def test_a_run_that_is_open_is_no_gap_while_its_writer_lives() -> None:
    runs, _ = after((0, START), (60, beat()))
    assert finish(runs, 100, lives=True) == []
    assert runs.began == NOW


def test_a_run_that_is_open_is_one_when_nobody_lives() -> None:
    runs, _ = after((0, START), (60, beat()))
    (found,) = runs.finish(NOW, writer_lives=False)
    assert (found.name, found.accounted) == ("run_without_stop", False)
    assert "the run of 2026-01-01 12:00:00Z has no stop" in found.words


def test_a_restart_without_stop_is_told_and_accounted_for() -> None:
    runs, (found,) = after((0, START), (60, beat()), (100, START), (160, beat()), (170, STOP))
    assert (found.name, found.subject, found.accounted) == ("run_without_stop", "gate", True)
    assert runs.longest_gap_s == 60, "from the end of a run to the next nobody was to live"


@pytest.mark.parametrize(("gap", "found"), [(130, []), (131, ["heartbeat_gap"])])
def test_a_silence_of_more_than_two_intervals_is_a_gap(gap: float, found: list[str]) -> None:
    assert [one.name for one in after((0, START), (gap, beat()))[1]] == found
    assert [one.name for one in after((0, START), (gap, STOP))[1]] == found
    assert finish(after((0, START))[0], gap, lives=True) == found


def test_a_writer_without_heartbeats_is_never_silent() -> None:
    notary = ("notary.start", {"origin": "o", "key": "k", "size": 0, "version": "0"})
    runs, found = after((0, notary), (10**6, ("notary.stop", {"cause": "x", "size": 1})))
    assert (found, runs.longest_gap_s) == ([], 0.0)
    assert finish(after((0, notary))[0], 10**6, lives=True) == []


def test_a_clock_that_goes_back_is_no_silence() -> None:
    assert after((0, START), (-500, beat()), (-440, beat()))[1] == []


@pytest.mark.parametrize(("told", "found"), [(0, []), (1, []), (2, ["entries_missing"]), (99, ["entries_missing"])])
def test_a_heartbeat_that_counted_more_entries_than_there_are_tells_it(told: int, found: list[str]) -> None:
    assert [one.name for one in after((0, START), (60, beat(told)))[1]] == found


def test_times_without_a_synchronised_clock_are_told() -> None:
    unknown = beat(clock="unknown")
    runs, _ = after((0, START), (60, unknown), (120, unknown), (180, beat()), (240, unknown))
    assert runs.clock == [
        Unsynchronised(NOW + timedelta(seconds=60), NOW + timedelta(seconds=120), 2),
        Unsynchronised(NOW + timedelta(seconds=240), NOW + timedelta(seconds=240), 1),
    ]


def test_they_are_bounded() -> None:
    flapping = [(60.0 * number, beat(clock="unknown" if number % 2 else "synchronised")) for number in range(1000)]
    assert len(after((0, START), *flapping)[0].clock) == 100


def test_what_is_not_counted_is_checked_all_the_same() -> None:
    runs, found = after((0, START), (500, beat(clock="unknown")), counted=False)
    assert [one.name for one in found] == ["heartbeat_gap"]
    assert (runs.longest_gap_s, runs.clock) == (0.0, [])
