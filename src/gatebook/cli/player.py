# SPDX-License-Identifier: Apache-2.0
"""The player on a terminal: draws what is shown and the status line, waits for keys and for what is due."""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from gatebook.cli.keyboard import Terminal, taken
from gatebook.cli.output import say
from gatebook.cli.playback import Playback, status_line
from gatebook.evidence.harmless import harmless
from gatebook.evidence.render import width_of

if TYPE_CHECKING:
    from gatebook.evidence.timeline import Offsets, Place, Point

TICK_S = 0.25  # how often the time in the status line is drawn anew
READ_S = 0.1
MIN_TICK_S = 0.01


def play(
    points: Iterator[Point], offsets: Offsets, *, begin: Place | None, speed: float, max_pause_s: float | None
) -> None:
    """Play a timeline on the terminal of standard input and output until it is quit.

    What `points` raises comes at the end, once the terminal is given back; what could be read is played.
    """
    playback = Playback(points, offsets, speed, max_pause_s)
    playback.read(1)
    if playback.items:
        if begin is not None:
            playback.go_to(begin.text)
        sys.stdout.flush()
        with taken(sys.stdin.fileno(), sys.stdout.fileno()) as terminal:
            _loop(playback, terminal)
    elif playback.fault is None:
        say("the recording holds nothing")
    if playback.fault is not None:
        raise playback.fault


def _loop(playback: Playback, terminal: Terminal) -> None:
    before = time.monotonic()
    playback.advance(0.0)
    terminal.draw(draw(playback, *terminal.size))
    while not playback.is_over:
        due = playback.wait_s
        wait = TICK_S if due is None else min(max(due, MIN_TICK_S), TICK_S)
        keys = terminal.read_keys(wait if playback.is_read else 0)
        _read_on(playback, min(wait, READ_S))
        moment = time.monotonic()
        is_new = playback.advance(moment - before)
        before = moment
        for key in keys:
            playback.press(key)
        if keys or is_new or terminal.is_resized or playback.is_playing:
            terminal.is_resized = False
            terminal.draw(draw(playback, *terminal.size))


def _read_on(playback: Playback, seconds: float) -> None:
    """Read what comes for so long: keys and what is due are not to wait longer."""
    until = time.monotonic() + seconds
    while not playback.is_read and time.monotonic() < until:
        playback.read(1)


def draw(playback: Playback, cols: int, rows: int) -> bytes:
    """Return what draws the whole screen: every row is written over and cut to the width; nothing scrolls."""
    room = max(rows - 1, 1)
    lines = _visible(playback, cols, room)
    out = ["\x1b[H"]
    for row in range(room):
        colour, text = lines[row] if row < len(lines) else ("", "")
        # Made harmless where the lines were made; here again, since this is the last look before a terminal acts.
        out.append(f"\x1b[{row + 1};1H\x1b[0m{colour}{harmless(text)}\x1b[0m\x1b[K")
    out.append(f"\x1b[{rows};1H\x1b[7m{harmless(status_line(playback, cols)).ljust(cols)[:cols]}\x1b[0m")
    return "".join(out).encode("utf-8", "backslashreplace")


def _visible(playback: Playback, cols: int, room: int) -> list[tuple[str, str]]:
    """Return the last lines that fit above those scrolled away, each with its colour."""
    wanted = room + playback.scrolled
    found: list[tuple[str, str]] = []
    for index in range(playback.shown - 1, -1, -1):
        item = playback.items[index]
        colour = "\x1b[31m" if item.kind == "error" else "\x1b[36m" if item.direction == ">" else "\x1b[32m"
        own = [
            (colour if number == 0 else "", piece)
            for number, line in enumerate(item.lines)
            for piece in fold(line, cols)
        ]
        found = own + found
        if len(found) >= wanted:
            break
    playback.scrolled = min(playback.scrolled, max(0, len(found) - room))
    end = len(found) - playback.scrolled
    return found[max(0, end - room) : end]


def fold(line: str, cols: int) -> Iterator[str]:
    """Yield a line in pieces that fit in so many columns; wide characters take two."""
    piece, width = "", 0
    for ch in line:
        own = 1 if " " <= ch <= "~" else width_of(ch)
        if width + own > cols and not unicodedata.combining(ch):
            yield piece
            piece, width = "", 0
        piece += ch
        width += own
    yield piece
