# SPDX-License-Identifier: Apache-2.0
"""A timeline as files that leave the gate: readable text, JSON Lines, and a cast for players of terminal sessions.

SPEC: docs/spec/timeline.md. Nothing that a peer sent acts on the terminal on which one of them is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain

from gatebook.evidence.asciicast import AsciicastWriter, Header
from gatebook.evidence.entry import Leaf, Value, format_time
from gatebook.evidence.harmless import harmless, harmless_json
from gatebook.evidence.recording import FROM_CLIENT
from gatebook.evidence.render import render, to_json
from gatebook.evidence.timeline import BEGINNINGS, Point, show_elapsed

VERSION = 1
COLS, ROWS = 120, 40
IDLE_LIMIT_S = 2.0
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # of a recording that holds nothing
MAX_LABEL = 80


@dataclass(frozen=True, slots=True)
class About:
    """What a file says of itself. `facts` are lines of its head, such as who and where."""

    session: str
    facts: Mapping[str, str] = field(default_factory=dict)
    operations: Mapping[int, int] = field(default_factory=dict)
    """Offset of each operation in the recording, by its number; empty where the book does not tell."""
    idle_limit_s: float = IDLE_LIMIT_S

    def numbers_at(self) -> dict[int, list[int]]:
        """Return the numbers of the operations that begin at an offset."""
        found: dict[int, list[int]] = {}
        for number, offset in sorted(self.operations.items()):
            found.setdefault(offset, []).append(number)
        return found


def write_text(about: About, points: Iterable[Point]) -> Iterator[bytes]:
    """Yield a readable file: facts, an empty line, then the timeline with the time since the start in front."""
    facts = {"session": about.session, **about.facts}
    width = max(map(len, facts))
    for name, value in facts.items():
        yield f"{name.ljust(width)}  {harmless(value)}".rstrip().encode() + b"\n"
    numbers = about.numbers_at()
    for point in points:
        yield b"\n"
        head, *rest = render(point.item)
        told = _operations(point, numbers)
        yield f"{show_elapsed(point.elapsed)}  {head}{f'  ({told})' if told else ''}\n".encode()
        for line in rest:
            yield f"{line}\n".encode()


def write_jsonl(about: About, points: Iterable[Point]) -> Iterator[bytes]:
    """Yield JSON Lines: a head, then an object for each item."""
    facts: dict[str, Value] = dict(about.facts)
    yield _json_line({"kind": "session", "v": VERSION, "session": about.session, "about": facts})
    numbers = about.numbers_at()
    for point in points:
        told: Leaf = {
            "n": point.number,
            "elapsed_us": point.elapsed // timedelta(microseconds=1),
            "offset": point.item.offset,
        }
        if found := _numbers(point, numbers):
            told["operations"] = [*found]
        yield _json_line(told | to_json(point.item))


def write_asciicast(about: About, points: Iterable[Point]) -> Iterator[bytes]:
    """Yield an asciicast v3 of the timeline as a terminal would show it; a marker where the client begins something."""
    points = iter(points)
    first = next(points, None)
    started_at = _NEVER if first is None else first.item.at
    title = f"Gatebook session {about.session}"
    writer = AsciicastWriter(Header(COLS, ROWS, started_at, title, about.idle_limit_s, ("gatebook",)))
    yield writer.header()
    if first is None:
        return
    facts = "".join(f"{name}: {harmless(value)}\r\n" for name, value in about.facts.items())
    yield writer.output(started_at, f"session: {about.session}\r\n{facts}")
    numbers = about.numbers_at()
    for point in chain((first,), points):
        at = first.item.at + point.elapsed - first.elapsed
        if point.item.direction == FROM_CLIENT and point.item.kind in BEGINNINGS:
            yield writer.marker(at, _label(point, numbers))
        lines = [_colour(point, line) if index == 0 else line for index, line in enumerate(render(point.item))]
        yield writer.output(at, "\r\n" + "".join(f"{line}\r\n" for line in lines))


FORMS: Mapping[str, Callable[[About, Iterable[Point]], Iterator[bytes]]] = {
    "text": write_text,
    "jsonl": write_jsonl,
    "asciicast": write_asciicast,
}


def session_facts(started_at: datetime, words: Mapping[str, str]) -> dict[str, str]:
    """Return the facts of a session for its head: when it started, and those of `words` that are known."""
    return {"started": format_time(started_at)} | {name: value for name, value in words.items() if value}


def _numbers(point: Point, numbers: Mapping[int, list[int]]) -> list[int]:
    is_begun = point.item.direction == FROM_CLIENT and point.item.kind in BEGINNINGS
    return numbers.get(point.item.offset, []) if is_begun else []


def _operations(point: Point, numbers: Mapping[int, list[int]]) -> str:
    found = _numbers(point, numbers)
    if not found:
        return ""
    return f"operation {found[0]}" if len(found) == 1 else f"operations {found[0]} to {found[-1]}"


def _label(point: Point, numbers: Mapping[int, list[int]]) -> str:
    words = point.item.words
    text = harmless(" ".join(words.get("text", "")[: 4 * MAX_LABEL].split())) or point.item.kind
    told = _operations(point, numbers)
    label = f"{told}: {text}" if told else text
    return label if len(label) <= MAX_LABEL else label[: MAX_LABEL - 3] + "..."


def _colour(point: Point, head: str) -> str:
    """Return a head in the colour of its direction, which stands in it as a sign too; red for an error."""
    colour = 31 if point.item.kind == "error" else 36 if point.item.direction == FROM_CLIENT else 32
    return f"\x1b[{colour}m{head}\x1b[0m"


def _json_line(value: Leaf) -> bytes:
    return harmless_json(value).encode() + b"\n"
