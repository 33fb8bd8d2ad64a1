# SPDX-License-Identifier: Apache-2.0
"""What a verification says of tombstones that stand against the rules; the rest is in tests/unit/cli/test_purge.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.custodians import Custodians, held_sessions
from support.evidence import SESSION
from support.installation import Installation, install

from gatebook.cli.common import opened_journal, stamp
from gatebook.evidence import builders

OTHER = "s_ghijkl"


@pytest.fixture
def book(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Custodians:
    monkeypatch.setenv("GATEBOOK_TEST_PASSWORD", "hunter2")
    gate: Installation = install(tmp_path / "gate", capsys)
    held_sessions(gate, SESSION, OTHER)
    made = Custodians(gate, tmp_path / "keys")
    made.configure(contents_days=30)
    return made


def findings(book: Custodians) -> list[tuple[str, str]]:
    report = book.gate.run("ledger", "verify", "--json").json
    return [(one["name"], one["subject"]) for one in report["findings"]]


def enter(book: Custodians, session: str, request: str) -> None:
    """Enter a tombstone past the command, as somebody with a shell could."""
    with opened_journal(book.gate.settings) as journal:
        leaf = builders.evidence_purged(
            stamp(), session=session, request=request, erased="contents", retention="", by="mallory"
        )
        journal.append(leaf)


def remove(book: Custodians, session: str) -> None:
    for path in book.gate.settings.recordings_path.glob(f"*/{session}.*"):
        path.unlink()


def test_a_tombstone_without_consent_excuses_nothing(book: Custodians) -> None:
    enter(book, SESSION, "0" * 16)
    remove(book, SESSION)
    assert findings(book) == [("purge_consent", SESSION)]


def test_one_consent_is_none(book: Custodians) -> None:
    request = book.ask("--session", SESSION)
    book.consent(request, "alice")
    enter(book, SESSION, request)
    remove(book, SESSION)
    assert findings(book) == [("purge_consent", SESSION)]


def test_a_session_that_was_not_in_the_list(book: Custodians) -> None:
    request = book.ask("--session", SESSION)
    book.consent(request, "alice", "bob")
    assert book.gate.run("purge", "run", request).status == 0
    enter(book, OTHER, request)
    remove(book, OTHER)
    assert findings(book) == [("purge_list", OTHER)]
    (book.gate.settings.retention_path / f"{request}.list").write_bytes(b"")
    assert findings(book) == [("purge_list", request)]


def test_a_session_on_hold(book: Custodians) -> None:
    book.hold("--agent", "reporter")
    request = "0" * 16
    enter(book, SESSION, request)
    remove(book, SESSION)
    assert findings(book) == [("purge_consent", SESSION), ("purge_on_hold", SESSION)]


def test_a_tombstone_of_what_is_still_there(book: Custodians) -> None:
    request = book.ask("--session", SESSION)
    book.consent(request, "alice", "bob")
    enter(book, SESSION, request)
    assert findings(book) == [("purge_unfinished", SESSION)]


def test_a_recording_that_is_gone_without_a_tombstone(book: Custodians) -> None:
    remove(book, SESSION)
    assert findings(book) == [("recording_missing", SESSION)]
