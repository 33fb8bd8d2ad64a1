# SPDX-License-Identifier: Apache-2.0
"""Private parts on their way: byte for byte into the files of their sessions, however often the move is begun."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator
from pathlib import Path

import pytest
from support.data_folder import put_journal, recordings
from support.evidence import SESSION, intent, leaf, outcome, records, seal_private

from gatebook.evidence.private_file import encode_header, encode_record
from gatebook.evidence.removal import Removal
from gatebook.vault import moving
from gatebook.vault.ledger import SystemDisk
from gatebook.vault.moving import Mover, NotMovable
from gatebook.vault.removable import Segment
from gatebook.vault.sealing import Tampered

OTHER = "s_other1"
ONE, TWO = [seal_private(seq, seq, b"{}", SESSION) for seq in (1, 2)]
FOREIGN = seal_private(1, 1, b"{}", OTHER)
FIRST = [
    (intent(1, 1, private=ONE[1]), ONE[0]),
    (leaf("heartbeat", sessions=0, journal=0, clock="unknown"), b""),
    (intent(1, 1, OTHER, private=FOREIGN[1]), FOREIGN[0]),
]
SECOND = [(outcome(1, 2, private=TWO[1]), TWO[0])]
LINKS = [bytes(32), records(FIRST)[1], records(SECOND, records(FIRST)[1])[1]]
SEGMENTS = [Segment(1, 4, LINKS[0], LINKS[1]), Segment(4, 5, LINKS[1], LINKS[2])]


def mover(root: Path) -> Mover:
    return Mover(SystemDisk(), recordings(root / "recordings"), root / "journal" / "gate")


def move(mover: Mover, segment: Segment) -> Removal:
    def whole() -> Generator[bool, None, None]:
        ends.append((yield from mover.move(segment)))

    ends: list[Removal] = []
    for _ in whole():
        pass
    return ends[0]


def private_file(root: Path, session: str = SESSION) -> Path:
    return recordings(root / "recordings").private_path(session)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put_journal(tmp_path / "journal", FIRST, SECOND, padding=0)
    return tmp_path


def expected(*, parts: int) -> bytes:
    both = [encode_record(SESSION, 1, 1, ONE[0]), encode_record(SESSION, 4, 2, TWO[0])]
    return encode_header(SESSION, "gate") + b"".join(both[:parts])


def test_parts_go_as_they_are_into_the_file_of_their_session(root: Path) -> None:
    segment = root / "journal" / "gate" / f"{1:020}.seg"
    digest = f"sha256:{hashlib.sha256(segment.read_bytes()).hexdigest()}"
    assert move(mover(root), SEGMENTS[0]) == Removal("gate", 1, 3, LINKS[0], LINKS[1], digest, 2)
    assert private_file(root).read_bytes() == expected(parts=1)
    other = encode_header(OTHER, "gate") + encode_record(OTHER, 3, 1, FOREIGN[0])
    assert private_file(root, OTHER).read_bytes() == other
    assert segment.exists()


@pytest.mark.parametrize("is_same", [True, False])
def test_the_next_segment_is_appended(root: Path, *, is_same: bool) -> None:
    first = mover(root)
    move(first, SEGMENTS[0])
    move(first if is_same else mover(root), SEGMENTS[1])
    assert private_file(root).read_bytes() == expected(parts=2)


def test_moving_it_again_changes_nothing(root: Path) -> None:
    for _ in range(2):
        for segment in SEGMENTS:
            move(mover(root), segment)
    move(mover(root), SEGMENTS[1])
    assert private_file(root).read_bytes() == expected(parts=2)


def test_whatever_an_unfinished_move_has_left_is_written_anew(root: Path) -> None:
    for size in range(len(expected(parts=2)) + 1):
        path = private_file(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        for left in (expected(parts=2)[:size], expected(parts=2)[:size] + bytes(40)):
            path.write_bytes(left)
            move(mover(root), SEGMENTS[0])
            assert path.read_bytes() == expected(parts=1), size
    move(mover(root), SEGMENTS[1])
    assert private_file(root).read_bytes() == expected(parts=2)


def test_a_told_part_that_was_changed_is_never_written_over(root: Path) -> None:
    move(mover(root), SEGMENTS[0])
    path = private_file(root)
    changed = bytearray(path.read_bytes())
    changed[-1] ^= 1
    path.write_bytes(changed)
    with pytest.raises(Tampered, match="private part of entry 1 was changed"):
        move(mover(root), SEGMENTS[1])
    assert path.read_bytes() == changed


def test_a_file_with_parts_and_the_head_of_another_session_is_refused(root: Path) -> None:
    move(mover(root), SEGMENTS[0])
    path = private_file(root)
    path.write_bytes(encode_header(OTHER, "gate") + path.read_bytes()[144:])
    with pytest.raises(Tampered, match="another session or writer"):
        move(mover(root), SEGMENTS[1])


def test_much_is_written_in_pieces(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "HELD_BYTES", 1)
    monkeypatch.setattr(moving, "STEP_RECORDS", 1)
    monkeypatch.setattr(moving, "STEP_FILES", 1)
    for segment in SEGMENTS:
        move(mover(root), segment)
    assert private_file(root).read_bytes() == expected(parts=2)


def test_files_are_for_the_owner_of_their_folder(root: Path) -> None:
    move(mover(root), SEGMENTS[0])
    assert private_file(root).stat().st_mode & 0o777 == 0o600
    assert private_file(root).parent.stat().st_mode & 0o777 == 0o700
    if os.geteuid() == 0:  # as somebody else only root may give files away
        private_file(root).unlink()
        os.chown(private_file(root).parent, 4711, 4712)
        move(mover(root), SEGMENTS[0])
        assert (private_file(root).stat().st_uid, private_file(root).stat().st_gid) == (4711, 4712)


def test_a_link_in_place_of_a_file_is_not_followed(root: Path, tmp_path: Path) -> None:
    path = private_file(root)
    path.parent.mkdir(parents=True)
    (tmp_path / "elsewhere").write_bytes(b"precious")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        move(mover(root), SEGMENTS[0])
    assert (tmp_path / "elsewhere").read_bytes() == b"precious"


def test_a_link_in_place_of_a_folder_is_not_followed(root: Path, tmp_path: Path) -> None:
    shard = private_file(root).parent
    (tmp_path / "elsewhere").mkdir()
    shard.parent.mkdir()
    shard.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"symbolic|Not a directory"):
        move(mover(root), SEGMENTS[0])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_recordings_that_are_not_there_are_no_tampering(root: Path) -> None:
    (root / "recordings").symlink_to(root / "not mounted")
    with pytest.raises(OSError, match=r"not mounted|File exists"):
        move(mover(root), SEGMENTS[0])


def test_a_file_that_was_purged_between_two_segments_is_begun_anew(root: Path) -> None:
    first = mover(root)
    move(first, SEGMENTS[0])
    private_file(root).unlink()
    move(first, SEGMENTS[1])
    expected_parts = encode_header(SESSION, "gate") + encode_record(SESSION, 4, 2, TWO[0])
    assert private_file(root).read_bytes() == expected_parts


def test_a_part_of_no_session_is_not_moved(tmp_path: Path) -> None:
    outside = leaf("cancel", session="../../etc/passwd", seq=1)
    for entry in (
        leaf("heartbeat", sessions=0, journal=0, clock="x"),
        b"no JSON",
        leaf("cancel", session="s_x"),
        outside,
    ):
        put_journal(tmp_path / "journal", [(entry, b"private")])
        with pytest.raises(NotMovable):
            move(mover(tmp_path), Segment(1, 2, bytes(32), records([(entry, b"private")])[1]))
    assert not (tmp_path / "recordings").exists()


DAMAGE = {
    "a byte": lambda data: data[:300] + bytes([data[300] ^ 1]) + data[301:],
    "the head": lambda data: b"X" + data[1:],
    "another number": lambda data: data[:23] + b"\x02" + data[24:],
    "cut": lambda data: data[:-40],
    "more behind": lambda data: data + bytes(100) + b"x",
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_segment_that_was_changed_is_not_removed(root: Path, name: str) -> None:
    path = root / "journal" / "gate" / f"{1:020}.seg"
    path.write_bytes(DAMAGE[name](path.read_bytes()))
    with pytest.raises(Tampered):
        move(mover(root), SEGMENTS[0])


def test_a_segment_that_is_gone_is_missed(root: Path) -> None:
    (root / "journal" / "gate" / f"{1:020}.seg").unlink()
    with pytest.raises(Tampered, match="the segment is gone"):
        move(mover(root), SEGMENTS[0])
