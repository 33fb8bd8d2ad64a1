# SPDX-License-Identifier: Apache-2.0
"""The SQLite store: the shared suite, and what is SQLite's own."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.asked import REQUEST
from support.store_suite import ALICE, NOW, StoreSuite, key, no_check, signing_key

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


# As version 1 made it, before people were in groups and were asked.
VERSION_1 = """
CREATE TABLE meta (version INTEGER NOT NULL, generation INTEGER NOT NULL) STRICT;
CREATE TABLE person (
  issuer TEXT NOT NULL, subject TEXT NOT NULL, admin INTEGER NOT NULL, created_us INTEGER NOT NULL, disabled_us INTEGER,
  PRIMARY KEY (issuer, subject)
) STRICT;
CREATE TABLE api_key (
  id TEXT PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, agent_issuer TEXT NOT NULL, agent_subject TEXT NOT NULL,
  owner_issuer TEXT NOT NULL, owner_subject TEXT NOT NULL, groups TEXT NOT NULL,
  created_us INTEGER NOT NULL, expires_us INTEGER NOT NULL, revoked_us INTEGER,
  FOREIGN KEY (owner_issuer, owner_subject) REFERENCES person (issuer, subject)
) STRICT;
INSERT INTO meta VALUES (1, 7);
INSERT INTO person VALUES ('gatebook:gate', 'alice', 1, 1767270600123456, NULL);
INSERT INTO api_key VALUES ('000000000001', x'0000000000000000000000000000000000000000000000000000000000000001',
  'gatebook:gate', 'agent-1', 'gatebook:gate', 'alice', '["etl", "shop-agents"]',
  1767270601123456, 1767357000123456, NULL);
"""


def test_brings_up_a_store_of_version_1_with_everything_in_it(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "gatebook.db") as connection:
        connection.executescript(VERSION_1)
    connection.close()
    with closing(open_store(tmp_path / "gatebook.db")) as store:
        assert store.list_people() == (ALICE,)
        assert store.list_keys() == (key(1),)
        assert store.generation() == 7
        store.set_groups(ALICE.subject, ["dba"], NOW)
        store.add_signing_key(signing_key(1))
        store.add_request(REQUEST, no_check)
        fresh = open_store(tmp_path / "fresh.db")
        assert schema_of(store) == schema_of(fresh)
        fresh.close()
    with closing(open_store(tmp_path / "gatebook.db")) as again:
        assert again.find_request(REQUEST.id) == REQUEST


def schema_of(store: SqliteStore) -> list[tuple[str, str]]:
    return store._connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


def test_a_store_of_version_1_that_cannot_be_brought_up_stays_as_it_is(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "gatebook.db") as connection:
        connection.executescript(VERSION_1 + "CREATE TABLE approval (something INTEGER);")
    connection.close()
    with pytest.raises(StoreFault, match="cannot be used: table approval already exists"):
        open_store(tmp_path / "gatebook.db")
    with sqlite3.connect(tmp_path / "gatebook.db") as connection:
        assert connection.execute("SELECT version FROM meta").fetchone() == (1,)
        assert "human" not in [row[1] for row in connection.execute("PRAGMA table_info(person)")]
    connection.close()
