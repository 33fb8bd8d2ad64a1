# SPDX-License-Identifier: Apache-2.0
"""Files that commands write: whole or not there, for their owner, and never over another unasked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gatebook.cli.files import check_absent, whole_file
from gatebook.model.errors import OperatorFault


def write(path: Path, *, force: bool = False) -> None:
    with whole_file(path, force=force) as file:
        file.write(b"content")


def test_writes_for_the_owner_only(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "file")
    finally:
        os.umask(before)
    assert (tmp_path / "file").read_bytes() == b"content"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "file").stat().st_nlink == 1
    assert os.listdir(tmp_path) == ["file"]  # noqa: PTH208  names are what is compared


def test_leaves_nothing_where_something_is_raised(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), whole_file(tmp_path / "file", force=False) as file:  # noqa: PT012  it is a block
        file.write(b"half")
        assert not (tmp_path / "file").exists()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_keeps_what_is_there_also_where_it_came_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(OperatorFault, match="there already"), whole_file(path, force=False) as file:  # noqa: PT012  as above
        path.write_bytes(b"another's")
        file.write(b"content")
    assert path.read_bytes() == b"another's"
    assert list(tmp_path.iterdir()) == [path]


def test_replaces_what_is_there_where_asked(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    write(tmp_path / "file", force=True)
    assert (tmp_path / "file").read_bytes() == b"content"


def test_refuses_early(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("nowhere")
    check_absent(tmp_path / "file", force=False)
    check_absent(tmp_path / "link", force=True)
    with pytest.raises(OperatorFault, match="is there already"):
        check_absent(tmp_path / "link", force=False)


def test_says_that_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OperatorFault, match="cannot be written: no such file or directory"):
        write(tmp_path / "absent" / "file")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OperatorFault, match="cannot be written: is a directory"):
        write(tmp_path / "folder", force=True)
