# SPDX-License-Identifier: Apache-2.0
"""Search in a timeline: which items hold some words, where in them, and what stands around.

A plain substring, whatever its case. Rows and pieces of a COPY beyond those that are shown are searched too; what was
not kept because it is over 16 MiB is not, nor words that are cut in two by the pieces of a COPY.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gatebook.evidence.entry import Leaf
from gatebook.evidence.harmless import harmless
from gatebook.evidence.render import render
from gatebook.evidence.replay import Item
from gatebook.evidence.timeline import BEGINNINGS, Point, show_elapsed

CONTEXT = 40  # characters that are shown on either side
MAX_HITS = 20  # LIMIT: places that are told of one item
MAX_WORDS = 1000
MAX_REQUEST = 120
OPEN, CLOSE = "[[", "]]"


@dataclass(frozen=True, slots=True)
class Hit:
    """A place in an item: where, and the text there, as recorded."""

    where: str
    before: str
    match: str
    after: str


@dataclass(frozen=True, slots=True)
class Found:
    """An item that holds the words; `request` is what the client asked for, where the item is an answer."""

    point: Point
    hits: tuple[Hit, ...]
    request: Item | None


def make_needle(words: str) -> re.Pattern[str]:
    """Return what finds the words, whatever their case."""
    return re.compile(re.escape(words[:MAX_WORDS]), re.IGNORECASE)


def search(points: Iterable[Point], needle: re.Pattern[str]) -> Iterator[Found]:
    """Yield the items that hold the words; `replay` must have been given the same needle."""
    request: Item | None = None
    for point in points:
        item = point.item
        if item.kind in BEGINNINGS:
            request = None
        if hits := tuple(_hits(item, needle))[:MAX_HITS]:
            yield Found(point, hits, request)
        if item.kind in BEGINNINGS:
            request = item


def render_found(found: Found) -> Iterator[str]:
    """Yield lines that are safe on any terminal: when and what, for what, and each place."""
    head = next(render(found.point.item))
    yield f"{show_elapsed(found.point.elapsed)}  {head}"
    if found.request is not None and (text := found.request.words.get("text")):
        shown = harmless(" ".join(text[: 4 * MAX_REQUEST].split()))
        yield f"    of: {shown if len(shown) <= MAX_REQUEST else shown[: MAX_REQUEST - 3] + '...'}"
    for hit in found.hits:
        around = f"{harmless(hit.before)}{OPEN}{harmless(hit.match)}{CLOSE}{harmless(hit.after)}"
        yield f"    {harmless(hit.where)}: {around}"


def found_object(found: Found) -> Leaf:
    """Return the places for programs."""
    return {
        "hits": [
            {"where": hit.where, "before": hit.before, "match": hit.match, "after": hit.after} for hit in found.hits
        ]
    }


def _hits(item: Item, needle: re.Pattern[str]) -> Iterator[Hit]:
    for where, text in _texts(item):
        match = needle.search(text)
        if match is not None:
            begin, end = match.span()
            before, after = text[max(0, begin - CONTEXT) : begin], text[end : end + CONTEXT]
            cut_before, cut_after = "..." * (begin > CONTEXT), "..." * (end + CONTEXT < len(text))
            yield Hit(where, cut_before + before, match.group(), after + cut_after)


def _texts(item: Item) -> Iterator[tuple[str, str]]:
    """Yield every text of an item with the words for where it is."""
    is_copy = item.kind in {"copy in", "copy out"}
    for name, text in item.words.items():
        if not is_copy:
            yield name, text
        if item.kind == "start":
            yield "name of a setting", name
    for number, value in enumerate(item.parameters, 1):
        if value is not None:
            yield f"parameter {number}", value
    for name in item.columns:
        yield "name of a column", name
    for number, row in item.found:
        for index, value in enumerate(row):
            if value is not None:
                yield f"piece {number}" if is_copy else f"row {number}, {_column(item, index)}", value


def _column(item: Item, index: int) -> str:
    return f"column {item.columns[index]}" if index < len(item.columns) else f"column {index + 1}"
