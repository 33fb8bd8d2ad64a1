# SPDX-License-Identifier: Apache-2.0
"""A session as a picture: its time from left to right, and in lanes what ran, what failed, and what was refused.

The lanes carry the meaning, colours help. The picture is SVG with classes only: the style sheet gives the colours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from markupsafe import Markup

from gatebook.evidence.sessions import HELD, OperationSummary
from gatebook.evidence.timeline import show_elapsed
from gatebook.vault.book import Operation

WIDTH: Final = 1000
LEFT: Final = 90
LANE: Final = 34
TOP: Final = 8
LEAST: Final = 3.0  # what takes no time is seen all the same
DRAWN: Final = 1000  # LIMIT: operations drawn; of more, evenly taken ones of each lane
MAX_WORDS: Final = 120
LANES: Final = ("ran", HELD, "failed", "refused")

_HEAD: Final = Markup('<svg class="picture" viewBox="0 0 {} {}" role="img" aria-label="{}">')
_LANE: Final = Markup('<text class="lane" x="0" y="{}">{}</text>')
_LINE: Final = Markup('<line class="line" x1="{}" x2="{}" y1="{}" y2="{}"/>')
_MARK: Final = Markup(
    '<a href="#op-{}"><rect class="mark {}" x="{:.1f}" y="{}" width="{:.1f}" height="22" rx="2">'
    "<title>{}</title></rect></a>"
)
_AXIS: Final = Markup('<text class="axis" x="{}" y="{}" text-anchor="{}">{}</text>')


@dataclass(frozen=True, slots=True)
class _Mark:
    lane: str
    begin: float
    width: float
    words: str
    number: int


def draw(operations: Sequence[Operation], begin: datetime, end: datetime) -> Markup:
    """Return the picture of a session between two moments."""
    span = max(end - begin, timedelta(milliseconds=1))
    marks = [mark for operation in operations for mark in _marks(operation.summary, begin, end, span)]
    lanes = [lane for lane in LANES if lane in {"ran", "refused"} or any(mark.lane == lane for mark in marks)]
    height = TOP + LANE * len(lanes) + 26
    parts = [_HEAD.format(WIDTH, height, _said(marks, lanes))]
    for row, lane in enumerate(lanes):
        y = TOP + row * LANE
        parts.append(_LANE.format(y + 21, lane))
        parts.append(_LINE.format(LEFT, WIDTH, y + LANE - 3, y + LANE - 3))
        parts += [_bar(mark, y) for mark in _thinned([mark for mark in marks if mark.lane == lane])]
    parts += _axis(span, TOP + LANE * len(lanes) + 16)
    return Markup("").join([*parts, Markup("</svg>")])


def _marks(operation: OperationSummary, begin: datetime, end: datetime, span: timedelta) -> Iterator[_Mark]:
    """The marks of an operation: while it waited for people, and what came of it."""
    statement = (operation.shape or operation.verb)[:MAX_WORDS]
    lane = lane_of(operation)
    if operation.held_at is not None:
        waited = (end if lane == HELD else operation.at) - operation.held_at
        words = f"{operation.number}. {statement} (held {max(0.0, waited.total_seconds()):.0f} s)"
        yield _mark(HELD, (operation.held_at - begin) / span, waited / span, words, operation.number)
    if lane != HELD:
        length = timedelta(microseconds=operation.duration_us) / span
        words = f"{operation.number}. {statement} ({lane})"
        yield _mark(lane, (operation.at - begin) / span, length, words, operation.number)


def _mark(lane: str, at: float, length: float, words: str, number: int) -> _Mark:
    scale = WIDTH - LEFT
    x = LEFT + min(max(at, 0.0), 1.0) * scale
    return _Mark(lane, x, min(max(length * scale, LEAST), WIDTH - x + LEAST), words, number)


def lane_of(operation: OperationSummary) -> str:
    """Return in which lane an operation is."""
    if operation.result == "refuse":
        return "refused"
    if operation.result == HELD:
        return HELD
    return "ran" if operation.status in {"done", ""} else "failed"


def _bar(mark: _Mark, y: int) -> Markup:
    return _MARK.format(mark.number, mark.lane, mark.begin, y + 6, mark.width, mark.words)


def _axis(span: timedelta, y: int) -> list[Markup]:
    digits = 1 if span > timedelta(seconds=10) else 3
    middle = (LEFT + WIDTH) // 2
    places = ((LEFT, "start", timedelta(0)), (middle, "middle", span / 2), (WIDTH, "end", span))
    return [_AXIS.format(x, y, anchor, show_elapsed(at, digits)) for x, anchor, at in places]


def _thinned(marks: Sequence[_Mark]) -> Sequence[_Mark]:
    step = -(-len(marks) // DRAWN)
    return marks[::step] if step > 1 else marks


def _said(marks: Sequence[_Mark], lanes: Sequence[str]) -> str:
    counts = ", ".join(f"{sum(mark.lane == lane for mark in marks)} {lane}" for lane in lanes)
    return f"operations over time: {counts}"
