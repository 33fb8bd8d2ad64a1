# SPDX-License-Identifier: Apache-2.0
"""Writes asciicast version 3, the form in which terminal sessions are handed to players. It knows nothing of protocols.

SPEC: asciinema, "asciicast v3": lines of JSON, each ended by a line feed. First a header object (`version` 3, `term`
with `cols` and `rows`), then events `[interval, code, data]`: `interval` in seconds since the event before, code `o`
output, `i` input, `m` marker, `r` resize, `x` exit status. Everything outside ASCII is an escape of JSON's: a file that
is shown raw acts on no terminal. What `o` holds a player hands to its terminal: whoever writes it answers for that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gatebook.evidence.entry import Value

MAX_TITLE = 200


@dataclass(frozen=True, slots=True)
class Header:
    """What stands in the first line. `idle_limit_s` bounds pauses where a player plays; the times stay as they are."""

    cols: int
    rows: int
    started_at: datetime
    title: str = ""
    idle_limit_s: float | None = None
    tags: tuple[str, ...] = field(default=())


class AsciicastWriter:
    """Makes the lines of one file: `header` once, then events in the order of their times."""

    def __init__(self, header: Header) -> None:
        self._header = header
        self._last_us = 0

    def header(self) -> bytes:
        """Return the first line; its `timestamp` has whole seconds, the first interval counts from `started_at`."""
        header = self._header
        members: dict[str, object] = {
            "version": 3,
            "term": {"cols": header.cols, "rows": header.rows},
            "timestamp": int(header.started_at.timestamp()),
        }
        if header.idle_limit_s is not None:
            members["idle_time_limit"] = header.idle_limit_s
        if header.title:
            members["title"] = header.title[:MAX_TITLE]
        if header.tags:
            members["tags"] = list(header.tags)
        return _line(members)

    def output(self, at: datetime, text: str) -> bytes:
        """Return the event that the terminal shows text; it wants a carriage return before each line feed."""
        return self._event(at, "o", text)

    def input(self, at: datetime, text: str) -> bytes:
        """Return the event that keys were pressed."""
        return self._event(at, "i", text)

    def marker(self, at: datetime, label: str) -> bytes:
        """Return a place to which players jump."""
        return self._event(at, "m", label)

    def resize(self, at: datetime, cols: int, rows: int) -> bytes:
        """Return the event that the terminal has another size."""
        return self._event(at, "r", f"{cols}x{rows}")

    def exit(self, at: datetime, status: int) -> bytes:
        """Return the last event: the status with which what ran ended."""
        return self._event(at, "x", str(status))

    def _event(self, at: datetime, code: str, data: str) -> bytes:
        # Intervals come from whole microseconds since the start, so that roundings do not add up; none is negative.
        now_us = max((at - self._header.started_at) // timedelta(microseconds=1), self._last_us)
        interval = (now_us - self._last_us) / 1_000_000
        self._last_us = now_us
        return _line([interval, code, data])


def _line(value: dict[str, object] | list[Value | float]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
