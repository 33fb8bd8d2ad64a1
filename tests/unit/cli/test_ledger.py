# SPDX-License-Identifier: Apache-2.0
"""`gatebook ledger verify`: says what it checked, and fails on any finding."""

from __future__ import annotations

from support.data_folder import locked, put_journal, put_recording
from support.evidence import (
    KEK,
    SESSION,
    chunk,
    chunk_leaf,
    end,
    frame,
    intent,
    leaf,
    recording_header,
    sealed_leaf,
    start,
)
from support.installation import Installation

CHUNK = chunk(0, [frame(">", b"a")])
WHOLE = [start(), end(1), chunk_leaf(0, CHUNK, 1), sealed_leaf([CHUNK], 1)]


def test_says_what_it_checked_in_a_whole_book(gate: Installation) -> None:
    (gate.folder / "recording.key").write_text(KEK.hex())
    put_journal(gate.settings.journal_path, WHOLE)
    put_recording(gate.settings.recordings_path, recording_header() + CHUNK)
    told = gate.run("ledger", "verify")
    assert told.status == 0
    assert told.out.splitlines()[-1] == "the book is whole"
    assert "        5  entries" in told.out.splitlines()
    assert told.err == ""
    assert gate.run("ledger", "verify", "--json").json == {
        "ok": True,
        "opened_with_key": True,
        "checked": {
            "journals": 2,
            "segments": 2,
            "entries": 5,
            "sessions": 1,
            "recordings": 1,
            "chunks": 1,
            "chunks_opened": 1,
        },
        "findings": [],
        "accounted": [],
        "more": 0,
    }


def test_names_findings_and_fails(gate: Installation) -> None:
    put_journal(gate.settings.journal_path, WHOLE)
    put_recording(gate.settings.recordings_path, recording_header())
    told = gate.run("ledger", "verify")
    assert told.status == 1
    assert "recording_cut" in told.out
    assert "error: " in told.err
    assert "docs/reference/findings.md" in told.err
    found = gate.run("ledger", "verify", "--json")
    assert found.status == 1
    assert {"name": "recording_cut", "subject": SESSION, "words": "has 0 of 1 chunks"} in found.json["findings"]


def test_works_without_the_key(gate: Installation) -> None:
    (gate.folder / "recording.key").unlink()
    put_journal(gate.settings.journal_path, WHOLE)
    put_recording(gate.settings.recordings_path, recording_header() + CHUNK)
    told = gate.run("ledger", "verify")
    assert told.status == 0
    assert "contents were not opened" in told.err


def test_tells_what_the_book_accounts_for_without_failing(gate: Installation) -> None:
    lost = leaf("session.lost", session=SESSION, cause="gateway lost", open=[f"{SESSION}.1"], last_seq=1)
    put_journal(gate.settings.journal_path, [start(), intent(1, 1), sealed_leaf([], 0), lost])
    told = gate.run("ledger", "verify")
    assert told.status == 0
    assert "accounted for by the book itself:" in told.out
    assert "intent_without_outcome" in told.out


def test_says_how_many_findings_it_did_not_list(gate: Installation) -> None:
    put_journal(gate.settings.journal_path, [b"x"] * 1005)
    told = gate.run("ledger", "verify")
    assert told.status == 1
    assert "and 5 more" in told.err
    assert "error: 1005 findings" in told.err


def test_verifies_beside_a_running_gate(gate: Installation) -> None:
    folder = put_journal(gate.settings.journal_path, [start(), intent(1, 1)])
    with locked(folder):
        assert gate.run("ledger", "verify").status == 0
