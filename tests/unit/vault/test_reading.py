# SPDX-License-Identifier: Apache-2.0
"""Reading a book of which segments were removed: the same entries, also where they are removed meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bundle import check, make_bundle, write_session
from support.data_folder import recordings
from support.evidence import leaf, session_leaf, start
from support.notary import ORIGIN, findings, folders
from support.removal import LATER, OPERATIONS, remove, segments, session_entries, text_of, verify, write, write_sessions

from gatebook.evidence.journal_format import Record
from gatebook.evidence.note import Signer
from gatebook.vault.book import Book
from gatebook.vault.journal import Faults, JournalReader
from gatebook.vault.ledger import LedgerFolder
from gatebook.vault.reading import BookReader, WriterEntries
from gatebook.vault.receipts import DECIDED, make_receipt
from gatebook.vault.recovery import find_unfinished
from gatebook.vault.verification import Trust, verify_data

SESSIONS = ("s_aaaa", "s_bbbb")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_sessions(tmp_path, *SESSIONS)
    return tmp_path


def read(root: Path, *, told: Faults | None = None, is_wanted: bool = True) -> list[tuple[int, bytes, bytes]]:
    reader = BookReader(folders(root), recordings(root / "recordings"))
    found = reader.read(root / "journal" / "gate", told or Faults(), lambda _: is_wanted)
    return [(record.number, record.leaf, record.private) for record in found]


def test_what_was_removed_is_read_as_it_was(root: Path) -> None:
    before = read(root)
    remove(root)
    assert len(segments(root)) == 1
    assert read(root, told=(told := Faults())) == before
    assert told.faults == []


def test_parts_that_are_not_wanted_are_not_looked_for(root: Path) -> None:
    remove(root)
    for path in (root / "recordings").glob("*/*.private"):
        path.unlink()
    assert not any(private for _, _, private in read(root, is_wanted=False))


@pytest.mark.parametrize("at", range(1, 75, 6))
def test_what_is_removed_while_it_is_read_is_found_where_it_went(root: Path, at: int) -> None:
    before = read(root)
    reader = BookReader(folders(root), recordings(root / "recordings"))
    found: list[Record] = []
    told = Faults()
    for record in reader.read(root / "journal" / "gate", told, lambda _: True):
        found.append(record)
        if record.number == at:
            remove(root)
    assert [(record.number, record.leaf, record.private) for record in found] == before
    assert told.faults == []


def test_a_reader_that_asks_again_goes_on_across_a_removal(root: Path) -> None:
    told = Faults()
    reader = BookReader(folders(root), recordings(root / "recordings"))
    entries = WriterEntries(LedgerFolder(folders(root).ledger), "gate")
    assert list(entries.read(1, 9)) == []  # nothing was sealed yet
    remove(root)
    leaves = [plain for _, plain, _ in read(root)]
    assert list(entries.read(1, 3)) == leaves[:2]
    assert list(entries.read(5, 7)) == leaves[4:6]
    assert list(entries.read(2, 4)) == leaves[1:3]
    assert len(list(entries.read(1, 10_000))) == len(leaves)
    assert [record.leaf for record in reader.read(root / "journal" / "gate", told, lambda _: True)] == leaves


def test_where_the_ledger_is_gone_so_is_what_was_removed(root: Path) -> None:
    remove(root)
    (folders(root).ledger / "checkpoint").write_bytes(b"garbage")
    told = Faults()
    kept = read(root, told=told)
    assert kept[0][0] == segments(root)[0]
    assert [fault.finding for _, fault in told.faults] == ["note_form"]


def test_a_book_is_shown_as_before(root: Path) -> None:
    remove(root)
    book = Book(folders(root), recordings(root / "recordings"))
    assert [(one.id, one.cause) for one in book.list_sessions()] == [(name, "client closed") for name in SESSIONS]
    story = book.read_session("s_bbbb", recordings(root / "recordings").private_parts("s_bbbb"))
    assert story is not None
    texts = [text_of("s_bbbb", number) for number in range(1, OPERATIONS + 1)]
    assert [operation.private["text"] for operation in story.operations] == texts
    assert book.faults == 0


def test_a_receipt_is_made_as_before(root: Path) -> None:
    remove(root)
    receipt = make_receipt(LedgerFolder(folders(root).ledger), "s_aaaa.3", DECIDED)
    assert b'"operation":"s_aaaa.3"' in receipt.entry


def test_a_bundle_has_private_parts_and_recordings_as_before(tmp_path: Path) -> None:
    write_session(tmp_path)
    write_sessions(tmp_path, *SESSIONS)
    remove(tmp_path)
    assert segments(tmp_path)[0] > 40
    whole = check(make_bundle(tmp_path, with_contents=True))
    assert whole.ok, whole.findings
    assert whole.checked["private parts opened"] == 2
    assert whole.checked["chunks opened"] == 2


def test_what_a_crash_left_is_found_though_the_start_of_its_gate_was_removed(root: Path) -> None:
    write(root, [(start(session="s_lost"), b"")])
    remove(root)
    assert segments(root)[0] > 1  # the `gateway.start` is in entry 1
    unfinished = find_unfinished(root / "journal" / "gate")
    assert [session.id for session in unfinished.sessions] == ["s_lost"]
    assert unfinished.recordings == {"s_lost": 0}


def test_without_removals_it_reads_what_a_journal_reader_reads(root: Path) -> None:
    told = Faults()
    plain = [(one.number, one.leaf, one.private) for one in JournalReader(root / "journal" / "gate", told).read()]
    assert read(root) == plain
    assert remove(root, now=LATER.replace(year=2020)) == []
    assert read(root) == plain
    report = verify(root)
    assert report.ok, report.findings


def test_what_a_client_names_its_parameters_is_no_private_part(tmp_path: Path) -> None:
    parameters = {"private": "sha256:" + "0" * 64, "session": "s_x"}
    odd = session_leaf("session.start", 0, "s_odd1", recording={"id": "s_odd1"}, upstream={}, parameters=parameters)
    write(tmp_path, [(odd, b""), *session_entries(tmp_path, "s_odd1")[1:]])
    write_sessions(tmp_path)
    remove(tmp_path)
    assert segments(tmp_path)[0] > 2
    report = verify(tmp_path)
    assert report.ok, report.findings


def test_a_key_of_somebody_else_beside_the_ledger_changes_nothing_for_who_brings_one(root: Path) -> None:
    remove(root)
    vkey = folders(root).ledger / "ledger.vkey"
    kept = vkey.read_text().strip()
    vkey.write_text(Signer.make(ORIGIN, bytes(32)).verifier.text() + "\n")
    report = verify_data(folders(root), recordings(root / "recordings"), Trust(kept))
    assert report.ok, report.findings


@pytest.mark.parametrize("seq", [True, "1", -1])
def test_an_odd_seq_in_a_sealed_entry_is_no_place(tmp_path: Path, seq: object) -> None:
    odd = leaf("heartbeat", sessions=0, journal=0, clock="x", session="s_x", seq=seq, private="sha256:" + "0" * 64)
    write(tmp_path, [(odd, b"")])
    write_sessions(tmp_path, *SESSIONS)
    remove(tmp_path)
    assert segments(tmp_path)[0] > 1
    assert read(tmp_path)[0] == (1, odd, b"")
    assert ("private_part", "gate/1") in findings(verify(tmp_path))
