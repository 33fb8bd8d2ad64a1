# SPDX-License-Identifier: Apache-2.0
"""What commands print: aligned, harmless, JSON on one line."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime

import pytest

from gatebook.cli import output

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def test_aligns_columns_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("a", "name"), [("1", "x"), ("333", "")])
    assert capsys.readouterr().out == "A    NAME\n1    x\n333\n"


def test_frames_nothing_but_aligns_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    output.print_table(("a", "name"), [("[bold]1", "\x1b[2J")])
    printed = capsys.readouterr().out
    assert "[bold]1" in printed
    assert "\\x1b[2J" in printed
    assert "\x1b[2J" not in printed


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07", "a\nb", "\u202e"])
def test_prints_nothing_that_acts_on_a_terminal(capsys: pytest.CaptureFixture[str], text: str) -> None:
    output.print_table(("a",), [(text,)])
    output.print_facts({"a": text})
    output.print_error(text, text)
    printed = capsys.readouterr()
    assert text not in printed.out + printed.err


def test_prints_json_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"é": ["a\nb", 1]})
    assert capsys.readouterr().out == '{"é":["a\\nb",1]}\n'


def test_json_holds_nothing_that_a_terminal_acts_on_and_says_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\x1b[31m \x9b2J \u202e \u2028 \U000e0001 é 漢 \n"
    output.print_json({text: [text]})
    printed = capsys.readouterr().out
    assert printed[:-1].isprintable()
    assert "é 漢" in printed
    assert json.loads(printed) == {text: [text]}


def test_prints_talk_and_errors_apart_from_data(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("hello")
    output.print_error("no", "")
    output.print_error("no", "do this")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "hello\nerror: no\nerror: no\nhint: do this\n"


def test_aligns_facts(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_facts({"a": "1", "long": "", "c": "3"})
    assert capsys.readouterr().out == "a     1\nlong\nc     3\n"


def test_shows_times_for_people_and_for_programs() -> None:
    assert output.show_time(NOW) == "2026-01-02 03:04:05Z"
    assert output.json_time(NOW) == "2026-01-02T03:04:05.000006Z"
    assert output.show_time(None) == output.json_time(None) == ""
