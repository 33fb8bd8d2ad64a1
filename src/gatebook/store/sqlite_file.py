# SPDX-License-Identifier: Apache-2.0
"""One SQLite connection: how every part of the embedded store changes it, and times as it keeps them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from gatebook.store.base import StoreFault

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SqliteFile:
    """A connection that `open_store` has prepared. One object per thread; any number of processes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take over a connection."""
        self._connection = connection

    def generation(self) -> int:
        """See `Store`."""
        (number,) = self._connection.execute("SELECT generation FROM meta").fetchone()
        return int(number)

    def close(self) -> None:
        """See `Store`."""
        self._connection.close()

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        """Run a change in a transaction that no other writer can enter, and count it."""
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as fault:
            message = f"the store cannot be written: {fault}"
            raise StoreFault(message, "see the disk and the owner of the data folder") from fault
        try:
            yield connection
            connection.execute("UPDATE meta SET generation = generation + 1")
            connection.execute("COMMIT")
        except sqlite3.Error as fault:
            if connection.in_transaction:  # of some faults, such as a full disk, SQLite has rolled back itself
                connection.execute("ROLLBACK")
            message = f"the store cannot be written: {fault}"
            raise StoreFault(message, "see the disk and the owner of the data folder") from fault
        except BaseException:
            connection.execute("ROLLBACK")
            raise


def micros(at: datetime) -> int:
    """Return microseconds since 1970."""
    return (at - _EPOCH) // timedelta(microseconds=1)


def micros_or_none(at: datetime | None) -> int | None:
    """As `micros`."""
    return None if at is None else micros(at)


def moment(us: int) -> datetime:
    """Return the moment (UTC) of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=us)


def moment_or_none(us: int | None) -> datetime | None:
    """As `moment`."""
    return None if us is None else moment(us)
