# SPDX-License-Identifier: Apache-2.0
"""`gatebook purge`: erasing takes two people, is told, and can be finished where it was cut."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.custodians import Custodians, held_sessions
from support.evidence import SESSION
from support.installation import Installation

from gatebook.vault import purging
from gatebook.vault.recordings import Recordings

OTHER = "s_ghijkl"


@pytest.fixture
def book(gate: Installation, tmp_path: Path) -> Custodians:
    """Two sessions that are over, a class of which both are due, and the custodians alice, bob and carol."""
    held_sessions(gate, SESSION, OTHER)
    made = Custodians(gate, tmp_path / "keys")
    made.configure(contents_days=30, recording_days=10)
    return made


def files(book: Custodians, session: str = SESSION) -> set[str]:
    return {path.suffix for path in book.gate.settings.recordings_path.glob(f"*/{session}.*")}


def findings(book: Custodians, kind: str = "findings") -> list[tuple[str, str]]:
    report = book.gate.run("ledger", "verify", "--json").json
    return [(one["name"], one["subject"]) for one in report[kind]]


def test_what_is_due_is_listed(book: Custodians) -> None:
    told = book.gate.run("purge", "due", "--json").json
    assert [(one["session"], one["class"]) for one in told] == [(SESSION, "all"), (OTHER, "all")]
    assert book.gate.run("purge", "due").out.splitlines()[0].split() == ["SESSION", "ENDED", "CLASS"]
    book.configure(contents_days=36_000)
    assert book.gate.run("purge", "due", "--json").json == []
    assert book.gate.run("purge", "due", "--erase", "recording", "--json").json == []


def test_two_people_erase_and_the_book_says_so(book: Custodians) -> None:
    request = book.ask("--due")
    assert book.gate.run("purge", "run", request).status == 1
    book.consent(request, "alice")
    told = book.gate.run("purge", "run", request)
    assert (told.status, "two people have to consent" in told.err) == (1, True)
    assert files(book) == {".rec", ".key"}
    book.consent(request, "bob")
    assert findings(book) == []
    told = book.gate.run("purge", "run", request, "--json")
    assert (told.json["sessions"], told.json["files"]) == (2, 4)
    assert (files(book), files(book, OTHER)) == (set(), set())
    events = [str(entry["event"]) for entry in book.gate.entries()][-6:]
    given, gone = ["consent.given"] * 2, ["evidence.purged"] * 2
    assert events == ["consent.requested", *given, *gone, "purge.done"]
    assert findings(book) == []
    assert findings(book, "accounted") == [("erased", SESSION), ("erased", OTHER)]
    assert book.gate.run("purge", "due", "--json").json == []
    told = book.gate.run("purge", "run", request)
    assert (told.status, "done already" in told.err) == (1, True)
    told = book.gate.run("sessions", "replay", SESSION, "--purpose", "test")
    assert (told.status, "is not there any more" in told.err) == (1, True)
    told = book.gate.run("sessions", "show", SESSION, "--text", "--purpose", "test")
    assert (told.status, "the key of this session is gone" in told.err, "secret" in told.out) == (0, True, False)


def test_the_recording_alone_leaves_statements_readable(book: Custodians) -> None:
    book.erase("--session", SESSION, "--erase", "recording")
    assert files(book) == {".key"}
    report = book.gate.run("ledger", "verify", "--json").json
    assert report["ok"]
    assert report["checked"]["private_parts_opened"] == 2
    assert findings(book, "accounted") == [("erased", SESSION)]
    told = book.gate.run("sessions", "show", SESSION, "--text", "--purpose", "test")
    assert "select 'secret'" in told.out
    book.erase("--session", SESSION)
    assert files(book) == set()
    assert findings(book) == []


def test_what_is_not_due_stays(book: Custodians) -> None:
    book.configure(contents_days=36_000)
    for words, why in (
        (["--due"], "nothing is due"),
        (["--session", SESSION], "is not due"),
        (["--session", "s_nobody"], "no session"),
        ([], "nothing is asked for"),
        (["--due", "--session", SESSION], "too much"),
    ):
        told = book.gate.run("purge", "request", *words, "--reason", "test")
        assert (told.status, why in told.err) == (1, True), told.err


def test_before_its_time_only_where_the_configuration_lets(book: Custodians) -> None:
    book.configure(contents_days=36_000, erase_early=True)
    request = book.ask("--session", SESSION)
    assert "before its time" in book.gate.run("consent", "show", request).out
    book.consent(request, "alice", "bob")
    book.configure(contents_days=36_000)
    told = book.gate.run("purge", "run", request)
    assert (told.status, "is not due" in told.err, files(book)) == (1, True, {".rec", ".key"})
    book.configure(contents_days=36_000, erase_early=True)
    assert book.gate.run("purge", "run", request).status == 0


def test_a_session_that_is_not_over_stays(gate: Installation, tmp_path: Path) -> None:
    held_sessions(gate, "s_open")
    book = Custodians(gate, tmp_path / "keys")
    book.configure(contents_days=1, erase_early=True)
    told = book.gate.run("purge", "request", "--session", "s_open", "--reason", "test")
    assert (told.status, "is not over" in told.err) == (1, True)


def test_a_hold_after_the_consents_stops_it(book: Custodians) -> None:
    request = book.ask("--due")
    book.consent(request, "alice", "bob")
    assert book.gate.run("hold", "place", "--session", OTHER, "--reason", "court").status == 0
    told = book.gate.run("purge", "run", request)
    assert (told.status, "is on hold" in told.err) == (1, True)
    assert files(book) == {".rec", ".key"}  # all or nothing
    assert [one["session"] for one in book.gate.run("purge", "due", "--json").json] == [SESSION]


def test_a_list_that_was_changed_purges_nothing(book: Custodians) -> None:
    request = book.ask("--session", SESSION)
    book.consent(request, "alice", "bob")
    file = book.gate.settings.retention_path / f"{request}.list"
    kept = file.read_bytes()
    file.write_bytes(kept.replace(SESSION.encode(), OTHER.encode()))
    told = book.gate.run("purge", "run", request)
    assert (told.status, "not the list that was asked for" in told.err, files(book, OTHER)) == (
        1,
        True,
        {".rec", ".key"},
    )
    file.unlink()
    told = book.gate.run("purge", "run", request)
    assert (told.status, "the list of its sessions is gone" in told.err) == (1, True)
    file.write_bytes(kept)
    assert book.gate.run("purge", "run", request).status == 0


def test_a_purge_that_was_cut_is_told_and_finished(book: Custodians, monkeypatch: pytest.MonkeyPatch) -> None:
    request = book.ask("--due")
    book.consent(request, "alice", "bob")
    destroy = purging.destroy

    def cut(recordings: Recordings, session: str, erase: str) -> Iterator[int]:
        if session == OTHER:
            raise OSError(5, "Input/output error")
        return destroy(recordings, session, erase)

    monkeypatch.setattr(purging, "destroy", cut)
    told = book.gate.run("purge", "run", request)
    assert (told.status, "run it again" in told.err) == (1, True)
    assert findings(book) == [("purge_unfinished", OTHER)]
    monkeypatch.undo()
    assert book.gate.run("purge", "run", request).status == 0
    assert findings(book) == []
    assert files(book, OTHER) == set()


def test_a_key_that_somebody_destroyed_is_told(book: Custodians) -> None:
    (key,) = book.gate.settings.recordings_path.glob(f"*/{SESSION}.key")
    key.unlink()
    assert findings(book) == [("erased", SESSION)]
    (other,) = book.gate.settings.recordings_path.glob(f"*/{OTHER}.key")
    other.unlink()
    assert findings(book) == []  # a copy without any key, as auditors have


def test_a_damaged_journal_lets_nothing_go(book: Custodians) -> None:
    request = book.ask("--due")
    book.consent(request, "alice", "bob")
    (segment,) = (book.gate.settings.journal_path / "cli").glob("*.seg")
    data = segment.read_bytes()
    place = data.index(b'"person.added"')
    segment.write_bytes(data[:place] + b'"person.addeD"' + data[place + 14 :])
    told = book.gate.run("purge", "run", request)
    assert told.status == 1
    assert files(book) == {".rec", ".key"}


def test_a_release_cannot_be_run_as_a_purge(book: Custodians) -> None:
    assert book.gate.run("purge", "run", "0" * 16).err.startswith("error: no request `0000000000000000`")
    hold = book.hold("--target", "shop")
    book.gate.run("hold", "release", hold, "--reason", "over")
    told = book.gate.run("purge", "run", book.newest())
    assert (told.status, "is not to purge" in told.err) == (1, True)
