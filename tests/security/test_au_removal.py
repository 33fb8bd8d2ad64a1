# SPDX-License-Identifier: Apache-2.0
"""Tampering where segments are removed: who removes one himself, or touches a private file, is found and named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.data_folder import recordings
from support.evidence import leaf
from support.notary import findings, folders, seal
from support.removal import (
    OPERATIONS,
    removals,
    remove,
    removing,
    segments,
    verify,
    write,
    write_sessions,
)

from gatebook.evidence.journal_format import HEADER_BYTES, parse_header
from gatebook.evidence.private_file import encode_header, encode_record, read_stored
from gatebook.evidence.removal import Removal, encode_kept
from gatebook.evidence.rotation import WRITER as NOTARY
from gatebook.evidence.sealed import Place
from gatebook.vault.journal import JournalWriter
from gatebook.vault.sealing import Tampered

ONE, OTHER = "s_aaaa", "s_bbbb"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of which two sessions are in removed segments, and two in segments that are kept."""
    write_sessions(tmp_path, ONE, OTHER)
    remove(tmp_path)
    write_sessions(tmp_path, "s_cccc", "s_dddd")
    seal(tmp_path)
    report = verify(tmp_path)
    assert report.ok, report.findings
    return tmp_path


def private_file(root: Path, session: str = ONE) -> Path:
    return recordings(root / "recordings").private_path(session)


def names(root: Path, *, with_key: bool = True) -> set[str]:
    return {name for name, _ in findings(verify(root, with_key=with_key))}


@pytest.mark.parametrize("which", [0, 1, -2, -1])
def test_au_03_a_segment_that_somebody_else_removes_is_missed(book: Path, which: int) -> None:
    gone = segments(book)[which]
    (book / "journal" / "gate" / f"{gone:020}.seg").unlink()
    assert names(book) & {"segment_missing", "journal_shorter"}
    with pytest.raises(Tampered):
        remove(book)
    assert len(removals(book)) == len([one for one in removals(book) if one.last < gone])


def test_au_03_a_segment_removed_just_before_its_turn_is_missed(tmp_path: Path) -> None:
    write_sessions(tmp_path, ONE, OTHER)
    second = segments(tmp_path)[1]
    with removing(tmp_path) as at_work, pytest.raises(Tampered, match="gone"):  # noqa: PT012  the removal is under way
        for may_go_on in at_work.remover.round():
            if not may_go_on:
                (tmp_path / "journal" / "gate" / f"{second:020}.seg").unlink(missing_ok=True)
                at_work.notary.seal()
    assert names(tmp_path) & {"segment_missing", "journal_shorter"}


def test_au_03_an_entry_of_a_removal_by_another_writer_counts_for_nothing(book: Path) -> None:
    gone, behind = segments(book)[0], segments(book)[1]
    told = removals(book)[-1]
    (book / "journal" / "gate" / f"{gone:020}.seg").unlink()
    forged = Removal("gate", gone, behind - 1, told.after, bytes(32), "sha256:0", 0)
    write(book, [(leaf("journal.removed", "gate", **forged.members()), b"")])
    seal_with_forged_state(book, behind)
    assert "segment_missing" in names(book)


def link_before(root: Path, first: int) -> bytes:
    with (root / "journal" / "gate" / f"{first:020}.seg").open("rb") as file:
        return parse_header(file.read(HEADER_BYTES)).previous


def seal_with_forged_state(root: Path, first: int) -> None:
    """Seal as somebody who can write the notary's folder, and makes it believe that it removed what is gone."""
    kept = encode_kept({"gate": Place(segment=first, number=first, link=link_before(root, first))})
    (folders(root).notary / "removed").write_bytes(kept)
    seal(root)


def test_au_03_a_removal_that_was_forged_in_the_notarys_name_hides_no_private_part(book: Path) -> None:
    """Who writes the notary's own journal can have a segment taken for removed: its leaves are in the ledger."""
    gone = segments(book)[0]
    first = len(removals(book))
    path = book / "journal" / "gate" / f"{gone:020}.seg"
    behind = segments(book)[1]
    previous = removals(book)[-1].after
    forged = Removal("gate", gone, behind - 1, previous, link_before(book, behind), "sha256:0", 0)
    path.unlink()
    with JournalWriter.open(book / "journal", NOTARY, sync="every") as journal:
        journal.append(leaf("journal.removed", NOTARY, **forged.members()))
    seal_with_forged_state(book, behind)
    assert len(removals(book)) == first + 1
    for with_key in (True, False):
        assert names(book, with_key=with_key) == {"private_part"}


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "one byte of a part": lambda data: data[:180] + bytes([data[180] ^ 1]) + data[181:],
    "one byte of a check": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "one byte of a number": lambda data: data[:151] + bytes([data[151] ^ 1]) + data[152:],
    "one byte of a length": lambda data: data[:163] + bytes([data[163] ^ 1]) + data[164:],
    "one byte of the head": lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
    "its end": lambda data: data[:-1],
    "its last record": lambda data: data[: -len(data) // 3],
    "all but its head": lambda data: data[:144],
    "everything": lambda _: b"",
}


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize("what", CHANGES)
def test_au_06_whatever_is_changed_or_cut_of_a_private_file_is_named(book: Path, what: str, *, with_key: bool) -> None:
    path = private_file(book)
    path.write_bytes(CHANGES[what](path.read_bytes()))
    found = findings(verify(book, with_key=with_key))
    assert {name for name, _ in found} == {"private_part"}
    assert all(subject == ONE or subject.startswith("gate/") for _, subject in found)


