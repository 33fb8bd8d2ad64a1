# SPDX-License-Identifier: Apache-2.0
"""The runs of a gate or notary, and its signs of life: starts, stops, heartbeats, and what they say of the clock.

Fed with every leaf of one writer in order. While a run is open and its writer lives, nothing is missing; a run that
nobody ended, a silence longer than two intervals, and a heartbeat that counted more entries than there are, is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import Leaf

SLACK_S = 10.0  # how late a heartbeat may be beyond a second interval: a machine under load
MAX_CLOCK = 100  # LIMIT: times without a synchronised clock that are named, the newest

_BEGINS = frozenset({"gateway.start", "notary.start"})
_ENDS = frozenset({"gateway.stop", "notary.stop"})


@dataclass(frozen=True, slots=True)
class Unsynchronised:
    """From the first to the last of heartbeats in a row that did not know the clock to be synchronised."""

    begin: datetime
    end: datetime
    heartbeats: int


@dataclass(slots=True)
class Runs:
    """Follows the runs of one writer. `began` is the start of the run that is open, None where there is none."""

    writer: str
    heartbeat_s: int
    began: datetime | None = None
    longest_gap_s: float = 0.0
    clock: list[Unsynchronised] = field(default_factory=list)
    _number: int = 0
    _sign: datetime | None = None
    _has_heartbeats: bool = False
    _is_unknown: bool = False

    def add(self, leaf: Leaf, at: datetime, *, counted: bool) -> Iterator[Finding]:
        """Take the next leaf and yield what is wrong; only what is `counted` enters the longest gap and the clock."""
        self._number += 1
        event = leaf["event"]
        if event in _BEGINS:
            yield from self._begin(at)
            self._has_heartbeats = event == "gateway.start"
        elif event in _ENDS:
            yield from self._silence(at, counted=counted)
            self.began = self._sign = None
        elif event == "heartbeat":
            yield from self._silence(at, counted=counted)
            self._sign = at
            yield from self._compare(leaf, at)
            if counted:
                self._follow_clock(leaf, at)

    def finish(self, now: datetime, *, writer_lives: bool) -> Iterator[Finding]:
        """Yield what is wrong at the end: of a run that is open, whether its writer lives and is heard."""
        if writer_lives:
            yield from self._silence(now, counted=True)
        elif self.began is not None:
            words = f"the run of {_told(self.began)} has no stop, and no process lives that could write one"
            yield Finding("run_without_stop", self.writer, words)

    def _begin(self, at: datetime) -> Iterator[Finding]:
        if self.began is not None:
            words = f"the run of {_told(self.began)} did not stop; the next began {_told(at)}"
            yield Finding("run_without_stop", self.writer, words, accounted=True)
        self.began = self._sign = at

    def _silence(self, at: datetime, *, counted: bool) -> Iterator[Finding]:
        if self._sign is None or not self._has_heartbeats:
            return
        gap_s = (at - self._sign).total_seconds()
        if counted:
            self.longest_gap_s = max(self.longest_gap_s, gap_s)
        if gap_s > 2 * self.heartbeat_s + SLACK_S:
            words = (
                f"no heartbeat for {gap_s:,.0f} s from {_told(self._sign)} on; one is due every {self.heartbeat_s} s"
            )
            yield Finding("heartbeat_gap", self.writer, words)

    def _compare(self, leaf: Leaf, at: datetime) -> Iterator[Finding]:
        told = leaf["journal"]
        if isinstance(told, int) and told >= self._number:
            words = (
                f"the heartbeat of {_told(at)} counted {told:,} entries before it, and there are {self._number - 1:,}"
            )
            yield Finding("entries_missing", self.writer, words)

    def _follow_clock(self, leaf: Leaf, at: datetime) -> None:
        was, self._is_unknown = self._is_unknown, leaf["clock"] != "synchronised"
        if not self._is_unknown:
            return
        if was:
            newest = self.clock[-1]
            self.clock[-1] = Unsynchronised(newest.begin, at, newest.heartbeats + 1)
        else:
            self.clock = [*self.clock[-MAX_CLOCK + 1 :], Unsynchronised(at, at, 1)]


def _told(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"
