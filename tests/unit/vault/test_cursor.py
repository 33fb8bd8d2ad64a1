# SPDX-License-Identifier: Apache-2.0
"""Cursors: one form, every other refused and never begun anew; state that is only told; one process at a time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatebook.evidence.tree import EMPTY_ROOT
from gatebook.vault import cursor
from gatebook.vault.cursor import Cursor, CursorFault, ExportBusy, ExportFolder, ExportState, decode_cursor
from gatebook.vault.ledger import SystemDisk

SINCE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MADE = Cursor("ledger.example/gatebook", "key", 7, EMPTY_ROOT, SINCE, SINCE)


def test_a_cursor_is_read_as_it_was_written(tmp_path: Path) -> None:
    files = ExportFolder(tmp_path, "siem")
    assert files.read_cursor() is None
    for one in (MADE, Cursor("o", "", 0, EMPTY_ROOT, SINCE)):
        files.write_cursor(SystemDisk(), one)
        assert files.read_cursor() == one
    assert (tmp_path / "siem.cursor").stat().st_mode & 0o777 == 0o600


def test_every_cut_and_every_changed_byte_of_the_form_is_refused() -> None:
    data = MADE.encode()
    for end in range(len(data)):
        with pytest.raises(CursorFault):
            decode_cursor(data[:end])
    with pytest.raises(CursorFault, match="cut or too long"):
        decode_cursor(data + b" " * 4096 + b"\n")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("v", 2),
        ("v", True),
        ("origin", 1),
        ("key", []),
        ("next", -1),
        ("next", True),
        ("next", "7"),
        ("root", "AAAA"),
        ("root", "?"),
        ("since", ""),
        ("acknowledged", "yesterday"),
        ("more", 1),
    ],
)
def test_a_member_of_another_kind_is_refused(member: str, value: object) -> None:
    told = json.loads(MADE.encode()) | {member: value}
    data = json.dumps(told, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    with pytest.raises(CursorFault) as fault:
        decode_cursor(data)
    assert fault.value.finding == "export_cursor"


def test_a_cursor_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "siem.cursor").mkdir()
    with pytest.raises(CursorFault, match="cannot be read"):
        ExportFolder(tmp_path, "siem").read_cursor()


def test_state_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    files = ExportFolder(tmp_path, "siem")
    assert files.read_state() == ExportState()
    made = ExportState("the receiver is down", "2026", alarm=True)
    files.write_state(SystemDisk(), made)
    assert files.read_state() == made
    (tmp_path / "siem.state").write_bytes(b"{")
    assert files.read_state() == ExportState()


def test_one_process_sends_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursor, "LOCK_WAIT_S", 0.0)
    files = ExportFolder(tmp_path / "export", "siem")
    assert not files.is_locked()
    with files.lock():
        assert files.is_locked()
        with pytest.raises(ExportBusy, match="another process"):
            ExportFolder(tmp_path / "export", "siem").lock()
        ExportFolder(tmp_path / "export", "other").lock().close()
    assert not files.is_locked()
