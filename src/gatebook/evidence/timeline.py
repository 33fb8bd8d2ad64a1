# SPDX-License-Identifier: Apache-2.0
"""Places in a timeline as people name them: time since its start, time of the clock, or the number of an operation.

Text forms: `+SS`, `+MM:SS`, `+HH:MM:SS` (with a fraction if need be); `HH:MM` or `HH:MM:SS` in UTC, which is the first
such time from the session's start on; an RFC 3339 time; a number from 1. Anything else raises PlaceFault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Protocol

from gatebook.evidence.recording import FROM_CLIENT
from gatebook.evidence.replay import Item
from gatebook.model.errors import OperatorFault, quoted

BEGINNINGS = frozenset({"start", "query", "prepare", "execute", "function", "end"})
"""Kinds of items with which a client begins something; what comes behind one belongs to it."""

_ELAPSED = re.compile(r"\+(?:(?:(\d{1,4}):)?(\d{1,4}):)?(\d{1,6}(?:\.\d{1,6})?)", re.ASCII)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)
_NUMBER = re.compile(r"[1-9]\d{0,14}", re.ASCII)


class PlaceFault(OperatorFault):
    """What was given names no place, or none in this session."""

    code = "place"


@dataclass(frozen=True, slots=True)
class Point:
    """An item of a timeline: its number from 1, and the time since the first; times never go back."""

    number: int
    elapsed: timedelta
    item: Item


@dataclass(frozen=True, slots=True)
class Place:
    """A place as it was given; one of the members is set."""

    text: str
    elapsed: timedelta | None = None
    clock: tuple[int, int, int | None] | None = None
    moment: datetime | None = None
    operation: int = 0


class Placed(Protocol):
    """What stands somewhere in a recording: an item, or what a player keeps of it."""

    @property
    def at(self) -> datetime:
        """When it was complete."""

    @property
    def direction(self) -> str:
        """`>` from the client, `<` to it."""

    @property
    def offset(self) -> int:
        """Bytes recorded before it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a certain session: a moment, or the offset in the recording at which an operation begins."""

    at: datetime | None = None
    offset: int = 0

    def is_reached(self, item: Placed) -> bool:
        """Whether the item is at the place or behind it."""
        if self.at is not None:
            return item.at >= self.at
        return item.direction == FROM_CLIENT and item.offset >= self.offset

    def is_passed(self, item: Item) -> bool:
        """Whether the item is behind the place, and behind what belongs to an operation that begins there."""
        if self.at is not None:
            return item.at > self.at
        return item.direction == FROM_CLIENT and item.kind in BEGINNINGS and item.offset > self.offset


Offsets = Callable[[], Mapping[int, int]]
"""Returns the offset of each operation of the session by its number; called only where one is asked for."""


def parse_place(text: str) -> Place:
    """Return a place from its text form. PlaceFault if it is none."""
    if match := _ELAPSED.fullmatch(text):
        hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return Place(text, elapsed=timedelta(hours=hours, minutes=minutes, seconds=seconds))
    if match := _CLOCK.fullmatch(text):
        hour, minute, second = (int(part) if part else None for part in match.groups())
        if hour is not None and hour < 24 and minute is not None and minute < 60 and (second or 0) < 60:
            return Place(text, clock=(hour, minute, second))
    elif _NUMBER.fullmatch(text):
        return Place(text, operation=int(text))
    else:
        try:
            moment = datetime.fromisoformat(text)
            return Place(text, moment=moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC))
        except ValueError:
            pass
    raise PlaceFault(
        f"{quoted(text)} is no place in a session", "write `+MM:SS`, `HH:MM:SS` (UTC) or the number of an operation"
    )


def find_mark(place: Place, start: datetime, offsets: Offsets) -> Mark:
    """Return where a place is in a session that starts at `start`. PlaceFault if it has no such operation."""
    if place.elapsed is not None:
        return Mark(start + place.elapsed)
    if place.moment is not None:
        return Mark(place.moment)
    if place.clock is not None:
        hour, minute, second = place.clock
        moment = start.replace(hour=hour, minute=minute, second=second or 0, microsecond=0)
        covers = timedelta(minutes=1) if second is None else timedelta(seconds=1)
        return Mark(moment if moment + covers > start else moment + timedelta(days=1))
    offset = offsets().get(place.operation)
    if offset is None:
        raise PlaceFault(
            f"the book has no operation {place.operation} of this session", "see `gatebook sessions show SESSION`"
        )
    return Mark(offset=offset)


def number_points(items: Iterable[Item]) -> Iterator[Point]:
    """Yield the items with their number and the time since the first."""
    start = latest = None
    for number, item in enumerate(items, 1):
        start = item.at if start is None else start
        latest = item.at if latest is None else max(latest, item.at)
        yield Point(number, latest - start, item)


def cut_points(points: Iterator[Point], begin: Place | None, end: Place | None, offsets: Offsets) -> Iterator[Point]:
    """Yield the points from `begin` to `end`, both included; an operation that is the end with all that belongs to it.

    PlaceFault as `find_mark`.
    """
    first = next(points, None)
    if first is None:
        return
    start = first.item.at
    begins = None if begin is None else find_mark(begin, start, offsets)
    ends = None if end is None else find_mark(end, start, offsets)
    inside = begins is None
    for point in chain((first,), points):
        if not inside and begins is not None:
            inside = begins.is_reached(point.item)
        if ends is not None and ends.is_passed(point.item):
            return
        if inside:
            yield point


def show_elapsed(elapsed: timedelta, digits: int = 3) -> str:
    """Return time since the start in the form in which it can be given: `+MM:SS.fff`, hours before it if there are."""
    micros = elapsed // timedelta(microseconds=1)
    seconds, micros = divmod(max(micros, 0), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{micros:06}"[: digits + 1] if digits else ""
    return f"+{f'{hours}:' if hours else ''}{minutes:02}:{seconds:02}{fraction}"
