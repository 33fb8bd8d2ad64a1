# SPDX-License-Identifier: Apache-2.0
"""The verification: every change somebody could make to the book has a name."""

from __future__ import annotations

import io
from typing import Any

import pytest
from support.evidence import (
    RECORDING_KEY,
    SESSION,
    chunk,
    chunk_leaf,
    end,
    frame,
    header,
    intent,
    leaf,
    outcome,
    records,
    seal_private,
    sealed_leaf,
    start,
)

from gatebook.evidence import verify
from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.journal_format import Position, parse_header, read_records
from gatebook.evidence.private import PrivateParts
from gatebook.evidence.recording import ChunkOpener, read_chunks
from gatebook.evidence.verify import ExpectedRecording, JournalCheck, Report
from gatebook.model.secret import Secret

FIRST = chunk(0, [frame(">", b"a")])
SECOND = chunk(1, [frame("<", b"b"), frame("<", b"c")])
PRIVATE, COMMITMENT = seal_private(1, 1, b'{"text":"select 1"}')
WHOLE: list[Any] = [
    start(),
    (intent(1, 1, private=COMMITMENT), PRIVATE),
    outcome(1, 2),
    chunk_leaf(0, FIRST, 1),
    end(3),
    chunk_leaf(1, SECOND, 2),
    sealed_leaf([FIRST, SECOND], 3),
]
CLOSED = [outcome(1, 2), end(3), sealed_leaf([], 0)]


def parts_of(session: str) -> PrivateParts:
    return PrivateParts(Secret(RECORDING_KEY), session)


def check(entries: list[Any], *, lives: bool = False, with_keys: bool = True) -> tuple[Report, list[ExpectedRecording]]:
    """Return the report on a journal, and what it expects of recordings."""
    report = Report()
    checking = JournalCheck("gate", report, parts_of if with_keys else None)
    checking.segment(parse_header(header()), 1, Position(0, 1, bytes(32)))
    expected = []
    for record in read_records(io.BytesIO(records(entries)[0]).read, Position(128, 1, bytes(32))):
        sealed = checking.record(record)
        if sealed is not None:
            expected.append(sealed)
    expected += checking.finish(writer_lives=lives)
    return report, expected


def names(report: Report) -> list[str]:
    return [finding.name for finding in report.findings]


def test_finds_nothing_in_a_whole_journal_and_says_what_it_checked() -> None:
    report, expected = check(WHOLE)
    assert report.ok
    assert report.checked == {
        "journals": 1,
        "segments": 1,
        "entries": 7,
        "sessions": 1,
        "private parts opened": 1,
    }
    assert [(one.session, len(one.digests), one.sealed) for one in expected] == [(SESSION, 2, True)]


def test_needs_no_key() -> None:
    report, _ = check(WHOLE, with_keys=False)
    assert report.ok
    assert "private parts opened" not in report.checked


@pytest.mark.parametrize("taken", range(1, 7))
def test_finds_every_entry_that_was_taken_out_and_linked_anew(taken: int) -> None:
    report, _ = check(WHOLE[:taken] + WHOLE[taken + 1 :])
    assert names(report) != []


def test_finds_an_entry_that_was_changed_in_place() -> None:
    data = records([start(), end(1)])[0]
    changed = data.replace(b"client closed", b"client closee")
    report = Report()
    checking = JournalCheck("gate", report)
    for record in read_records(io.BytesIO(changed).read, Position(128, 1, bytes(32))):
        checking.record(record)
    assert names(report) == ["journal_link"]
    assert report.findings[0].subject == "gate/2"


@pytest.mark.parametrize(
    ("entries", "name"),
    [
        ([b"{}"], "entry_malformed"),
        ([b'{"event": "x"}'], "entry_malformed"),
        ([leaf("gateway.stop", writer="other", cause="x", sessions=0)], "entry_malformed"),
        ([(start(), b"private"), end(1), sealed_leaf([], 0)], "private_part"),
        ([start(), intent(1, 1, private=COMMITMENT), *CLOSED], "private_part"),
        ([start(), (intent(1, 1, private="sha256:0"), PRIVATE), *CLOSED], "private_part"),
        ([chunk_leaf(1, SECOND, 2)], "recording_chunk"),
        ([chunk_leaf(0, FIRST, 1), sealed_leaf([FIRST, SECOND], 3)], "recording_seal"),
        ([chunk_leaf(0, FIRST, 1), sealed_leaf([FIRST], 2)], "recording_seal"),
        ([chunk_leaf(0, FIRST, 1), sealed_leaf([SECOND], 1)], "recording_seal"),
        ([start(), end(1)], "recording_unsealed"),
    ],
)
def test_names_what_is_wrong_with_entries(entries: list[Any], name: str) -> None:
    assert names(check(entries)[0]) == [name]


