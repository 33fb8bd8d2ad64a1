# SPDX-License-Identifier: Apache-2.0
"""`gatebook hold`: one person places, two release."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.custodians import Custodians, held_sessions
from support.evidence import SESSION
from support.installation import Installation


@pytest.fixture
def book(gate: Installation, tmp_path: Path) -> Custodians:
    held_sessions(gate, SESSION)
    made = Custodians(gate, tmp_path / "keys")
    made.configure(contents_days=30)
    return made


@pytest.mark.parametrize(
    "words",
    [
        ["--session", SESSION],
        ["--agent", "reporter"],
        ["--target", "shop"],
        ["--from", "2025-12-31", "--to", "2026-01-02"],
    ],
)
def test_what_it_takes_is_not_due(book: Custodians, words: list[str]) -> None:
    book.hold(*words)
    assert book.gate.run("purge", "due", "--json").json == []
    told = book.gate.run("purge", "request", "--session", SESSION, "--reason", "test")
    assert (told.status, "is on hold" in told.err) == (1, True)


def test_what_it_does_not_take_stays_due(book: Custodians) -> None:
    book.hold("--agent", "other")
    book.hold("--to", "2026-01-01T12:00Z")
    assert [one["session"] for one in book.gate.run("purge", "due", "--json").json] == [SESSION]


def test_two_people_release_it(book: Custodians) -> None:
    hold = book.hold("--target", "shop")
    assert book.gate.run("hold", "release", hold, "--reason", "settled").status == 0
    request = book.newest()
    book.consent(request, "alice")
    assert len(book.gate.run("hold", "list", "--json").json) == 1
    book.consent(request, "carol")
    assert book.gate.run("hold", "list", "--json").json == []
    assert book.gate.run("hold", "list", "--all", "--json").json[0]["released"] != ""
    assert len(book.gate.run("purge", "due", "--json").json) == 1
    told = book.gate.run("hold", "release", hold, "--reason", "again")
    assert (told.status, "no hold" in told.err) == (1, True)
    assert book.gate.run("ledger", "verify").status == 0


def test_a_hold_of_nothing_is_none(book: Custodians) -> None:
    told = book.gate.run("hold", "place", "--reason", "court")
    assert (told.status, "nothing is asked for" in told.err) == (1, True)


def test_lists_them(book: Custodians) -> None:
    hold = book.hold("--session", SESSION, "--agent", "reporter")
    lines = book.gate.run("hold", "list").out.splitlines()
    assert lines[0].split() == ["HOLD", "SINCE", "BY", "WHAT", "WHY", "RELEASED"]
    assert lines[1].startswith(hold)
    assert f"sessions {SESSION}, agent reporter  court" in lines[1]
