# SPDX-License-Identifier: Apache-2.0
"""Private parts are found in the order of the journal; what is damaged, missing or too much is told once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.data_folder import put_recording, recordings
from support.evidence import SESSION

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.private_file import encode_header, encode_record
from gatebook.vault import private_files
from gatebook.vault.private_files import PrivateFiles

OTHER = "s_other1"


class Told:
    """What was told of faults."""

    def __init__(self) -> None:
        self.faults: list[tuple[str, str]] = []

    def __call__(self, subject: str, fault: EvidenceFault) -> None:
        self.faults.append((subject, fault.message))


def put(root: Path, numbers: list[int], session: str = SESSION, *, writer: str = "gate") -> Path:
    put_recording(root, b"", session)
    path = recordings(root).private_path(session)
    parts = [encode_record(session, number, number, b"part %d" % number) for number in numbers]
    path.write_bytes(encode_header(session, writer) + b"".join(parts))
    return path


Make = Callable[..., PrivateFiles]


@pytest.fixture
def files() -> Iterator[Make]:
    """Makes readers that are closed behind the test."""
    made: list[PrivateFiles] = []

    def make(root: Path, told: Told, *, all_wanted: bool = True) -> PrivateFiles:
        made.append(PrivateFiles(recordings(root), "gate", told, all_wanted=all_wanted))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_parts_are_found_one_behind_the_other(files: Make, tmp_path: Path) -> None:
    put(tmp_path, [1, 4])
    put(tmp_path, [2], OTHER)
    found = files(tmp_path, told := Told())
    asked = [(SESSION, 1), (OTHER, 2), (SESSION, 3), (SESSION, 4), (SESSION, 5)]
    assert [found.find(session, number, number)[0] for session, number in asked] == [
        b"part 1",
        b"part 2",
        b"",
        b"part 4",
        b"",
    ]
    assert told.faults == []


def test_many_sessions_need_few_descriptors(files: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(private_files, "OPEN_FILES", 1)
    put(tmp_path, [1, 3, 5])
    put(tmp_path, [2, 4], OTHER)
    found = files(tmp_path, told := Told())
    for number in range(1, 6):
        session = SESSION if number % 2 else OTHER
        assert found.find(session, number, number) == (b"part %d" % number, False)
    assert told.faults == []


def test_what_came_since_is_found_too(files: Make, tmp_path: Path) -> None:
    path = put(tmp_path, [1])
    found = files(tmp_path, told := Told())
    assert found.find(SESSION, 1, 1)[0] == b"part 1"
    assert found.find(SESSION, 2, 2)[0] == b""
    more = encode_record(SESSION, 3, 3, b"part 3")
    path.write_bytes(path.read_bytes() + more[:9])
    assert found.find(SESSION, 2, 2) == (b"", False)  # somebody is writing, which is no fault
    path.write_bytes(path.read_bytes()[:-9] + more)
    assert found.find(SESSION, 3, 3)[0] == b"part 3"
    assert told.faults == []


def test_a_part_that_is_missing_needs_telling_unless_the_session_is_erased(files: Make, tmp_path: Path) -> None:
    path = put(tmp_path, [1])
    assert files(tmp_path, Told()).find(SESSION, 2, 2) == (b"", False)
    path.unlink()
    assert files(tmp_path, Told()).find(SESSION, 1, 1) == (b"", False)
    path.with_suffix(".key").unlink()
    assert files(tmp_path, Told()).find(SESSION, 1, 1) == (b"", True)


def test_a_part_that_was_changed_is_told(files: Make, tmp_path: Path) -> None:
    path = put(tmp_path, [1, 2])
    path.write_bytes(path.read_bytes().replace(b"part 1", b"part X"))
    found = files(tmp_path, told := Told())
    assert found.find(SESSION, 1, 1) == (b"", True)
    assert found.find(SESSION, 2, 2) == (b"part 2", False)
    assert told.faults == [("gate/1", "its private part was changed")]


def test_a_part_of_another_seq_is_told(files: Make, tmp_path: Path) -> None:
    put(tmp_path, [1])
    assert files(tmp_path, told := Told()).find(SESSION, 1, 9) == (b"", True)
    assert told.faults == [("gate/1", "its private part was changed")]


def test_a_file_of_another_session_or_writer_is_told_once(files: Make, tmp_path: Path) -> None:
    put(tmp_path, [1, 2], writer="cli")
    found = files(tmp_path, told := Told())
    assert [found.find(SESSION, number, number) for number in (1, 2)] == [(b"", True)] * 2
    assert [subject for subject, _ in told.faults] == [SESSION]


def test_a_link_is_told_and_not_followed(files: Make, tmp_path: Path) -> None:
    path = put(tmp_path, [1])
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert files(tmp_path, told := Told()).find(SESSION, 1, 1) == (b"", True)
    assert "cannot be read" in told.faults[0][1]


def test_a_part_too_much_is_told_where_all_are_wanted(files: Make, tmp_path: Path) -> None:
    put(tmp_path, [1, 2, 3])
    assert files(tmp_path, told := Told()).find(SESSION, 3, 3) == (b"part 3", False)
    assert len(told.faults) == 2
    behind = files(tmp_path, fewer := Told())
    behind.begin = 2  # what stands before was read from its segment, which was removed meanwhile
    assert behind.find(SESSION, 3, 3) == (b"part 3", False)
    assert len(fewer.faults) == 1
    assert files(tmp_path, silent := Told(), all_wanted=False).find(SESSION, 3, 3) == (b"part 3", False)
    assert silent.faults == []


def test_what_is_no_session_id_is_no_path(files: Make, tmp_path: Path) -> None:
    assert files(tmp_path, told := Told()).find("../../etc/passwd", 1, 1) == (b"", True)
    assert "no session id" in told.faults[0][1]
