# SPDX-License-Identifier: Apache-2.0
"""Journals as the notary reads them: in pieces, over segments, beside a writer, and again from the start."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.data_folder import locked, put_journal
from support.evidence import header, records

from gatebook.evidence.sealed import Place
from gatebook.evidence.tree import leaf_hash
from gatebook.vault import sealing
from gatebook.vault.sealing import JournalTail, Tampered, audit


def take_all(tail: JournalTail, most: int = 100) -> list[bytes]:
    """Every leaf that is there now."""
    found: list[bytes] = []
    while (piece := tail.take(most)) is not None:
        leaves, rest = [], piece.bundle
        while rest:
            size = int.from_bytes(rest[:2])
            leaves.append(rest[2 : 2 + size])
            rest = rest[2 + size :]
        assert piece.count == len(leaves) <= most
        assert piece.hashes == b"".join(map(leaf_hash, leaves))
        found += leaves
    return found


def test_leaves_come_in_order_over_segments(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1", (b"2", b"private")], [b"3"], [b"4"])
    tail = JournalTail(folder, Place())
    assert take_all(tail) == [b"1", b"2", b"3", b"4"]
    assert (tail.place.segment, tail.place.number, tail.torn) == (4, 5, "")


@pytest.mark.parametrize("most", [1, 2, 3])
def test_no_piece_is_larger_than_was_asked_for(tmp_path: Path, most: int) -> None:
    folder = put_journal(tmp_path, [b"1", b"2", b"3"], [b"4"])
    assert take_all(JournalTail(folder, Place()), most) == [b"1", b"2", b"3", b"4"]


def test_reading_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1"])
    tail = JournalTail(folder, Place())
    assert take_all(tail) == [b"1"]
    put_journal(tmp_path, [b"1", b"2"], [b"3"])
    again = JournalTail(folder, tail.place)
    assert (take_all(tail), take_all(again)) == ([b"2", b"3"], [b"2", b"3"])
    assert tail.place == again.place


def test_a_record_longer_than_a_first_look_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "FIRST_BYTES", 64)
    folder = put_journal(tmp_path, [b"1", (b"2", bytes(5000)), b"3"])
    assert take_all(JournalTail(folder, Place())) == [b"1", b"2", b"3"]


def test_a_segment_cut_to_what_was_written_ends(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1"], padding=0)
    tail = JournalTail(folder, Place())
    assert (take_all(tail), tail.torn) == ([b"1"], "")


def test_a_record_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1", b"2"])
    path = folder / f"{1:020}.seg"
    whole = path.read_bytes()
    end = 128 + len(records([b"1", b"2"])[0])
    path.write_bytes(whole[: end - 1] + bytes(len(whole) - end + 1))
    with locked(folder):
        tail = JournalTail(folder, Place())
        assert (take_all(tail), tail.torn) == ([b"1"], "a record's link does not hold")
        path.write_bytes(whole)
        assert (take_all(tail), tail.torn) == ([b"2"], "")


def test_a_segment_that_does_not_continue_the_one_before_is_no_journal(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1"])
    (folder / f"{2:020}.seg").write_bytes(header(2, b"\x09" * 32) + records([b"2"], b"\x09" * 32)[0])
    tail = JournalTail(folder, Place())
    with pytest.raises(Tampered, match="does not continue"):
        take_all(tail)


def test_whether_what_was_sealed_is_there(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1", b"2"], padding=0)
    tail = JournalTail(folder, Place())
    take_all(tail)
    assert tail.is_there()
    path = folder / f"{1:020}.seg"
    path.write_bytes(path.read_bytes()[:-1])
    assert not tail.is_there()
    path.unlink()
    assert not tail.is_there()
    assert JournalTail(folder, Place()).is_there()  # a writer that has not written yet


def test_an_audit_of_what_did_not_change_finds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "AUDIT_ENTRIES", 2)
    folder = put_journal(tmp_path, [b"1", b"2", b"3"], [b"4", b"5"])
    tail = JournalTail(folder, Place())
    take_all(tail)
    assert len(list(audit(folder, tail.place))) >= 3
    assert list(audit(folder, Place())) == []


@pytest.mark.parametrize("changed", [[[b"1", b"x"], [b"3"]], [[b"1", b"2"]], [[b"1"]], []])
def test_an_audit_names_what_changed(tmp_path: Path, changed: list[list[bytes]]) -> None:
    folder = put_journal(tmp_path, [b"1", b"2"], [b"3"])
    tail = JournalTail(folder, Place())
    take_all(tail)
    for path in folder.glob("*.seg"):
        path.unlink()
    put_journal(tmp_path, *changed)
    with pytest.raises(Tampered):
        list(audit(folder, tail.place))
