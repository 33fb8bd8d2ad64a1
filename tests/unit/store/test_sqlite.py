# SPDX-License-Identifier: Apache-2.0
"""The SQLite store: the shared suite, and what is SQLite's own."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.store_suite import ALICE, NOW, StoreSuite, key

from gatebook.model.credential import Person
from gatebook.model.principal import Subject
from gatebook.store.base import Store, StoreFault
from gatebook.store.sqlite import SqliteStore, open_store


class TestSqliteStore(StoreSuite):
    """The shared suite on a file."""

    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Iterator[Callable[[], Store]]:
        opened: list[SqliteStore] = []

        def open_again() -> Store:
            opened.append(open_store(tmp_path / "gatebook.db"))
            return opened[-1]

        yield open_again
        for store in opened:
            store.close()


def test_makes_files_for_their_owner_only(tmp_path: Path) -> None:
    store = open_store(tmp_path / "gatebook.db")
    store.add_person(ALICE)
    store.add_key(key(1))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"gatebook.db": 0o600, "gatebook.db-wal": 0o600, "gatebook.db-shm": 0o600}
    store.close()


def test_survives_being_closed_and_opened(tmp_path: Path) -> None:
    store = open_store(tmp_path / "gatebook.db")
    store.add_person(ALICE)
    store.close()
    again = open_store(tmp_path / "gatebook.db")
    assert again.list_people() == (ALICE,)
    again.close()


def test_refuses_a_file_that_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "gatebook.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StoreFault, match="cannot be used"):
        open_store(tmp_path / "gatebook.db")


def test_refuses_a_store_of_another_version(tmp_path: Path) -> None:
    open_store(tmp_path / "gatebook.db").close()
    with sqlite3.connect(tmp_path / "gatebook.db") as connection:
        connection.execute("UPDATE meta SET version = 99")
    connection.close()
    with pytest.raises(StoreFault, match="schema version 99"):
        open_store(tmp_path / "gatebook.db")


def test_refuses_a_path_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(StoreFault, match="cannot be opened: no such file or directory"):
        open_store(tmp_path / "absent" / "gatebook.db")


def test_says_so_when_another_process_holds_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.store.sqlite.BUSY_TIMEOUT_S", 0.01)
    store = open_store(tmp_path / "gatebook.db")
    other = sqlite3.connect(tmp_path / "gatebook.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreFault, match="the store cannot be written"):
        store.add_person(ALICE)
    other.execute("ROLLBACK")
    other.close()
    store.add_person(ALICE)
    store.close()


def test_undoes_a_change_that_fails_half_way(tmp_path: Path) -> None:
    store = open_store(tmp_path / "gatebook.db")
    before = store.generation()
    with pytest.raises(StoreFault):
        store.add_key(key(1))
    assert store.generation() == before
    store.close()


def test_says_so_when_the_disk_fails_in_the_middle_of_a_change(tmp_path: Path) -> None:
    store = open_store(tmp_path / "gatebook.db")
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    before = store.generation()
    with pytest.raises(StoreFault, match="the store cannot be written: database or disk is full"):
        store.add_person(Person(Subject("gatebook:gate", "x" * 50_000), admin=False, created_at=NOW))
    assert store.generation() == before
    store._connection.execute("PRAGMA max_page_count = 100000")
    store.add_person(ALICE)
    store.close()
