# SPDX-License-Identifier: Apache-2.0
"""Recordings on disk: found by a session id and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.data_folder import put_recording, recordings
from support.evidence import RECORDING_KEY, SESSION, chunk, frame, recording_header

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.recording import RecordingFault
from gatebook.model.secret import Secret
from gatebook.vault.keys import KeyFault
from gatebook.vault.recordings import Recordings

FIRST, SECOND = chunk(0, [frame(">", b"a")]), chunk(1, [frame("<", b"b")])
WHOLE = recording_header() + FIRST + SECOND


def test_gives_the_frames_of_a_session(tmp_path: Path) -> None:
    put_recording(tmp_path, WHOLE)
    assert [(one.direction, one.data) for one in recordings(tmp_path).frames(SESSION)] == [(">", b"a"), ("<", b"b")]


def test_gives_chunks_without_a_key(tmp_path: Path) -> None:
    put_recording(tmp_path, WHOLE)
    assert [one.index for one in Recordings(tmp_path).chunks(SESSION)] == [0, 1]


@pytest.mark.parametrize(
    "session", ["", "../../etc/passwd", "a/b", "s_1\0", "s_1\n", "x" * 65, "s-1", "s_é", ".", "s_1.rec"]
)
def test_au_10_refuses_what_is_no_session_id(tmp_path: Path, session: str) -> None:
    for look in (recordings(tmp_path).path_of, recordings(tmp_path).recording_key):
        with pytest.raises(RecordingFault, match="is no session id"):
            look(session)


def test_au_10_does_not_follow_a_link(tmp_path: Path) -> None:
    path = put_recording(tmp_path, WHOLE)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RecordingFault, match="cannot be read") as caught:
        list(recordings(tmp_path).chunks(SESSION))
    assert caught.value.finding == "recording_unreadable"


@pytest.mark.parametrize("content", [None, b""])
def test_says_that_a_recording_is_not_there(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        put_recording(tmp_path, content)
    with pytest.raises(RecordingFault) as caught:
        list(recordings(tmp_path).chunks(SESSION))
    assert caught.value.finding == "recording_missing"


def test_a_recording_without_its_key_file_is_erased(tmp_path: Path) -> None:
    put_recording(tmp_path, WHOLE).with_suffix(".key").unlink()
    assert recordings(tmp_path).recording_key(SESSION) is None
    assert recordings(tmp_path).private_parts(SESSION) is None
    with pytest.raises(EvidenceFault, match="there is no key for this recording"):
        list(recordings(tmp_path).frames(SESSION))


def test_gives_the_key_of_a_session(tmp_path: Path) -> None:
    put_recording(tmp_path, WHOLE)
    assert recordings(tmp_path).recording_key(SESSION) == Secret(RECORDING_KEY)
    assert recordings(tmp_path).private_parts(SESSION) is not None
    assert Recordings(tmp_path).recording_key(SESSION) is None


def test_says_that_a_key_file_is_not_usable(tmp_path: Path) -> None:
    path = put_recording(tmp_path, WHOLE, key=b"garbage")
    with pytest.raises(KeyFault):
        recordings(tmp_path).opener(SESSION)
    path.with_suffix(".key").unlink()
    path.with_suffix(".key").symlink_to(path)
    with pytest.raises(RecordingFault, match="cannot be read"):
        recordings(tmp_path).opener(SESSION)


def test_cuts_behind_a_place(tmp_path: Path) -> None:
    path = put_recording(tmp_path, WHOLE)
    end = 80 + len(FIRST)
    assert recordings(tmp_path).cut(SESSION, end) == len(SECOND)
    assert path.stat().st_size == end
    assert recordings(tmp_path).cut(SESSION, end) == 0


def test_cuts_half_a_header_away(tmp_path: Path) -> None:
    path = put_recording(tmp_path, WHOLE[:40])
    assert recordings(tmp_path).cut(SESSION, 80) == 40
    assert path.stat().st_size == 0


def test_has_nothing_to_cut_where_nothing_is(tmp_path: Path) -> None:
    assert recordings(tmp_path).cut(SESSION, 80) == 0
    path = put_recording(tmp_path, WHOLE)
    path.unlink()
    path.symlink_to("/dev/null")
    with pytest.raises(RecordingFault):
        recordings(tmp_path).cut(SESSION, 80)


def test_lists_recordings_by_session(tmp_path: Path) -> None:
    assert list(recordings(tmp_path / "absent").list_sessions()) == []
    put_recording(tmp_path, WHOLE)
    put_recording(tmp_path, WHOLE, "s_other")
    (tmp_path / "ef" / "no id!.rec").touch()
    assert sorted(recordings(tmp_path).list_sessions()) == ["s_abcdef", "s_other"]
