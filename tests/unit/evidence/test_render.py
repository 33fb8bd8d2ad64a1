# SPDX-License-Identifier: Apache-2.0
"""The timeline as text: readable, aligned, and harmless on any terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import NOW

from gatebook.evidence import render
from gatebook.evidence.entry import encode_canonical
from gatebook.evidence.replay import Item


def lines(item: Item) -> list[str]:
    return list(render.render(item))


def test_shows_a_query_with_a_mark_before_each_line() -> None:
    assert lines(Item(NOW, ">", "query", {"text": "select 1\n12:00:00.000000 < done: DROP TABLE"})) == [
        "12:00:00.000000 > query",
        "  | select 1",
        "  | 12:00:00.000000 < done: DROP TABLE",
    ]


def test_shows_parameters_of_a_prepared_statement() -> None:
    assert lines(Item(NOW, ">", "execute", {"name": "s", "text": "select $1"}, ("7", None))) == [
        "12:00:00.000000 > execute: s",
        "  | select $1",
        "    $1 = 7",
        "    $2 = NULL",
    ]


def test_shows_an_unnamed_statement_that_it_never_saw() -> None:
    assert lines(Item(NOW, ">", "execute", {"name": "", "text": ""})) == ["12:00:00.000000 > execute"]


def test_aligns_rows_also_of_wide_characters() -> None:
    item = Item(NOW, "<", "rows", columns=("id", "name"), rows=(("1", "日本"), ("22", None)), count=5)
    assert lines(item) == [
        "12:00:00.000000 < rows: 5",
        "    id | name",
        "    ---+-----",
        "    1  | 日本",
        "    22 | NULL",
        "    ... 3 more",
    ]


def test_names_columns_that_nobody_described() -> None:
    assert lines(Item(NOW, "<", "rows", rows=(("1",),), count=1))[1:] == ["    column 1", "    --------", "    1"]


def test_cuts_long_values() -> None:
    item = Item(NOW, "<", "rows", columns=("a",), rows=(("x" * 100,),), count=1)
    assert lines(item)[3] == "    " + "x" * 57 + "..."


def test_shows_an_error_with_its_detail() -> None:
    words = {"severity": "ERROR", "sqlstate": "42501", "message": "no\nway", "detail": "d", "hint": "h", "where": "w"}
    assert lines(Item(NOW, "<", "error", words)) == [
        "12:00:00.000000 < error: ERROR 42501: no\\nway",
        "    detail: d",
        "    hint: h",
        "    where: w",
    ]


@pytest.mark.parametrize(
    ("item", "head"),
    [
        (Item(NOW, "<", "done", {"tag": "SELECT 1"}), "12:00:00.000000 < done: SELECT 1"),
        (Item(NOW, "<", "done", {"tag": ""}), "12:00:00.000000 < done"),
        (Item(NOW, "<", "done", {"value": "7"}), "12:00:00.000000 < done: 7"),
        (Item(NOW, ">", "start", {"user": "u"}), "12:00:00.000000 > connects: user=u"),
        (Item(NOW, ">", "end"), "12:00:00.000000 > says goodbye"),
        (Item(NOW, "<", "copy out", {"data": "a\nb\n"}, count=4), "12:00:00.000000 < copies out: 4 bytes"),
        (Item(NOW, "<", "held", {"severity": "NOTICE", "message": "m"}), "12:00:00.000000 < held: NOTICE : m"),
        (Item(NOW, "<", "large", {"bytes": "7"}), "12:00:00.000000 < large message, not shown: 7"),
    ],
)
def test_begins_with_time_direction_and_what_it_is(item: Item, head: str) -> None:
    assert lines(item)[0] == head


def test_shows_lines_of_a_copy() -> None:
    assert lines(Item(NOW, "<", "copy out", {"data": "a\nb\n"}, count=4))[1:] == ["  | a", "  | b"]


def test_cuts_a_statement_of_many_lines() -> None:
    assert lines(Item(NOW, ">", "query", {"text": "\n".join("x" * 300)}))[-1] == "  | ... 100 more lines"


@given(st.text(), st.text())
def test_no_line_holds_a_control_character(text: str, name: str) -> None:
    items = [
        Item(NOW, ">", "query", {"text": text}),
        Item(NOW, ">", "execute", {"name": name, "text": text}, (text,)),
        Item(NOW, "<", "rows", columns=(name,), rows=((text,),), count=1),
        Item(NOW, "<", "error", {"severity": name, "sqlstate": text, "message": text, "hint": name}),
        Item(NOW, "<", "copy out", {"data": text}),
        Item(NOW, ">", "start", {name: text}),
    ]
    for item in items:
        assert all(line.isprintable() for line in lines(item))


def test_gives_the_same_for_programs_without_cutting() -> None:
    item = Item(NOW, "<", "rows", columns=("a",), rows=(("x" * 100, None),), count=7)
    assert render.to_json(item) == {
        "at": "2026-01-01T12:00:00.000000Z",
        "from": "gateway",
        "kind": "rows",
        "columns": ["a"],
        "rows": [["x" * 100, {"null": True}]],
        "count": 7,
    }
    started = render.to_json(Item(NOW, ">", "start", {"kind": "x"}))
    assert started["kind"] == "start"
    assert started["startup"] == {"kind": "x"}
    assert encode_canonical(render.to_json(Item(NOW, ">", "execute", {"name": "", "text": "x"}, ("7",)))) == (
        b'{"at":"2026-01-01T12:00:00.000000Z","from":"client","kind":"execute","name":"","parameters":["7"],"text":"x"}'
    )
