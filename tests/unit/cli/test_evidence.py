# SPDX-License-Identifier: Apache-2.0
"""`gatebook evidence rewrap`: entered before and after, with counts; and what it means for those who read."""

from __future__ import annotations

import pytest
from support.data_folder import put_journal, put_recording
from support.evidence import KEK, SESSION, chunk, frame, message, recording_header, start
from support.installation import Installation

from gatebook.model.secret import Secret
from gatebook.vault.journal import JournalWriter
from gatebook.vault.keys import parse_key

OLD, NEW = KEK.hex(), "22" * 32
NEW_ID = parse_key(Secret(NEW)).id


@pytest.fixture
def book(gate: Installation) -> Installation:
    """An installation whose current key is new, with a recording under the one of before."""
    (gate.folder / "recording.key").write_text(NEW)
    (gate.folder / "recording.2025.key").write_text(OLD)
    configure(gate, 'older_recording_keys = ["file:recording.2025.key"]')
    put_journal(gate.settings.journal_path, [start()])
    data = chunk(0, [frame(">", message("Q", b"select 'secret'\0"))])
    put_recording(gate.settings.recordings_path, recording_header() + data)
    return gate


def configure(gate: Installation, more: str) -> None:
    lines = [line for line in gate.config.read_text().splitlines() if not line.startswith("older_recording_keys")]
    place = next(index for index, line in enumerate(lines) if line.startswith("recording_key"))
    lines[place + 1 : place + 1] = [more] if more else []
    gate.config.write_text("\n".join(lines) + "\n")


def test_an_older_key_opens_what_it_wrapped_until_it_is_needed_no_more(book: Installation) -> None:
    assert "select 'secret'" in book.run("sessions", "replay", SESSION).out
    configure(book, "")
    told = book.run("sessions", "replay", SESSION)
    assert (told.status, told.out) == (1, "")
    assert "made under another key" in told.err
    configure(book, 'older_recording_keys = ["file:recording.2025.key"]')
    told = book.run("evidence", "rewrap")
    assert told.status == 0, told.err
    assert told.out.split() == ["key", NEW_ID, "rewrapped", "1", "current", "0", "erased", "0", "failed", "0"]
    configure(book, "")
    assert "select 'secret'" in book.run("sessions", "replay", SESSION).out
    assert book.run("evidence", "rewrap", "--json").json == {
        "key": NEW_ID,
        "rewrapped": 0,
        "current": 1,
        "erased": 0,
        "failed": 0,
    }


def test_enters_it_before_and_after_with_counts(book: Installation) -> None:
    book.run("evidence", "rewrap")
    entries = [entry for entry in book.entries() if entry["event"] == "evidence.rewrapped"]
    assert [(entry["result"], entry["key"]) for entry in entries] == [("begun", NEW_ID), ("done", NEW_ID)]
    assert {name: entries[1][name] for name in ("rewrapped", "current", "erased", "failed")} == {
        "rewrapped": 1,
        "current": 0,
        "erased": 0,
        "failed": 0,
    }


def test_touches_nothing_where_it_cannot_be_entered(book: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    path = next(book.settings.recordings_path.glob("*/*.key"))
    before = path.read_bytes()
    monkeypatch.setattr("gatebook.cli.common.LOCK_WAIT_S", 0)
    with JournalWriter.open(book.settings.journal_path, "cli", sync="every"):
        assert book.run("evidence", "rewrap").status == 1
    assert path.read_bytes() == before


def test_says_what_could_not_be_opened_and_fails(book: Installation) -> None:
    next(book.settings.recordings_path.glob("*/*.key")).write_bytes(b"damaged")
    told = book.run("evidence", "rewrap")
    assert told.status == 1
    assert f"{SESSION}: a key file has not its form" in told.err
    assert "1 key files could not be opened and are as they were" in told.err
    assert book.entries()[-1]["failed"] == 1


def test_says_that_it_was_broken_off(book: Installation) -> None:
    path = next(book.settings.recordings_path.glob("*/*.key"))
    path.unlink()
    path.symlink_to("elsewhere")
    assert book.run("evidence", "rewrap").status == 1
    assert book.entries()[-1]["result"] == "broken off"


def test_needs_every_key(book: Installation) -> None:
    (book.folder / "recording.2025.key").unlink()
    told = book.run("evidence", "rewrap")
    assert told.status == 1
    assert "recording.2025.key` cannot be read" in told.err
    assert book.run("sessions", "show", SESSION).status == 0
