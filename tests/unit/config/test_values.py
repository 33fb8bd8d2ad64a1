# SPDX-License-Identifier: Apache-2.0
"""Readers of single values, and the line numbers in their messages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatebook.config import values
from gatebook.config.secrets import ConfigFault
from gatebook.config.values import Place, find_line
from gatebook.model.target import TlsMode

HERE = Place(Path("/etc"), "gatebook.toml", "", ("a",))


def test_reads_each_kind_of_value() -> None:
    assert values.text("x", HERE) == "x"
    assert values.boolean(True, HERE) is True
    assert values.path("x/y", HERE) == Path("/etc/x/y")
    assert values.path("/x", HERE) == Path("/x")
    assert values.integer(0, 5)(5, HERE) == 5
    assert values.choice("a", "b")("b", HERE) == "b"
    assert values.member(TlsMode)("verify-ca", HERE) is TlsMode.VERIFY_CA
    assert values.name(re.compile("[a-z]+"))("abc", HERE) == "abc"


@pytest.mark.parametrize("value", ["a\nb", "a\x1b[2J", "", "x" * 4097, 7, None])
def test_refuses_text_that_could_forge_output(value: object) -> None:
    with pytest.raises(ConfigFault, match="printable characters"):
        values.text(value, HERE)


def test_reads_lines_where_they_are_allowed() -> None:
    assert values.lines("SELECT 1\n;\n", HERE) == "SELECT 1\n;\n"
    for wrong in ("", " \n", "a\x00b", "x" * 65_537, 7):
        with pytest.raises(ConfigFault, match="without NUL"):
            values.lines(wrong, HERE)


def test_reads_some_of_a_few_words() -> None:
    assert values.choices("a", "b")(["b", "a"], HERE) == ("b", "a")
    with pytest.raises(ConfigFault, match="must be one of `a`, `b`"):
        values.choices("a", "b")(["c"], HERE)


def test_reads_a_number_or_a_word() -> None:
    reader = values.integer_or("never", 0, 9)
    assert (reader(7, HERE), reader("never", HERE)) == (7, None)
    assert reader.shape == "0 to 9, or `never`"
    for wrong in (10, -1, True, "now", None):
        with pytest.raises(ConfigFault):
            reader(wrong, HERE)


def test_refuses_arrays_without_end() -> None:
    with pytest.raises(ConfigFault, match="array of strings"):
        values.texts(["x"] * 1001, HERE)


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("a",), 1),
        (("b", 0, "x"), 4),
        (("b", 1, "x"), 7),
        (("b", 1, "c", 0, "y"), 9),
        (("b", 1, "c", 1, "y"), 11),
        (("b", 1, "t", "z"), 13),
        (("b", 1, "missing"), 6),
        (("nowhere",), 0),
    ],
)
def test_finds_the_line_of_a_key(keys: tuple[str | int, ...], line: int) -> None:
    text = "a = 1\n\n[[b]]\nx = 1\n\n[[b]]\nx = 2\n[[b.c]]\ny = 1\n[[b.c]]\ny = 2\n[b.t]\nz = 1\n"
    assert find_line(text, keys) == line