@pytest.mark.parametrize("with_key", [True, False])
def test_au_06_any_byte_of_a_private_file_that_is_another_is_found(book: Path, *, with_key: bool) -> None:
    path = private_file(book)
    whole = path.read_bytes()
    for place in range(0, len(whole), 13):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x40]) + whole[place + 1 :])
        assert names(book, with_key=with_key) == {"private_part"}, place


@pytest.mark.parametrize("with_key", [True, False])
def test_au_06_private_files_that_changed_places_are_found(book: Path, *, with_key: bool) -> None:
    one, other = private_file(book), private_file(book, OTHER)
    contents = one.read_bytes(), other.read_bytes()
    other.write_bytes(contents[0])
    one.write_bytes(contents[1])
    found = findings(verify(book, with_key=with_key))
    assert sorted(found) == [("private_part", ONE), ("private_part", OTHER)]


@pytest.mark.parametrize("with_key", [True, False])
def test_au_06_parts_that_changed_places_with_checks_made_anew_are_found(book: Path, *, with_key: bool) -> None:
    path = private_file(book)
    with path.open("rb") as file:
        file.seek(144)
        records = list(read_stored(file.read, ONE))
    first, second = records[:2]
    exchanged = [(first.number, first.seq, second.sealed), (second.number, second.seq, first.sealed)]
    rest = [(one.number, one.seq, one.sealed) for one in records[2:]]
    parts = b"".join(encode_record(ONE, *one) for one in exchanged + rest)
    path.write_bytes(encode_header(ONE, "gate") + parts)
    expected = {"removal_differs", "private_part"} if with_key else {"removal_differs"}
    assert names(book, with_key=with_key) == expected


def test_au_06_a_part_too_much_is_found(book: Path) -> None:
    path = private_file(book)
    with path.open("rb") as file:
        file.seek(144)
        records = [(one.number, one.seq, one.sealed) for one in read_stored(file.read, ONE)]
    extra = (records[0][0] + 1, 99, b"smuggled")
    parts = b"".join(encode_record(ONE, *one) for one in sorted([*records, extra]))
    path.write_bytes(encode_header(ONE, "gate") + parts)
    assert findings(verify(book)) == [("private_part", ONE)]


def test_au_06_a_private_file_that_is_gone_is_found_unless_its_session_is_erased(book: Path) -> None:
    private_file(book).unlink()
    found = findings(verify(book))
    assert {name for name, _ in found} == {"private_part"}
    assert len(found) == OPERATIONS
    private_file(book).with_suffix(".key").unlink()
    # Nobody could read it any more; that nobody said who let it go is all that is left to tell.
    assert {name for name, _ in findings(verify(book))} == {"erased"}


def test_au_06_a_private_file_of_nobody_is_found(book: Path) -> None:
    stray = private_file(book, "s_nobody")
    stray.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(private_file(book), stray)
    assert findings(verify(book)) == [("recording_unknown", "s_nobody")]


def test_au_04_a_removed_entry_changed_in_the_ledger_is_found(book: Path) -> None:
    entries = min(path for path in (folders(book).ledger / "tile/entries").rglob("*") if path.is_file())
    data = entries.read_bytes()
    entries.write_bytes(data.replace(b'"status":"done"', b'"status":"dont"', 1))
    assert {"ledger_entry", "removal_differs"} <= names(book, with_key=False)


def test_au_01_two_entries_that_differ_on_one_removal_are_found(book: Path) -> None:
    told = removals(book)[0]
    other = Removal("gate", told.first, told.last, told.before, bytes(32), told.digest, told.moved)
    with JournalWriter.open(book / "journal", NOTARY, sync="every") as journal:
        journal.append(leaf("journal.removed", NOTARY, **told.members()))  # the same again is what a crash leaves
    seal(book)
    assert verify(book).ok
    with JournalWriter.open(book / "journal", NOTARY, sync="every") as journal:
        journal.append(leaf("journal.removed", NOTARY, **other.members()))
        journal.append(leaf("journal.removed", NOTARY, **(other.members() | {"first": 0})))
    seal(book)
    assert sorted(findings(verify(book))) == [("entry_malformed", NOTARY), ("removal_differs", f"gate/{told.first}")]
