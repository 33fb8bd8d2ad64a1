# SPDX-License-Identifier: Apache-2.0
"""Recordings of real sessions as people see them: each operation where the book says, hostile data without effect."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from support.hostile import EVIL
from support.servers import Place, eventually
from support.terminal import on_terminal


@pytest.fixture
def session(place: Place) -> str:
    """A session with simple and extended queries, statements in one message, a pipeline, a COPY, an error."""
    before = place.known_sessions()
    evil = EVIL.replace("\0", "")
    with psycopg.connect(place.through.dsn, autocommit=True) as client:
        client.execute("SELECT 1 AS one; SELECT 2 AS two")
        client.execute("SELECT name FROM things WHERE id = %s", (7,))
        client.execute("SELECT %s::text AS evil", (evil,))
        with client.pipeline():
            for number in range(3):
                client.execute("SELECT %s::int AS piped", (number,), prepare=True)
        with client.cursor() as cursor, cursor.copy("COPY (SELECT id, name FROM things ORDER BY id) TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) == 1000
        with pytest.raises(psycopg.errors.UndefinedColumn):
            client.execute(f'SELECT "{evil[:40]}"')
        client.execute("SELECT id, name FROM things ORDER BY id")
    return eventually(
        lambda: next(
            (str(o["session"]) for o in place.gate.sessions() if o["session"] not in before and o["ended"]), ""
        )
    )


def run(place: Place, session: str, command: str, *words: str) -> str:
    return place.gate.run("sessions", command, session, "--purpose", "test", *words).stdout


def test_every_operation_is_where_the_book_says(place: Place, session: str) -> None:
    told = cast("dict[str, Any]", place.gate.ask("sessions", "show", session, "--text", "--purpose", "test"))
    head, *items = map(json.loads, run(place, session, "export", "--format", "jsonl", "-o", "-").splitlines())
    assert head["about"]["agent"] == "helper"
    at = {number: item for item in items for number in item.get("operations", ())}
    assert sum("private" in one for one in told["operations"]) >= 5
    operations = {int(one["operation"].rpartition(".")[2]): one for one in told["operations"]}
    assert at.keys() == operations.keys()
    assert len(operations) >= 10
    for number, one in operations.items():
        assert one.get("private", {}).get("text", "") in at[number]["text"]
        assert (at[number]["kind"] == "execute") is (one["via"] == "bind")
        first = run(place, session, "replay", "--json", "--from", str(number)).splitlines()[0]
        assert json.loads(first)["at"] == at[number]["at"]
    assert [item["n"] for item in items] == list(range(1, len(items) + 1))
    times = [item["elapsed_us"] for item in items]
    assert times == sorted(times)


def test_finds_rows_that_are_not_shown(place: Place, session: str) -> None:
    found = run(place, session, "replay", "--find", "THING 997")
    assert re.search(r"    piece 997: 997\t?.*\[\[thing 997\]\]", found)
    assert "    row 997, column name: [[thing 997]]" in found


def test_au_11_real_data_acts_on_no_terminal(place: Place, session: str, tmp_path: Path) -> None:
    for words in (("replay",), ("replay", "--json"), ("replay", "--find", "e")):
        assert all(ch == "\n" or ch.isprintable() for ch in run(place, session, *words))
    for form in ("text", "jsonl", "asciicast"):
        path = tmp_path / form
        run(place, session, "export", "--format", form, "-o", str(path))
        text = path.read_text()
        assert "]52;c;cm0gLXJmIH4=" in text
        assert all(ch == "\n" or ch.isprintable() for ch in text)


def test_au_11_the_player_shows_real_data_without_effect(place: Place, session: str) -> None:
    gatebook = str(Path(__file__).parents[2] / ".venv/bin/gatebook")
    config = str(place.gate.folder / "gatebook.toml")
    command = [gatebook, "sessions", "replay", session, "--config", config, "--speed", "10000"]
    with on_terminal(command, size=(120, 60)) as terminal:
        terminal.wait_for(b"at end [")
        terminal.press(b"/]52;c;\r")
        seen = terminal.wait_for(b"found in item")
        terminal.press(b"q")
        assert terminal.wait_for_end()[0] == 0
        assert terminal.is_as_before
    assert b"\\x1b]52;c;cm0gLXJmIH4=\\x07" in seen
    assert b"\x1b]" not in seen
