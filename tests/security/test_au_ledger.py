# SPDX-License-Identifier: Apache-2.0
"""Tampering with journals and ledger for real, by somebody who can write every file but has no notary's key."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.evidence import header, leaf, records
from support.notary import ORIGIN, findings, folders, open_notary, seal, verify, write_entries

from gatebook.evidence.checkpoint import Checkpoint, sign
from gatebook.evidence.journal_format import HEADER_BYTES, parse_header, read_records, start_of
from gatebook.evidence.note import Signer
from gatebook.vault.journal import JournalWriter
from gatebook.vault.notary import TORN_PASSES, NotaryBusy
from gatebook.vault.sealing import Tampered

COUNT = 600
Change = Callable[[list[bytes]], list[bytes]]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of two writers, sealed, and an older seal of it kept elsewhere."""
    write_entries(tmp_path, "gate", COUNT // 2)
    write_entries(tmp_path, "cli", 3)
    seal(tmp_path)
    (tmp_path / "kept").mkdir()
    write_entries(tmp_path, "gate", COUNT // 2, first=COUNT // 2)
    seal(tmp_path)
    for name in ("checkpoint", "ledger.vkey"):
        shutil.copy(folders(tmp_path).ledger / name, tmp_path / "kept" / name)
    report = verify(tmp_path)
    assert report.ok, findings(report)
    assert report.checked["ledger entries"] == COUNT + 3
    return tmp_path


def rewrite(root: Path, change: Change, writer: str = "gate") -> None:
    """Change the entries of a journal and link all of it anew, as its own code would."""
    folder = root / "journal" / writer
    paths = sorted(folder.glob("*.seg"))
    leaves: list[bytes] = []
    for path in paths:
        with path.open("rb") as file:
            place = start_of(parse_header(file.read(HEADER_BYTES)))
            leaves += [record.leaf for record in read_records(file.read, place)]
        path.unlink()
    data, _ = records(change(leaves))
    (folder / f"{1:020}.seg").write_bytes(header(writer=writer.encode()) + data)


def is_refused_by_the_notary(root: Path) -> bool:
    """Whether a notary that starts now signs nothing any more."""
    checkpoint = folders(root).ledger / "checkpoint"
    before = checkpoint.read_bytes()
    write_entries(root, "other", 1)
    with pytest.raises(Tampered):
        _audit_and_seal(root)
    return checkpoint.read_bytes() == before


def _audit_and_seal(root: Path) -> None:
    notary = open_notary(root)
    try:
        for _ in notary.audit():
            pass
        notary.seal()
    finally:
        notary.close()


def put_first(leaves: list[bytes]) -> list[bytes]:
    return [leaf("heartbeat", sessions=9, journal=0, clock="unknown"), *leaves]


CHANGES: dict[str, Change] = {
    "inserted": put_first,
    "reordered": lambda leaves: [leaves[1], leaves[0], *leaves[2:]],
    "duplicated": lambda leaves: [leaves[0], *leaves],
    "another time": lambda leaves: [leaves[0].replace(b"2026-01-01T12", b"2026-01-01T13"), *leaves[1:]],
    "one byte": lambda leaves: [*leaves[:7], leaves[7].replace(b'"sessions":7', b'"sessions":8'), *leaves[8:]],
    "one removed": lambda leaves: [*leaves[:5], *leaves[6:]],
}


@pytest.mark.parametrize("name", CHANGES)
def test_au_01_and_au_04_a_journal_that_was_changed_and_linked_anew_is_not_what_was_sealed(
    book: Path, name: str
) -> None:
    rewrite(book, CHANGES[name])
    found = findings(verify(book))
    assert ("journal_shorter" if name == "one removed" else "journal_differs", "gate") in found
    assert is_refused_by_the_notary(book)


def test_au_02_a_journal_whose_tail_was_cut_is_shorter_than_its_seal(book: Path) -> None:
    rewrite(book, lambda leaves: leaves[:-1])
    assert ("journal_shorter", "gate") in findings(verify(book))
    assert is_refused_by_the_notary(book)


def test_au_02_a_ledger_put_back_to_an_older_seal_is_found_by_a_kept_checkpoint(tmp_path: Path) -> None:
    write_entries(tmp_path, "gate", 300)
    seal(tmp_path)
    copies = {path: tmp_path / "older" / path.name for path in (folders(tmp_path).ledger, folders(tmp_path).notary)}
    for path, copy in copies.items():
        shutil.copytree(path, copy)
    shutil.copytree(tmp_path / "journal", tmp_path / "older" / "journal")
    write_entries(tmp_path, "gate", 10, first=300)
    seal(tmp_path)
    kept = (folders(tmp_path).ledger / "checkpoint").read_bytes()
    for name in ("ledger", "notary", "journal"):
        shutil.rmtree(tmp_path / name)
        shutil.copytree(tmp_path / "older" / name, tmp_path / name)
    assert verify(tmp_path).ok  # nothing on this machine can show it
    assert findings(verify(tmp_path, since=kept)) == [("ledger_fork", "checkpoint")]


def test_au_02_a_checkpoint_that_the_notary_does_not_know_stops_it(book: Path) -> None:
    state = folders(book).notary / "state"
    older = state.read_bytes()
    write_entries(book, "gate", 1, first=COUNT)
    seal(book)
    state.write_bytes(older)
    with pytest.raises(Tampered, match="state is behind"):
        open_notary(book)


def test_au_03_a_journal_that_is_gone_is_missed(book: Path) -> None:
    shutil.rmtree(book / "journal" / "cli")
    assert ("journal_missing", "cli") in findings(verify(book))
    assert is_refused_by_the_notary(book)


def test_au_03_a_ledger_that_is_gone_is_missed(book: Path) -> None:
    shutil.rmtree(folders(book).ledger)
    assert findings(verify(book)) == [("checkpoint_key", "checkpoint")]
    with pytest.raises(Tampered):
        open_notary(book)


@pytest.mark.parametrize("kind", ["tile/0/000", "tile/0/001", "tile/0/002.p", "tile/1/000.p", "tile/entries/001"])
def test_au_04_one_byte_of_any_file_of_the_ledger_is_found_and_named(book: Path, kind: str) -> None:
    path = folders(book).ledger / kind
    if path.is_dir():
        path = max(path.iterdir(), key=lambda one: int(one.name))
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    assert findings(verify(book)) != []
    expected = {"tile/0": "ledger_entry", "tile/1": "tile_differs", "tile/e": "ledger_entry"}[kind[:6]]
    assert expected in {name for name, _ in findings(verify(book))}


def test_au_04_entries_of_two_tiles_that_changed_places_are_found(book: Path) -> None:
    entries = folders(book).ledger / "tile/entries"
    hashes = folders(book).ledger / "tile/0"
    for folder in (entries, hashes):
        (folder / "000").rename(folder / "x")
        (folder / "001").rename(folder / "000")
        (folder / "x").rename(folder / "001")
    found = {name for name, _ in findings(verify(book))}
    assert {"tile_differs", "ledger_root", "journal_differs"} <= found


def test_au_05_a_ledger_made_anew_under_another_key_is_refused_by_who_kept_the_key(book: Path) -> None:
    for path in (folders(book).ledger, folders(book).notary):
        shutil.rmtree(path)
    rewrite(book, CHANGES["one byte"])
    notary = open_notary(book)
    notary.close()
    shutil.rmtree(folders(book).ledger)
    shutil.rmtree(folders(book).notary)
    forged = Signer.make(ORIGIN, os.urandom(32))
    folders(book).notary.mkdir()
    (folders(book).notary / "key").write_text(f"{forged.text()}\n")
    seal(book)
    assert verify(book).ok
    kept = (book / "kept" / "ledger.vkey").read_text().strip()
    assert kept != forged.verifier.text()
    assert [name for name, _ in findings(verify(book, key=kept))] == ["note_unsigned"]


def test_au_05_a_bigger_tree_signed_by_another_key_is_no_checkpoint(book: Path) -> None:
    forged = Signer.make(ORIGIN, os.urandom(32))
    note = sign(Checkpoint(ORIGIN, COUNT + 3, bytes(32)), forged)
    (folders(book).ledger / "checkpoint").write_bytes(note)
    assert [name for name, _ in findings(verify(book))] == ["note_unsigned"]
    with pytest.raises(Tampered):
        open_notary(book)


def test_au_09_a_second_notary_of_one_folder_is_refused(book: Path) -> None:
    first = open_notary(book)
    with pytest.raises(NotaryBusy):
        open_notary(book)
    first.close()


def test_au_09_journals_of_two_writers_stand_in_one_tree_each_in_its_own_order(tmp_path: Path) -> None:
    for turn in range(5):
        for writer in ("gate", "cli", "third"):
            write_entries(tmp_path, writer, 70, first=70 * turn)
        seal(tmp_path)
    report = verify(tmp_path)
    assert report.ok, findings(report)
    assert report.checked["ledger entries"] == 5 * 3 * 70


def test_a_segment_damaged_behind_the_sealed_place_stops_the_notary_while_its_writer_lives(tmp_path: Path) -> None:
    write_entries(tmp_path, "gate", 3)
    notary = open_notary(tmp_path)
    assert notary.seal().size == 3
    with JournalWriter.open(tmp_path / "journal", "gate", sync="privileged", segment_bytes=1 << 16) as journal:
        journal.append(leaf("heartbeat", sessions=1, journal=0, clock="unknown"))
        (segment,) = list((tmp_path / "journal" / "gate").glob("*.seg"))
        data = bytearray(segment.read_bytes())
        end = data.index(b'"sessions":1,', data.index(b'"sessions":2,') + 1)
        data[end + 12] ^= 1
        segment.write_bytes(data)
        for _ in range(TORN_PASSES - 1):
            assert notary.seal().entries == 0
        with pytest.raises(Tampered, match="link does not hold"):
            notary.seal()
    notary.close()
