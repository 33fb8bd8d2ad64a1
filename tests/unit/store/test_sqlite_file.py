# SPDX-License-Identifier: Apache-2.0
"""One connection: changes that are whole or not at all, and times to the microsecond."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatebook.store.base import StoreFault
from gatebook.store.sqlite import SqliteStore, open_store
from gatebook.store.sqlite_file import micros, micros_or_none, moment, moment_or_none

AT = datetime(2026, 11, 25, 12, 0, 0, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(open_store(tmp_path / "gatebook.db")) as opened:
        yield opened


def test_times_are_whole_microseconds_since_1970() -> None:
    assert micros(AT) == 1_795_608_000_000_001
    assert moment(1_795_608_000_000_001) == AT
    assert (micros_or_none(None), moment_or_none(None)) == (None, None)
    assert moment_or_none(micros_or_none(AT)) == AT
    assert moment(-1) == datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


def test_a_change_is_counted_once_it_is_whole(store: SqliteStore) -> None:
    before = store.generation()
    with store._change() as change:
        change.execute("INSERT INTO person VALUES ('i', 's', 0, 0, NULL, '')")
        assert store.generation() == before
    assert store.generation() == before + 1


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError])
def test_a_change_that_is_given_up_leaves_nothing(store: SqliteStore, fault: type[BaseException]) -> None:
    def give_up() -> None:
        with store._change() as change:
            change.execute("INSERT INTO person VALUES ('i', 's', 0, 0, NULL, '')")
            raise fault

    before = store.generation()
    with pytest.raises(fault):
        give_up()
    assert (store.generation(), store.list_people()) == (before, ())
    with store._change():
        pass


def test_what_sqlite_refuses_within_a_change_is_a_fault_of_the_store(store: SqliteStore) -> None:
    with pytest.raises(StoreFault, match="the store cannot be written: no such table: absent"), store._change() as one:
        one.execute("INSERT INTO absent VALUES (1)")
    with pytest.raises(StoreFault, match="cannot start a transaction"), store._change(), store._change():
        pass
    assert store.list_people() == ()


def test_a_transaction_that_sqlite_has_ended_is_not_ended_twice(store: SqliteStore) -> None:
    twice = "INSERT OR ROLLBACK INTO person VALUES ('i', 's', 0, 0, NULL, '')"
    with pytest.raises(StoreFault, match="UNIQUE"), store._change() as change:
        change.executemany(twice, [(), ()])
    assert store.list_people() == ()


def test_a_store_that_is_closed_is_closed(store: SqliteStore) -> None:
    store.close()
    with pytest.raises(sqlite3.ProgrammingError):
        store.generation()
