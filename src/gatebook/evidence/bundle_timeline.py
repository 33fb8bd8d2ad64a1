# SPDX-License-Identifier: Apache-2.0
"""The picture of time in a bundle's page: a bar for each session, a mark for each operation, as SVG within the page.

A refused operation is a cross, a failed one a circle, and one that people were asked about has a dot, beside the
colour. Nothing that a peer wrote is in it but
session ids, escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from html import escape

from gatebook.evidence.bundle_story import ToldOperation, ToldSession
from gatebook.evidence.harmless import harmless

MAX_ROWS = 100
MAX_MARKS = 300  # of a session
WIDTH, LEFT, RIGHT, ROW, TOP = 1100, 190, 20, 22, 30
MAX_LABEL = 26

_LEGEND = "bar: session; line: ran; cross: refused; circle: ended with an error; dot: people were asked"


def draw_timeline(sessions: Sequence[ToldSession]) -> str:
    """Return the picture; nothing where there are no sessions."""
    shown = sessions[:MAX_ROWS]
    if not shown:
        return ""
    begin = min(session.summary.started_at for session in shown)
    end = max(_end_of(session) for session in shown)
    scale = _Scale(begin, max(end - begin, timedelta(microseconds=1)))
    height = TOP + ROW * len(shown) + 30
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Timeline: {_LEGEND}">\n',
        f'<text x="{LEFT}" y="18">{begin:%Y-%m-%d %H:%M:%S} UTC</text>\n',
        f'<text x="{WIDTH - RIGHT}" y="18" text-anchor="end">{end:%Y-%m-%d %H:%M:%S} UTC</text>\n',
    ]
    for row, session in enumerate(shown):
        parts += _row(scale, TOP + ROW * row, session)
    left_out = len(sessions) - len(shown)
    more = f"; {left_out:,} sessions more are below" if left_out else ""
    parts += [f'<text x="{LEFT}" y="{height - 10}">{_LEGEND}{more}</text>\n', "</svg>\n"]
    return "".join(parts)


class _Scale:
    """Maps moments to places from left to right."""

    def __init__(self, begin: datetime, span: timedelta) -> None:
        self._begin = begin
        self._span = span

    def x(self, at: datetime) -> float:
        """Return the place of a moment, within the picture whatever the moment is."""
        part = (at - self._begin) / self._span
        return round(LEFT + min(max(part, 0.0), 1.0) * (WIDTH - LEFT - RIGHT), 1)


def _row(scale: _Scale, top: int, session: ToldSession) -> Iterator[str]:
    label = escape(harmless(session.summary.id)[:MAX_LABEL])
    begin, end = scale.x(session.summary.started_at), scale.x(_end_of(session))
    yield f'<text x="8" y="{top + 12}">{label}</text>\n'
    yield f'<rect x="{begin}" y="{top + 4}" width="{max(end - begin, 2):.1f}" height="8" fill="#c9d6e8"/>\n'
    for operation in session.operations[:MAX_MARKS]:
        yield _mark(scale.x(operation.summary.at), top, operation)


def _mark(x: float, top: int, operation: ToldOperation) -> str:
    dot = f'<circle cx="{x}" cy="{top + 17}" r="2" fill="#1d4f91"/>\n' if operation.approval else ""
    return _shape(x, top, operation) + dot


def _shape(x: float, top: int, operation: ToldOperation) -> str:
    if operation.summary.result == "refuse":
        way = f"M{x - 4} {top + 4}l8 8m0 -8l-8 8"
        return f'<path d="{way}" stroke="#9b1c1c" stroke-width="2" fill="none"/>\n'
    if operation.summary.status == "error":
        return f'<circle cx="{x}" cy="{top + 8}" r="4" fill="none" stroke="#a15c00" stroke-width="2"/>\n'
    return f'<path d="M{x} {top + 2}v12" stroke="#1d4f91"/>\n'


def _end_of(session: ToldSession) -> datetime:
    """Return when a session was last heard of."""
    moments = [operation.summary.at for operation in session.operations]
    return max([session.summary.started_at, session.summary.ended_at or session.summary.started_at, *moments])
