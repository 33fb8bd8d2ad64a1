# SPDX-License-Identifier: Apache-2.0
"""The SQLite index: the shared suite, and what is SQLite's own: a file that is damaged, foreign or gone."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.index_suite import ALL, KEY, IndexSuite, extend, posting

from gatebook.store.index import Index, IndexFault
from gatebook.store.sqlite_index import SqliteIndex, open_index, remove_index


class TestSqliteIndex(IndexSuite):
    """The shared suite on a file."""

    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Iterator[Callable[[], Index]]:
        opened: list[SqliteIndex] = []

        def open_again() -> Index:
            opened.append(open_index(tmp_path / "index.db", key=KEY))
            return opened[-1]

        yield open_again
        for index in opened:
            index.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An index that is closed."""
    path = tmp_path / "index.db"
    index = open_index(path, key=KEY)
    extend(index, [posting(number, "aa", f"{number:012x}") for number in range(2000)])
    index.close()
    return path


def test_makes_files_for_their_owner_only(tmp_path: Path) -> None:
    index = open_index(tmp_path / "index.db", key=KEY)
    extend(index, [posting(0, "aa")])
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
    assert modes == {"index.db": 0o600, "index.db-wal": 0o600, "index.db-shm": 0o600}
    index.close()


def test_survives_being_closed_and_is_read_by_those_who_may_not_write(path: Path) -> None:
    index = open_index(path, write=False)
    assert index.cursor().size == 2000
    assert index.find(["aa"], ALL, 1) == [1999]
    with pytest.raises(IndexFault, match="readonly"):
        extend(index, [posting(2000, "aa")])
    index.close()


def test_is_read_in_a_folder_that_may_not_be_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.store.sqlite_index.os.access", lambda *_: False)
    index = open_index(path, write=False)
    assert index.find(["aa"], ALL, 1) == [1999]
    assert [one.name for one in path.parent.iterdir()] == ["index.db"], "no file beside it was needed"
    index.close()


def test_is_not_made_where_only_a_reader_asks(tmp_path: Path) -> None:
    with pytest.raises(IndexFault, match="there is no index yet") as raised:
        open_index(tmp_path / "index.db", write=False)
    assert raised.value.hint == "make it anew with `gatebook index rebuild`"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("content", [b"something else entirely" * 500, b"SQLite format 3\x00" + bytes(4080)])
def test_refuses_a_file_that_is_no_index_and_leaves_it(tmp_path: Path, content: bytes, *, write: bool) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(content)
    with pytest.raises(IndexFault) as raised:
        open_index(path, key=KEY, write=write)
    assert "gatebook index rebuild" in raised.value.hint
    assert path.read_bytes() == content


def test_refuses_another_database(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "index.db") as connection:
        connection.execute("CREATE TABLE meta (version INTEGER)")
    connection.close()
    with pytest.raises(IndexFault, match="is something else"):
        open_index(tmp_path / "index.db", key=KEY)


@pytest.mark.parametrize("column", ["schema", "terms"])
def test_refuses_an_index_of_another_version(path: Path, column: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE meta SET {column} = 99")
    connection.close()
    with pytest.raises(IndexFault, match="another version"):
        open_index(path, write=False)


def test_says_so_where_the_file_is_damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(IndexFault) as raised:
        open_index(path, write=False).find(["aa"], ALL, 10)
    assert "gatebook index rebuild" in raised.value.hint


def test_says_so_where_the_file_was_cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(8192)
    with pytest.raises(IndexFault):
        open_index(path, write=False).find(["aa"], ALL, 10)


def test_says_so_where_a_table_is_emptied(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM meta")
    connection.close()
    with pytest.raises(IndexFault):
        open_index(path, write=False)


def test_says_so_where_it_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(IndexFault, match="cannot be opened: no such file or directory"):
        open_index(tmp_path / "absent" / "index.db", key=KEY)


def test_says_so_when_another_process_holds_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.store.sqlite_index.BUSY_TIMEOUT_S", 0.01)
    index = open_index(path, key=KEY)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(IndexFault, match="locked"):
        extend(index, [posting(2000, "aa")])
    other.close()
    assert extend(index, [posting(2000, "aa")]).size == 2001
    index.close()


def test_is_opened_in_a_folder_with_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "a?b#c%d"
    folder.mkdir()
    open_index(folder / "index.db", key=KEY).close()
    assert (folder / "index.db").exists()


def test_is_removed_whatever_it_is(path: Path) -> None:
    path.with_name("index.db-wal").write_bytes(b"left over")
    remove_index(path)
    remove_index(path)
    assert list(path.parent.iterdir()) == []