def test_an_unsealed_recording_is_no_finding_while_its_writer_lives() -> None:
    report, expected = check([start(), end(1)], lives=True)
    assert report.ok
    assert not expected[0].sealed


def test_survives_entries_made_to_break_it() -> None:
    odd: dict[str, Any] = {"private": 7, "operation": 7, "sha256": "sha256:zz", "index": "x", "frames": "x", "open": 7}
    for event in ["operation.intent", "operation.outcome", "session.end", "session.lost", "recording.chunk"]:
        data = decode_leaf(WHOLE[0]) | {"event": event, "via": 7, "statement": 7, "effect": 7, "cause": 7} | odd
        members: dict[str, Any] = {
            key: value for key, value in data.items() if key not in {"event", "writer", "time", "v"}
        }
        assert not check([leaf(event, **members, bytes=1, plain=1)])[0].ok


def test_a_private_part_without_session_is_a_finding_and_no_crash() -> None:
    stray = leaf("gateway.stop", cause="x", sessions=0, private=COMMITMENT)
    assert check([(stray, PRIVATE)])[0].ok  # nothing can open it, and nothing says that it must


@pytest.mark.parametrize(
    ("head", "named", "expected", "name"),
    [
        (header(writer=b"other"), 1, Position(0, 1, bytes(32)), "journal_header"),
        (header(), 2, Position(0, 1, bytes(32)), "journal_header"),
        (header(first=5), 5, Position(0, 3, bytes(32)), "segment_missing"),
        (header(first=5, previous=b"\x01" * 32), 5, Position(0, 5, bytes(32)), "journal_link"),
    ],
)
def test_checks_the_head_of_a_segment(head: bytes, named: int, expected: Position, name: str) -> None:
    report = Report()
    JournalCheck("gate", report).segment(parse_header(head), named, expected)
    assert names(report) == [name]


def test_takes_a_segment_behind_one_that_could_not_be_read() -> None:
    report = Report()
    JournalCheck("gate", report).segment(parse_header(header(first=5, previous=b"\x01" * 32)), 5, None)
    assert report.ok


def recording(data: bytes, *, sealed: bool = True, lives: bool = False, key: bytes = RECORDING_KEY) -> Report:
    report = Report()
    expected = check(WHOLE if sealed else WHOLE[:-1], lives=True)[1][0]
    opener = ChunkOpener(Secret(key), SESSION)
    verify.check_recording(report, expected, read_chunks(io.BytesIO(data).read), opener, writer_lives=lives)
    return report


def test_finds_nothing_in_a_whole_recording() -> None:
    report = recording(FIRST + SECOND)
    assert report.ok
    assert report.checked == {"recordings": 1, "chunks": 2, "chunks opened": 2}


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "recording_cut"),
        (FIRST, "recording_cut"),
        (FIRST + SECOND[:-1], "recording_torn"),
        (FIRST + SECOND[:-1] + b"\0", "recording_chunk"),
        (FIRST + SECOND + chunk(2, [frame(">", b"d")]), "recording_chunk"),
        (chunk(0, [frame(">", b"z")]) + SECOND, "recording_chunk"),
    ],
)
def test_names_what_is_wrong_with_a_recording(data: bytes, name: str) -> None:
    assert names(recording(data)) == [name]


def test_a_recording_that_does_not_open_with_its_key_is_a_finding() -> None:
    assert names(recording(FIRST + SECOND, key=b"\x00" * 32)) == ["recording_chunk"]


def test_half_a_chunk_is_no_finding_while_it_is_being_written() -> None:
    more = FIRST + SECOND + chunk(2, [frame(">", b"d")])
    assert recording(more[:-1], sealed=False, lives=True).ok
    assert recording(more, sealed=False, lives=True).ok
    assert names(recording(more[:-1], sealed=False, lives=False)) == ["recording_torn"]
    assert names(recording(FIRST[:-1], sealed=False, lives=True)) == ["recording_torn"]


def test_counts_findings_beyond_its_bound() -> None:
    report = Report()
    for _ in range(1005):
        report.add([Finding("x", "y", "z")])
    assert (len(report.findings), report.more) == (1000, 5)
