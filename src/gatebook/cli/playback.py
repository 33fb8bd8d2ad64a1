# SPDX-License-Identifier: Apache-2.0
"""The player's state: where it is, how fast it goes, what a key does. It draws nothing and reads no clock.

`shown` items of the timeline are on the screen; time goes along an axis on which pauses are shortened to `max_pause_s`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.harmless import harmless
from gatebook.evidence.render import render
from gatebook.evidence.timeline import Offsets, PlaceFault, Point, find_mark, parse_place, show_elapsed

SPEEDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 500.0, 1000.0)
MAX_ITEMS = 200_000  # LIMIT: held in memory; more is for --from and --until
MAX_CHARACTERS = 64 << 20
MAX_TYPED = 200
_STEPS = {"right": 1, "n": 1, "left": -1, "p": -1, "home": -MAX_ITEMS, "end": MAX_ITEMS}
_SCROLLS = {"up": 1, "page up": 10, "down": -1, "page down": -10}
HELP = "space pause  + - speed  left right n p step  up down scroll  g place  / search  home end  q quit"


@dataclass(frozen=True, slots=True)
class Shown:
    """An item as it is shown, and what is needed of it to find it."""

    number: int
    elapsed: timedelta
    at: datetime
    direction: str
    kind: str
    offset: int
    lines: tuple[str, ...]


@dataclass(slots=True)
class Playback:
    """What the player is at. `typing` is `g` or `/` while a place or words are typed.

    The timeline is read from `source` while it is played, since a long one takes a while. `is_read` once there is no
    more to be had of it: `is_whole` at its end; `fault` where the recording is damaged; neither where it is too long.
    """

    source: Iterator[Point]
    offsets: Offsets
    speed: float = 1.0
    max_pause_s: float | None = None
    most: int = MAX_ITEMS
    items: list[Shown] = field(default_factory=list)
    marks: list[float] = field(default_factory=list)
    is_read: bool = False
    is_whole: bool = False
    fault: EvidenceFault | None = None
    shown: int = 0
    clock_s: float = 0.0
    is_playing: bool = True
    is_over: bool = False
    scrolled: int = 0
    typing: str = ""
    typed: str = ""
    words: str = ""
    message: str = ""
    _characters: int = 0

    def read(self, count: int = MAX_ITEMS + 1) -> None:
        """Read so many items more, as far as there are any and they can be held."""
        for _ in range(count):
            if self.is_read:
                return
            try:
                point = next(self.source, None)
            except EvidenceFault as fault:
                self.is_read, self.fault = True, fault
                self.message = f"it cannot be read further: {harmless(fault.message)}"
                return
            if point is None:
                self.is_read = self.is_whole = True
            elif len(self.items) >= self.most or self._characters > MAX_CHARACTERS:
                self.is_read = True
                self.message = "what comes is more than can be held: see it with --from"
            else:
                self._add(point)

    @property
    def elapsed(self) -> timedelta:
        """Time in the session of the last item that is shown."""
        return self.items[self.shown - 1].elapsed if self.shown else timedelta(0)

    @property
    def wait_s(self) -> float | None:
        """Seconds until the next item is due; None while nothing is."""
        if not self.is_playing or self.shown >= len(self.items):
            return None
        return max(0.0, (self.marks[self.shown] - self.clock_s) / self.speed)

    def advance(self, seconds: float) -> bool:
        """Let time pass; whether there is something new to see."""
        if not self.is_playing:
            return False
        self.clock_s += seconds * self.speed
        shown = max(self.shown, bisect_right(self.marks, self.clock_s))
        is_new = shown != self.shown
        self.shown = shown
        if shown >= len(self.items) and self.is_read:
            self.is_playing = False
            is_new = True
        return is_new

    def press(self, key: str) -> None:
        """Do what a key means."""
        if self.typing:
            self._type(key)
            return
        self.message = ""
        match key:
            case "q":
                self.is_over = True
            case " ":
                if self.shown >= len(self.items) and not self.is_playing:
                    self._show(0)
                self.is_playing = not self.is_playing
            case "+" | "=":
                self.speed = next((speed for speed in SPEEDS if speed > self.speed), self.speed)
            case "-" | "_":
                self.speed = next((speed for speed in reversed(SPEEDS) if speed < self.speed), self.speed)
            case _ if key in _STEPS:
                if key == "end":
                    self.read()
                self._step(_STEPS[key])
            case _ if key in _SCROLLS:
                self.scrolled = max(0, self.scrolled + _SCROLLS[key])
            case "g" | "/":
                self.typing, self.typed = key, ""
            case "h" | "?":
                self.message = HELP
            case _:
                pass

    def go_to(self, text: str) -> None:
        """Show everything up to a place; `message` says so where there is no such place."""
        try:
            self.read(1)
            mark = find_mark(parse_place(text), self.items[0].at, self.offsets)
        except PlaceFault as fault:
            self.message = harmless(fault.message)
            return
        self.read()
        index = next((index for index, item in enumerate(self.items) if mark.is_reached(item)), None)
        if index is None:
            self.message = "that is behind the end"
            index = len(self.items) - 1
        self._show(index + 1)

    def search(self, words: str) -> None:
        """Show everything up to the next item that holds the words, beyond the end from the start."""
        self.words = words or self.words
        wanted = self.words.casefold()
        if not wanted:
            return
        self.read()
        count = len(self.items)
        for index in (*range(self.shown, count), *range(min(self.shown, count))):
            if any(wanted in line.casefold() for line in self.items[index].lines):
                self.message = f"found in item {index + 1}; / and enter for the next"
                self.is_playing = False
                self._show(index + 1)
                return
        self.message = "not found in what is shown; `--find` searches all"

    def _type(self, key: str) -> None:
        match key:
            case "escape":
                self.typing = ""
            case "enter":
                typing, self.typing = self.typing, ""
                if typing == "/":
                    self.search(self.typed)
                elif self.typed:
                    self.go_to(self.typed)
            case "backspace":
                self.typed = self.typed[:-1]
            case _ if len(key) == 1 and len(self.typed) < MAX_TYPED:
                self.typed += key
            case _:
                pass

    def _add(self, point: Point) -> None:
        item = point.item
        lines = tuple(harmless(line) for line in render(item))
        pause = (point.elapsed - self.items[-1].elapsed).total_seconds() if self.items else 0.0
        if self.max_pause_s is not None:
            pause = min(pause, self.max_pause_s)
        self.marks.append((self.marks[-1] if self.marks else 0.0) + pause)
        self.items.append(Shown(point.number, point.elapsed, item.at, item.direction, item.kind, item.offset, lines))
        self._characters += sum(map(len, lines))

    def _step(self, by: int) -> None:
        self.is_playing = False
        self._show(min(max(self.shown + by, 1), len(self.items)))

    def _show(self, count: int) -> None:
        self.shown = count
        self.clock_s = self.marks[count - 1] if count else 0.0
        self.scrolled = 0


def status_line(playback: Playback, width: int) -> str:
    """Return what the player is at, in so many columns: state, bar, times, speed, item."""
    if playback.typing:
        ask = "go to (+MM:SS, HH:MM:SS, operation): " if playback.typing == "g" else "search: "
        return f"{ask}{playback.typed}_"[-width:]
    if playback.message:
        return playback.message[:width]
    total = playback.items[-1].elapsed if playback.items else timedelta(0)
    is_done = playback.shown >= len(playback.items)
    state = "playing" if playback.is_playing else "at end" if is_done else "paused"
    end = f"{show_elapsed(total, 0)}{'' if playback.is_whole else ' or more'}"
    moment = f"{playback.items[playback.shown - 1].at:%H:%M:%S}Z" if playback.shown else ""
    words = f" {show_elapsed(playback.elapsed, 0)} of {end}  {playback.speed:g}x  {moment}"
    words += f"  item {playback.shown} of {len(playback.items)}{'' if playback.is_whole else '+'}  h help"
    room = min(40, width - len(state) - len(words) - 3)
    bar = ""
    if room >= 5:
        filled = room if not total else round(room * (playback.elapsed / total))
        bar = f" [{'=' * filled}{'-' * (room - filled)}]"
    return f"{state}{bar}{words}"[:width]
