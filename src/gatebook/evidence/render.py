# SPDX-License-Identifier: Apache-2.0
"""The timeline as lines of text that are safe on any terminal.

What peers sent is never passed through: control characters, escape sequences and characters that change the direction
of text stand as backslash escapes, and a statement of several lines keeps a mark before each, so that it cannot be
taken for a line of the timeline.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence

from gatebook.evidence.entry import Leaf, Value, format_time
from gatebook.evidence.harmless import harmless
from gatebook.evidence.recording import FROM_CLIENT
from gatebook.evidence.replay import Item

MAX_CELL = 60  # characters of a value in a table
MAX_TEXT_LINES = 200
MAX_PARAMETER = 1000
MAX_LINE = 4000  # characters of a line; a pager or a player is not to choke on one of 16 MiB

_TITLES = {
    "start": "connects",
    "query": "query",
    "prepare": "prepare",
    "execute": "execute",
    "function": "calls function",
    "copy in": "copies in",
    "copy failed": "breaks off copying",
    "end": "says goodbye",
    "rows": "rows",
    "copy out": "copies out",
    "done": "done",
    "suspended": "more rows wait",
    "error": "error",
    "notice": "notice",
    "held": "held",
    "notification": "notification",
    "large": "large message, not shown",
    "unreadable": "the rest of this direction cannot be read",
}


def render(item: Item) -> Iterator[str]:
    """Yield the lines of one point of the timeline, its time and direction first."""
    head = f"{item.at:%H:%M:%S.%f} {item.direction} {_TITLES[item.kind]}{_summary(item)}"
    yield _cut(head)
    if item.kind == "query" or (item.kind in {"prepare", "execute"} and item.words["text"]):
        yield from _block(item.words["text"])
    for index, value in enumerate(item.parameters, 1):
        yield f"    ${index} = {'NULL' if value is None else _cut(harmless(value), MAX_PARAMETER)}"
    if item.kind == "rows":
        yield from render_table(item.columns, item.rows)
        if item.count > len(item.rows):
            yield f"    ... {item.count - len(item.rows)} more"
    if item.kind in {"copy in", "copy out"}:
        yield from _block(item.words["data"].removesuffix("\n"))
    if item.kind in {"error", "notice", "held"}:
        for name in ("detail", "hint", "where"):
            if name in item.words:
                yield f"    {name}: {_cut(harmless(item.words[name]))}"


def to_json(item: Item) -> Leaf:
    """Return one point of the timeline as an object for JSON; nothing is cut or escaped but by JSON itself."""
    point: Leaf = {"at": format_time(item.at), "from": "client" if item.direction == FROM_CLIENT else "gateway"}
    point["kind"] = item.kind
    if item.kind == "start":
        point["startup"] = dict(item.words)
    else:
        point |= item.words
    if item.parameters:
        point["parameters"] = [_cell(value) for value in item.parameters]
    if item.kind == "rows":
        point["columns"] = list(item.columns)
        point["rows"] = [[_cell(value) for value in row] for row in item.rows]
    if item.kind in {"rows", "copy in", "copy out"}:
        point["count"] = item.count
    return point


def render_table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> Iterator[str]:
    """Yield a table with aligned columns; NULL and long values are marked."""
    width = max([len(columns), *(len(row) for row in rows)], default=0)
    names = [columns[index] if index < len(columns) else f"column {index + 1}" for index in range(width)]
    shown = [[_fit("NULL" if value is None else value) for value in row] for row in rows]
    head = [_fit(name) for name in names]
    widths = [
        max([width_of(head[index]), *(width_of(row[index]) for row in shown if index < len(row))])
        for index in range(width)
    ]
    yield "    " + " | ".join(_pad(cell, widths[index]) for index, cell in enumerate(head)).rstrip()
    yield "    " + "-+-".join("-" * size for size in widths)
    for row in shown:
        yield "    " + " | ".join(_pad(cell, widths[index]) for index, cell in enumerate(row)).rstrip()


def _summary(item: Item) -> str:
    words = item.words
    match item.kind:
        case "start":
            parts = " ".join(f"{name}={value}" for name, value in words.items())
        case "prepare" | "execute":
            parts = words["name"]
        case "rows" | "copy in" | "copy out":
            parts = f"{item.count}" + ("" if item.kind == "rows" else " bytes")
        case "done":
            parts = words.get("tag") or words.get("value", "")
        case "error" | "notice" | "held":
            parts = f"{words.get('severity', '')} {words.get('sqlstate', '')}: {words.get('message', '')}"
        case _:
            parts = " ".join(words.values()) if item.kind != "query" else ""
    parts = harmless(parts.strip())
    return f": {parts}" if parts else ""


def _block(text: str) -> Iterator[str]:
    lines = text.split("\n")
    for line in lines[:MAX_TEXT_LINES]:
        yield f"  | {_cut(harmless(line))}"
    if len(lines) > MAX_TEXT_LINES:
        yield f"  | ... {len(lines) - MAX_TEXT_LINES} more lines"


def _cut(line: str, most: int = MAX_LINE) -> str:
    left_out = len(line) - most
    return line if left_out <= 0 else f"{line[:most]}... {left_out} more characters"


def _fit(text: str) -> str:
    safe = harmless(text)
    return safe if len(safe) <= MAX_CELL else safe[: MAX_CELL - 3] + "..."


def width_of(text: str) -> int:
    """Return the columns of a terminal that text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(ch) else 2 if unicodedata.east_asian_width(ch) in "WF" else 1 for ch in text)


def _pad(text: str, width: int) -> str:
    return text + " " * (width - width_of(text))


def _cell(value: str | None) -> Value:
    """Return a value for JSON without `null`: NULL is an object, as in private parts."""
    return {"null": True} if value is None else value
