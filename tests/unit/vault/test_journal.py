# SPDX-License-Identifier: Apache-2.0
"""Journals on disk: read in order over segments, beside a living writer, and past what is damaged."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.data_folder import locked, put_journal
from support.evidence import header, leaf, records

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import Header, Position
from gatebook.vault import journal
from gatebook.vault.journal import Faults, JournalReader, JournalUnwritable, JournalWriter

STOP = leaf("gateway.stop", cause="x", sessions=0)


class Told:
    """A watcher that keeps everything it is told."""

    check_tail = True

    def __init__(self) -> None:
        self.segments: list[tuple[int, Position | None]] = []
        self.faults: list[tuple[str, str]] = []

    def segment(self, header: Header, named: int, expected: Position | None) -> None:
        assert header.first == named
        self.segments.append((named, expected))

    def fault(self, subject: str, fault: EvidenceFault) -> None:
        self.faults.append((subject, fault.finding))


def test_reads_over_segments_in_order(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1", b"2"], [b"3"], [])
    told = Told()
    found = list(JournalReader(folder, told).read())
    assert [(record.number, record.leaf) for record in found] == [(1, b"1"), (2, b"2"), (3, b"3")]
    assert all(record.link_holds for record in found)
    assert told.faults == []
    assert [named for named, _ in told.segments] == [1, 3, 4]
    assert told.segments[0][1] == Position(0, 1, bytes(32))
    assert told.segments[1][1] == found[1].end
    assert told.segments[2][1] == found[2].end


def test_begins_at_a_later_segment_without_expecting_anything(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1", b"2"], [b"3"])
    told = Told()
    assert [record.leaf for record in JournalReader(folder, told, from_segment=3).read()] == [b"3"]
    assert told.segments == [(3, None)]


def test_gives_what_has_come_since_it_was_asked_last(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1"])
    reader = JournalReader(folder, Faults())
    assert [record.leaf for record in reader.read()] == [b"1"]
    assert list(reader.read()) == []
    put_journal(tmp_path, [b"1", b"2"], [b"3"])
    assert [record.leaf for record in reader.read()] == [b"2", b"3"]


def test_reads_nothing_where_there_is_no_journal(tmp_path: Path) -> None:
    assert list(JournalReader(tmp_path / "absent", Faults()).read()) == []


def test_goes_on_behind_a_segment_that_is_damaged(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1", b"2"], [b"3"])
    first = folder / f"{1:020}.seg"
    first.write_bytes(first.read_bytes()[:169] + b"\xff" * 200)
    told = Told()
    assert [record.leaf for record in JournalReader(folder, told).read()] == [b"1", b"3"]
    assert told.faults == [("gate/1", "journal_torn")]
    assert told.segments[1] == (3, None)


def test_names_a_segment_without_a_header(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1"])
    (folder / f"{1:020}.seg").write_bytes(b"")
    told = Told()
    assert list(JournalReader(folder, told).read()) == []
    assert told.faults == [("gate/1", "journal_header")]


def test_names_bytes_behind_the_end_only_if_told_to_look(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1"])
    segment = folder / f"{1:020}.seg"
    segment.write_bytes(segment.read_bytes() + b"x")
    told, silent = Told(), Faults()
    assert len(list(JournalReader(folder, told).read())) == 1
    assert told.faults == [("gate/1", "journal_torn")]
    assert len(list(JournalReader(folder, silent).read())) == 1
    assert silent.faults == []


def test_does_not_take_the_tail_of_a_living_writer_for_damage(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1"])
    segment = folder / f"{1:020}.seg"
    segment.write_bytes(segment.read_bytes() + b"x")
    told = Told()
    with locked(folder):
        assert len(list(JournalReader(folder, told).read())) == 1
    assert told.faults == []


def test_waits_for_a_record_that_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = put_journal(tmp_path, [b"1"])
    segment = folder / f"{1:020}.seg"
    data = records([b"1", b"2"])[0]
    segment.write_bytes(header() + data[:-7])
    told = Told()
    monkeypatch.setattr(time, "sleep", lambda _: segment.write_bytes(header() + data + bytes(100)))
    with locked(folder):
        assert [record.leaf for record in JournalReader(folder, told).read()] == [b"1", b"2"]
    assert told.faults == []


def test_names_a_torn_record_when_its_living_writer_never_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "RETRY_S", 0)
    folder = put_journal(tmp_path, [b"1"])
    (folder / f"{1:020}.seg").write_bytes(header() + records([b"1"])[0][:-7])
    told = Told()
    with locked(folder):
        assert list(JournalReader(folder, told).read()) == []
    assert told.faults == [("gate/1", "journal_torn")]


def test_names_a_segment_that_cannot_be_read(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [b"1"])
    (folder / f"{1:020}.seg").unlink()
    (folder / f"{1:020}.seg").mkdir()
    told = Told()
    assert list(JournalReader(folder, told).read()) == []
    assert told.faults == [("gate/1", "journal_unreadable")]


def test_lists_journals_and_ignores_what_is_none(tmp_path: Path) -> None:
    put_journal(tmp_path, [b"1"], writer="gate")
    put_journal(tmp_path, [b"1"], writer="cli")
    (tmp_path / "a file").touch()
    (tmp_path / "not an id").mkdir()
    assert [folder.name for folder in journal.list_journals(tmp_path)] == ["cli", "gate"]
    assert journal.list_journals(tmp_path / "absent") == []


def test_knows_whether_a_writer_lives(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [])
    assert not journal.writer_lives(folder)
    with locked(folder):
        assert journal.writer_lives(folder)
    assert not journal.writer_lives(folder)
    assert not journal.writer_lives(tmp_path / "absent")


def test_writes_what_it_reads(tmp_path: Path) -> None:
    with JournalWriter.open(tmp_path, "cli", sync="every") as writer:
        assert writer.append(STOP) == 1
        assert writer.append(STOP, b"private", durable=False) == 2
    with JournalWriter.open(tmp_path, "cli", sync="privileged") as writer:
        assert writer.append(STOP) == 3
    told = Told()
    found = list(JournalReader(tmp_path / "cli", told).read())
    assert [(record.leaf, record.private) for record in found] == [(STOP, b""), (STOP, b"private"), (STOP, b"")]
    assert all(record.link_holds for record in found)
    assert told.faults == []


def test_one_journal_has_one_writer(tmp_path: Path) -> None:
    with (
        JournalWriter.open(tmp_path, "cli", sync="every"),
        pytest.raises(JournalUnwritable, match="cannot be opened") as caught,
    ):
        JournalWriter.open(tmp_path, "cli", sync="every", wait_s=0.05)
    assert "whether another process writes this journal" in caught.value.hint


def test_waits_for_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = JournalWriter.open(tmp_path, "cli", sync="every")
    monkeypatch.setattr(time, "sleep", lambda _: first.close())
    with JournalWriter.open(tmp_path, "cli", sync="every", wait_s=60) as second:
        assert second.append(STOP) == 1


def test_says_that_evidence_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cli").touch()
    with pytest.raises(JournalUnwritable, match="cannot be opened"):
        JournalWriter.open(tmp_path, "cli", sync="every")
    writer = JournalWriter.open(tmp_path, "other", sync="every")
    writer.close()
    with pytest.raises(JournalUnwritable, match="evidence cannot be written"):
        writer.append(STOP)
