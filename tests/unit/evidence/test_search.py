# SPDX-License-Identifier: Apache-2.0
"""Search in a timeline: where the words stand, and what for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import NOW

from gatebook.evidence.replay import Item
from gatebook.evidence.search import Found, found_object, make_needle, render_found, search
from gatebook.evidence.timeline import number_points


def find(words: str, *items: Item) -> list[Found]:
    return list(search(number_points(items), make_needle(words)))


def places(words: str, item: Item) -> list[tuple[str, str]]:
    return [(hit.where, hit.match) for found in find(words, item) for hit in found.hits]


@pytest.mark.parametrize(
    ("words", "item", "found"),
    [
        ("SECRET", Item(NOW, ">", "query", {"text": "select 'Secret'"}), [("text", "Secret")]),
        ("x.y", Item(NOW, ">", "query", {"text": "xzy"}), []),
        ("7", Item(NOW, ">", "execute", {"name": "", "text": "a"}, ("1", None, "700")), [("parameter 3", "7")]),
        ("MAIL", Item(NOW, "<", "rows", columns=("email",)), [("name of a column", "mail")]),
        ("b", Item(NOW, "<", "rows", columns=("x",), found=((40, ("a", None, "b")),)), [("row 40, column 3", "b")]),
        ("b", Item(NOW, "<", "rows", columns=("x",), found=((40, ("b",)),)), [("row 40, column x", "b")]),
        ("denied", Item(NOW, "<", "error", {"message": "permission denied"}), [("message", "denied")]),
        ("b", Item(NOW, "<", "copy out", {"data": "b"}, found=((3, ("ab",)),)), [("piece 3", "b")]),
        ("psql", Item(NOW, ">", "start", {"psql": "x"}), [("name of a setting", "psql")]),
        ("psql", Item(NOW, ">", "start", {"app": "psql"}), [("app", "psql")]),
    ],
)
def test_tells_where_words_stand(words: str, item: Item, found: list[tuple[str, str]]) -> None:
    assert places(words, item) == found


def test_shows_what_stands_around_and_what_was_asked_for() -> None:
    query = Item(NOW, ">", "query", {"text": "select\n  *"})
    rows = Item(NOW, "<", "rows", columns=("a",), found=((1, ("x" * 60 + "\x1b[31mNEEDLE" + "y" * 60,)),), count=1)
    (found,) = find("needle", query, rows)
    assert list(render_found(found)) == [
        "+00:00.000  12:00:00.000000 < rows: 1",
        "    of: select *",
        "    row 1, column a: ..." + "x" * 35 + "\\x1b[31m[[NEEDLE]]" + "y" * 40 + "...",
    ]
    assert found_object(found)["hits"] == [
        {
            "where": "row 1, column a",
            "before": "..." + "x" * 35 + "\x1b[31m",
            "match": "NEEDLE",
            "after": "y" * 40 + "...",
        }
    ]


def test_cuts_what_was_asked_for_and_forgets_it_with_the_next() -> None:
    query = Item(NOW, ">", "query", {"text": "select " + "x" * 500})
    done = Item(NOW, "<", "done", {"tag": "SELECT 1"})
    (first, second) = find("select 1", query, done, Item(NOW, ">", "function", {"oid": "1"}), done)
    assert list(render_found(first))[1] == "    of: select " + "x" * 110 + "..."
    assert len(list(render_found(second))) == 2


def test_bounds_the_places_of_one_item() -> None:
    item = Item(NOW, "<", "rows", found=tuple((number, ("a",)) for number in range(100)))
    assert len(find("a", item)[0].hits) == 20


@given(st.text(min_size=1), st.text())
def test_lines_are_harmless_whatever_is_found(words: str, around: str) -> None:
    item = Item(
        NOW, ">", "execute", {"name": around, "text": around + words + around}, (words,), found=((1, (words,)),)
    )
    for found in find(words, item, Item(NOW, "<", "rows", columns=(words,), found=((1, (words,)),))):
        assert all(line.isprintable() for line in render_found(found))
