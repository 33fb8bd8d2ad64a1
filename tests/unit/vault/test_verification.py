# SPDX-License-Identifier: Apache-2.0
"""The verification of a whole data folder, and of each way to tamper with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.data_folder import locked, put_journal, put_recording, recordings
from support.evidence import (
    SESSION,
    chunk,
    chunk_leaf,
    end,
    frame,
    intent,
    leaf,
    outcome,
    recording_header,
    seal_private,
    sealed_leaf,
    start,
)
from support.ledger import write_ledger
from support.notary import folders
from support.record import whole

from gatebook.evidence.entry import Leaf, encode_leaf, format_time
from gatebook.evidence.verify import Report
from gatebook.vault.recordings import Recordings
from gatebook.vault.verification import Trust, verify_copy, verify_data

FIRST, SECOND = chunk(0, [frame(">", b"a")]), chunk(1, [frame("<", b"b")])
PRIVATE, COMMITMENT = seal_private(1, 1, b'{"text":"select 1"}')
BEFORE: list[Any] = [start(), (intent(1, 1, private=COMMITMENT), PRIVATE), chunk_leaf(0, FIRST, 1)]
AFTER: list[Any] = [outcome(1, 2), end(3), chunk_leaf(1, SECOND, 1), sealed_leaf([FIRST, SECOND], 2)]


def build(root: Path) -> Path:
    """Make a data folder with one session; return the journal of the gate."""
    put_recording(root / "recordings", recording_header() + FIRST + SECOND)
    put_journal(root / "journal", [leaf("gateway.stop", "cli", cause="x", sessions=0)], writer="cli")
    return put_journal(root / "journal", BEFORE, AFTER)


def verify(root: Path) -> Report:
    return verify_data(folders(root), recordings(root / "recordings"))


def names(report: Report) -> set[str]:
    return {finding.name for finding in report.findings}


def test_finds_nothing_in_a_whole_book(tmp_path: Path) -> None:
    build(tmp_path)
    report = verify(tmp_path)
    assert report.findings == []
    assert report.checked == {
        "journals": 2,
        "segments": 3,
        "entries": 8,
        "sessions": 1,
        "private parts opened": 1,
        "recordings": 1,
        "chunks": 2,
        "chunks opened": 2,
    }


def test_needs_no_key(tmp_path: Path) -> None:
    build(tmp_path)
    report = verify_data(folders(tmp_path), Recordings(tmp_path / "recordings"))
    assert report.ok
    assert report.checked["chunks"] == 2
    assert "chunks opened" not in report.checked


def test_finds_nothing_in_an_empty_folder(tmp_path: Path) -> None:
    assert verify(tmp_path).ok


def test_finds_nothing_while_the_gate_is_writing(tmp_path: Path) -> None:
    put_recording(tmp_path / "recordings", recording_header() + FIRST + SECOND[:10])
    put_recording(tmp_path / "recordings", b"", "s_justmade")
    folder = put_journal(tmp_path / "journal", BEFORE)
    with locked(folder):
        assert verify(tmp_path).ok
    assert names(verify(tmp_path)) == {
        "session_without_end",
        "intent_without_outcome",
        "recording_torn",
        "recording_unknown",
    }


def rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def record_path(root: Path) -> Path:
    return recordings(root / "recordings").path_of(SESSION)


TAMPERINGS: dict[str, tuple[Callable[[Path, Path], object], set[str]]] = {
    "a byte of an entry is changed": (
        lambda _, folder: rewrite(folder / f"{1:020}.seg", lambda data: data.replace(b'"query"', b'"parse"')),
        {"journal_link"},
    ),
    "a segment is taken away": (
        lambda _, folder: (folder / f"{1:020}.seg").unlink(),
        {"segment_missing", "seq_missing", "outcome_without_intent", "session_without_start", "recording_chunk"}
        | {"recording_seal"},
    ),
    "a segment is renamed": (
        lambda _, folder: (folder / f"{4:020}.seg").rename(folder / f"{5:020}.seg"),
        {"journal_header"},
    ),
    "the last segment is cut": (
        lambda _, folder: rewrite(folder / f"{4:020}.seg", lambda data: data[:200]),
        {"journal_torn", "session_without_end", "intent_without_outcome"},
    ),
    "bytes are put behind the end": (
        lambda _, folder: rewrite(folder / f"{4:020}.seg", lambda data: data + b"x"),
        {"journal_torn"},
    ),
    "a journal is moved to another writer": (
        lambda root, folder: folder.rename(root / "journal" / "other"),
        {"journal_header", "entry_malformed", "recording_unknown"},
    ),
    "a recording is taken away": (lambda root, _: record_path(root).unlink(), {"recording_missing"}),
    "a recording is cut": (
        lambda root, _: rewrite(record_path(root), lambda data: data[: -len(SECOND)]),
        {"recording_cut"},
    ),
    "a chunk is changed": (
        lambda root, _: rewrite(record_path(root), lambda data: data[:-1] + b"\0"),
        {"recording_chunk"},
    ),
    "a recording is put in place of another": (
        lambda root, _: rewrite(record_path(root), lambda data: data.replace(b"s_abcdef", b"s_abcdeg")),
        {"recording_header"},
    ),
    "a recording is put there that nobody made": (
        lambda root, _: put_recording(root / "recordings", recording_header("s_x"), "s_x"),
        {"recording_unknown"},
    ),
    "a key file is changed": (
        lambda root, _: rewrite(record_path(root).with_suffix(".key"), lambda data: data.replace(b"BQUF", b"BQUG")),
        {"key_unusable"},
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_names_each_way_to_tamper(tmp_path: Path, tampering: str) -> None:
    folder = build(tmp_path)
    change, expected = TAMPERINGS[tampering]
    change(tmp_path, folder)
    assert names(verify(tmp_path)) == expected


def test_an_erased_recording_is_no_finding(tmp_path: Path) -> None:
    build(tmp_path)
    record_path(tmp_path).with_suffix(".key").unlink()
    report = verify(tmp_path)
    assert report.ok
    assert "chunks opened" not in report.checked


def test_a_session_id_that_points_elsewhere_is_a_finding_and_no_way_out(tmp_path: Path) -> None:
    evil = "../../../etc/passwd"
    put_journal(tmp_path / "journal", [start(session=evil), end(1, evil), chunk_leaf(0, FIRST, 1, evil)])
    assert "session_id" in names(verify(tmp_path))


def test_opens_private_parts_of_many_sessions(tmp_path: Path) -> None:
    entries: list[Any] = []
    for number in range(300):
        session = f"s_{number:06}"
        sealed, commitment = seal_private(1, 1, b"{}", session)
        entries += [start(session=session), (intent(1, 1, session, private=commitment), sealed)]
        entries += [outcome(1, 2, session), end(3, session), sealed_leaf([], 0, session)]
        put_recording(tmp_path / "recordings", recording_header(session), session)
    put_journal(tmp_path / "journal", entries)
    report = verify(tmp_path)
    assert report.findings == []
    assert report.checked["private parts opened"] == 300


def test_reports_a_key_file_that_is_not_usable_once(tmp_path: Path) -> None:
    build(tmp_path)
    record_path(tmp_path).with_suffix(".key").write_bytes(b"garbage")
    assert [finding.name for finding in verify(tmp_path).findings] == ["key_unusable"]


def approvals_of(root: Path, leaves: list[Leaf]) -> list[str]:
    """Write journals of these entries, and return what a verification finds of approvals."""
    for writer in ("cli", "gate"):
        put_journal(root / "journal", [encode_leaf(leaf) for leaf in leaves if leaf["writer"] == writer], writer=writer)
    report = verify_data(folders(root), recordings(root / "recordings"))
    return [finding.name for finding in report.findings if finding.name.startswith("approval")]


def test_holds_approvals_of_all_journals_beside_each_other(tmp_path: Path) -> None:
    assert approvals_of(tmp_path / "whole", list(whole().values())) == []
    lacking = [leaf for leaf in whole().values() if leaf["event"] != "approval.granted"]
    assert approvals_of(tmp_path / "lacking", lacking) == ["approval_missing"]


def test_passes_over_approvals_that_go_on_while_it_reads(tmp_path: Path) -> None:
    lacking = [leaf for leaf in whole().values() if leaf["event"] != "approval.granted"]
    soon = format_time(datetime.now(UTC) + timedelta(hours=1))
    late = [leaf | {"time": soon} if leaf["event"] == "operation.intent" else leaf for leaf in lacking]
    assert approvals_of(tmp_path, late) == ["approval_missing"]
    with locked(tmp_path / "journal" / "gate"):
        report = verify_data(folders(tmp_path), recordings(tmp_path / "recordings"))
    assert report.checked["approvals under way"] == 1
    assert not any(finding.name.startswith("approval") for finding in report.findings)


def test_holds_approvals_of_a_copy_of_the_ledger_alone(tmp_path: Path) -> None:
    for name, out in (("whole", ""), ("lacking", "approval.granted")):
        leaves = [encode_leaf(leaf) for leaf in whole().values() if leaf["event"] != out]
        write_ledger(tmp_path / name, [*leaves, leaf("heartbeat", sessions=1, journal=1, clock="unknown")])
        report = Report()
        verify_copy(tmp_path / name, report, Trust())
        assert [finding.name for finding in report.findings] == (["approval_missing"] if out else [])
        assert report.checked["approvals"] == 1


def test_names_an_entry_about_approvals_in_a_copy_that_has_not_its_form(tmp_path: Path) -> None:
    write_ledger(tmp_path / "copy", [leaf("approval.granted", request="apr_1")])
    report = Report()
    verify_copy(tmp_path / "copy", report, Trust())
    assert [(finding.name, finding.subject) for finding in report.findings] == [("entry_malformed", "ledger/0")]
