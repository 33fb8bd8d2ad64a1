# SPDX-License-Identifier: Apache-2.0
"""Files of cases: what is wrong is named with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import ConfigFault
from gatebook.config.cases import load_cases

GOOD = '''[[case]]
name = "agents read"
agent = "bot"
groups = ["agents"]
target = "shop"
statement = """
SELECT 1
"""
expect = "allow"
'''


def wrong(tmp_path: Path, text: str) -> str:
    path = tmp_path / "cases.toml"
    path.write_text(text)
    with pytest.raises(ConfigFault) as caught:
        load_cases(path)
    return caught.value.message


def test_reads_cases_with_statements_of_several_lines(tmp_path: Path) -> None:
    path = tmp_path / "cases.toml"
    path.write_text(GOOD + GOOD.replace("agents read", "people too").replace("agent =", "person ="))
    first, second = load_cases(path)
    assert first.statement == "SELECT 1\n"
    assert (first.agent, first.person, first.expect, first.code) == ("bot", "", "allow", "")
    assert second.person == "bot"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('expect = "allow"', 'expect = "maybe"', "cases.toml:9: `case[1].expect` must be one of `allow`, `refuse`"),
        ('agent = "bot"\n', "", "cases.toml:1: `case[1]` needs `agent` or `person`, and not both"),
        ('agent = "bot"', 'agent = "bot"\nperson = "ann"', "needs `agent` or `person`, and not both"),
        (
            'expect = "allow"',
            'expect = "allow"\ncode = "policy.denied"',
            "cases.toml:10: `case[1].code` is for refusals",
        ),
        ('target = "shop"', 'colour = "shop"', "cases.toml:5: `case[1].colour` is not a setting"),
        ("SELECT 1", "\\u0000", "must be a string of 1 to 65536 characters without NUL"),
        ("[[case]]", "[[case", "cases.toml: not TOML"),
        ("[[case]]\n", "[[other]]\n", "cases.toml: `other` is not a setting"),
    ],
)
def test_names_what_is_wrong(tmp_path: Path, before: str, after: str, words: str) -> None:
    assert words in wrong(tmp_path, GOOD.replace(before, after))


def test_two_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    assert "`case[2].name` is there twice" in wrong(tmp_path, GOOD + GOOD)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="cannot be read: no such file"):
        load_cases(tmp_path / "none.toml")


def test_a_file_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.config.cases.MAX_CASES_BYTES", 300)
    assert "larger than 300 bytes" in wrong(tmp_path, GOOD + "#" * 300)
