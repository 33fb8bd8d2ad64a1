# SPDX-License-Identifier: Apache-2.0
"""`gatebook sessions export`: text, JSON Lines and casts; entered first, whole or absent, harmless."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.data_folder import put_journal, put_recording
from support.evidence import KEK, SESSION, chunk, end, frame, intent, message, recording_header, session_leaf
from support.hostile import hostile_chunk
from support.installation import Installation, Told

from gatebook.vault.journal import JournalWriter

FORMS = ("text", "jsonl", "asciicast")
CHUNK = chunk(
    0,
    [
        frame(">", message("Q", b"select 'secret'\0"), 0.25),
        frame("<", message("C", b"SELECT 1\0") + message("Z", b"I"), 1.5),
        frame(">", message("X", b""), 100),
    ],
)
STARTED = session_leaf(
    "session.start",
    0,
    identity={"agent": {"iss": "gatebook:gate", "sub": "reporter"}, "role": "reader"},
    where={"target": "shop", "database": "shop", "account": "shop_reader", "gateway": "gate"},
    source={"ip": "10.0.0.1", "port": 7},
    recording={"id": SESSION},
    upstream={},
    parameters={},
)


@pytest.fixture
def book(gate: Installation) -> Installation:
    (gate.folder / "recording.key").write_text(KEK.hex())
    put_journal(gate.settings.journal_path, [STARTED, intent(1, 1, recording={"offset": 0}), end(2)])
    put_recording(gate.settings.recordings_path, recording_header() + CHUNK)
    return gate


def export(book: Installation, form: str, output: str | Path = "-", *more: str) -> Told:
    words = ("--format", form, "-o", str(output), "--purpose", "audit")
    return book.run("sessions", "export", SESSION, *words, *more)


def test_exports_readable_text(book: Installation) -> None:
    told = export(book, "text")
    assert told.status == 0, told.err
    assert told.out == (
        f"session   {SESSION}\n"
        "started   2026-01-01T12:00:00.000000Z\n"
        "agent     reporter\n"
        "role      reader\n"
        "target    shop\n"
        "database  shop\n"
        "account   shop_reader\n"
        "from      10.0.0.1:7\n"
        "end       client closed\n"
        "\n"
        "+00:00.000  12:00:00.250000 > query  (operation 1)\n"
        "  | select 'secret'\n"
        "\n"
        "+00:01.250  12:00:01.500000 < done: SELECT 1\n"
        "\n"
        "+01:39.750  12:01:40.000000 > says goodbye\n"
    )


def test_exports_json_lines(book: Installation) -> None:
    head, query, done, goodbye = export(book, "jsonl").json_lines
    assert (head["kind"], head["v"], head["session"], head["about"]["agent"]) == ("session", 1, SESSION, "reporter")
    assert query == {
        "n": 1,
        "elapsed_us": 0,
        "offset": 0,
        "operations": [1],
        "at": "2026-01-01T12:00:00.250000Z",
        "from": "client",
        "kind": "query",
        "text": "select 'secret'",
    }
    assert (done["n"], done["elapsed_us"], done["tag"], done["offset"]) == (2, 1_250_000, "SELECT 1", 21)
    assert goodbye["kind"] == "end"


def test_exports_a_cast_with_the_times_of_the_session(book: Installation) -> None:
    told = export(book, "asciicast", "-", "--max-pause", "5")
    header, *events = told.json_lines
    assert header == {
        "version": 3,
        "term": {"cols": 120, "rows": 40},
        "timestamp": 1767268800,
        "idle_time_limit": 5.0,
        "title": f"Gatebook session {SESSION}",
        "tags": ["gatebook"],
    }
    assert [(interval, code) for interval, code, _ in events] == [
        *[(0.0, "o"), (0.0, "m"), (0.0, "o"), (1.25, "o"), (98.5, "m"), (0.0, "o")]
    ]
    assert events[1][2] == "operation 1: select 'secret'"
    assert events[2][2] == "\r\n\x1b[36m12:00:00.250000 > query\x1b[0m\r\n  | select 'secret'\r\n"


def test_exports_a_part(book: Installation) -> None:
    _, *items = export(book, "jsonl", "-", "--from", "+1", "--until", "+2").json_lines
    assert [item["n"] for item in items] == [2]
    assert len(export(book, "text", "-", "--until", "1").out.splitlines()) == 14


@pytest.mark.parametrize("form", FORMS)
def test_enters_who_exported_and_why_before_a_byte_is_written(
    book: Installation, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export(book, form, tmp_path / "out").status == 0
    entry = book.entries()[-1]
    assert (entry["event"], entry["session"], entry["form"], entry["purpose"]) == (
        "evidence.viewed",
        SESSION,
        f"export {form}",
        "audit",
    )
    monkeypatch.setattr("gatebook.cli.common.LOCK_WAIT_S", 0)
    with JournalWriter.open(book.settings.journal_path, "cli", sync="every"):
        assert export(book, form, tmp_path / "unseen").status == 1
        told = export(book, form)
    assert (told.status, told.out) == (1, "")
    assert not (tmp_path / "unseen").exists()


def test_needs_a_purpose_and_a_session(book: Installation) -> None:
    assert book.run("sessions", "export", SESSION, "--format", "text", "-o", "-").status == 2
    told = book.run("sessions", "export", "s_absent", "--format", "text", "-o", "-", "--purpose", "x")
    assert "no session `s_absent` in the book" in told.err
    assert len(book.entries()) == 1


def test_never_writes_over_a_file_unasked_and_enters_nothing_then(book: Installation, tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("mine")
    told = export(book, "text", path)
    assert (told.status, path.read_text(), len(book.entries())) == (1, "mine", 1)
    assert "is there already" in told.err
    assert export(book, "text", path, "--force").status == 0
    assert path.read_text().startswith("session ")
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_recording_leaves_no_file(book: Installation, form: str, tmp_path: Path) -> None:
    put_recording(book.settings.recordings_path, recording_header() + CHUNK + CHUNK)
    told = export(book, form, tmp_path / "out")
    assert told.status == 1
    assert list(tmp_path.glob("*out*")) == []


def test_an_erased_recording_leaves_no_file(book: Installation, tmp_path: Path) -> None:
    next(book.settings.recordings_path.glob("*/*.key")).unlink()
    assert "there is no key for this recording" in export(book, "text", tmp_path / "out").err
    assert list(tmp_path.glob("*out*")) == []


def test_exports_what_the_book_does_not_know(book: Installation) -> None:
    session = "s_unknown"
    put_recording(book.settings.recordings_path, recording_header(session), session)
    for form in FORMS:
        told = book.run("sessions", "export", session, "--format", form, "-o", "-", "--purpose", "x")
        assert told.status == (1 if told.err else 0)


@pytest.mark.parametrize("form", FORMS)
def test_au_11_nothing_hostile_acts_on_the_terminal(book: Installation, form: str) -> None:
    put_recording(book.settings.recordings_path, recording_header() + hostile_chunk())
    told = export(book, form)
    assert told.status == 0, told.err
    assert all(ch == "\n" or ch.isprintable() for ch in told.out)
    lines = told.out.splitlines()
    if form == "text":
        assert max(map(len, lines)) < 4100
        return
    for line in lines[1:]:
        told_line = json.loads(line)
        if form == "asciicast":
            # What a player hands to its terminal: colours of ours, line ends, and nothing that a peer sent.
            text = told_line[2].replace("\r\n", "")
            for colour in ("\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m"):
                text = text.replace(colour, "")
            assert text.isprintable()
