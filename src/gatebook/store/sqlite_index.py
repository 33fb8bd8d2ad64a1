# SPDX-License-Identifier: Apache-2.0
"""The embedded search index: one SQLite file in the data folder, full-text tables holding hashes in place of words.

One full-text row for each entry but outcomes, without its content: a term takes a byte or two. Times are kept for
each bundle of the ledger, 256 entries, as those of neighbours are close. WAL without synchronisation of each commit:
what a power loss takes is indexed again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from gatebook.evidence.query import TERMS_VERSION, Posting
from gatebook.evidence.tree import TILE_WIDTH
from gatebook.model.errors import quoted
from gatebook.store.index import REBUILD, Cursor, IndexFault, Span

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 5.0  # a reader waits only where another process makes the file or ends with it
APPLICATION_ID = 0x67626978  # `gbix`: another SQLite file is none of ours
FILES = ("", "-wal", "-shm")

T = TypeVar("T")
_SCHEMA = """
CREATE TABLE meta (
  schema INTEGER NOT NULL, terms INTEGER NOT NULL, key TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
  newest_us INTEGER NOT NULL
) STRICT;
CREATE TABLE bundle (number INTEGER PRIMARY KEY, first_us INTEGER NOT NULL, last_us INTEGER NOT NULL) STRICT;
CREATE TABLE outcome (operation INTEGER, entry INTEGER, PRIMARY KEY (operation, entry)) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE entry USING fts5(term, content='', columnsize=0, detail=none, tokenize='ascii');
"""
_FIND = "FROM entry WHERE entry MATCH ? AND rowid >= ? AND rowid < ?"
_LAST = (1 << 63) - 1


class SqliteIndex:
    """`Index` on a SQLite file. One object per thread; any number of readers, and one that extends."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Take over a connection that `open_index` has prepared."""
        self._connection = connection
        self._path = path

    def cursor(self) -> Cursor:
        """See `Index`."""
        query = "SELECT key, size, root, newest_us FROM meta"
        return Cursor(*self._run(lambda: self._connection.execute(query).fetchone()))

    def extend(self, before: Cursor, postings: Sequence[Posting], after: Cursor) -> None:
        """See `Index`."""
        with self._change() as change:
            if self.cursor() != before:
                raise IndexFault("the index was changed by another process meanwhile", "try again")
            change.executemany(
                "INSERT INTO entry (rowid, term) VALUES (?, ?)",
                ((one.index, " ".join(one.terms)) for one in postings if one.terms),
            )
            change.executemany(
                "INSERT INTO outcome VALUES (?, ?)",
                ((one.outcome_of, one.index) for one in postings if one.outcome_of is not None),
            )
            change.executemany(
                "INSERT INTO bundle VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
                "SET first_us = min(first_us, excluded.first_us), last_us = max(last_us, excluded.last_us)",
                _times(postings),
            )
            change.execute(
                "UPDATE meta SET key = ?, size = ?, root = ?, newest_us = ?",
                (after.key, after.size, after.root, after.newest_us),
            )

    def find(self, terms: Sequence[str], span: Span, most: int) -> list[int]:
        """See `Index`."""
        found = self._select(f"SELECT rowid {_FIND} ORDER BY rowid DESC LIMIT ?", terms, span, most)
        return [int(entry) for (entry,) in found]

    def count(self, terms: Sequence[str], span: Span, most: int) -> int:
        """See `Index`."""
        ((found,),) = self._select(f"SELECT count(*) FROM (SELECT 1 {_FIND} LIMIT ?)", terms, span, most)  # noqa: S608  as above
        return int(found)

    def outcomes_of(self, operation: int, most: int) -> list[int]:
        """See `Index`."""
        query = "SELECT entry FROM outcome WHERE operation = ? ORDER BY entry DESC LIMIT ?"
        found = self._run(lambda: self._connection.execute(query, (operation, most)).fetchall())
        return [int(entry) for (entry,) in reversed(found)]

    def size_bytes(self) -> int:
        """See `Index`."""
        total = 0
        for end in FILES:
            with contextlib.suppress(FileNotFoundError):
                total += Path(f"{self._path}{end}").stat().st_size
        return total

    def close(self) -> None:
        """See `Index`."""
        self._connection.close()

    def _select(self, query: str, terms: Sequence[str], span: Span, most: int) -> list[tuple[int]]:
        begin, end = self._entries_in(span)
        match = " ".join(f'"{term}"' for term in terms)
        return self._run(lambda: self._connection.execute(query, (match, begin, end, most)).fetchall())

    def _entries_in(self, span: Span) -> tuple[int, int]:
        """Return the first entry, and the one behind the last, that a span could hold: whole bundles."""
        end = _LAST if span.below is None else span.below
        if span.begin_us is None and span.end_us is None:
            return 0, end
        query = "SELECT min(number), max(number) FROM bundle WHERE last_us >= ? AND first_us < ?"
        times = (0 if span.begin_us is None else span.begin_us, _LAST if span.end_us is None else span.end_us)
        first, last = self._run(lambda: self._connection.execute(query, times).fetchone())
        return (0, 0) if first is None else (first * TILE_WIDTH, min(end, (last + 1) * TILE_WIDTH))

    def _run(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except (sqlite3.Error, TypeError) as fault:  # a row that is missing is no tuple
            raise _unusable(self._path, fault) from fault

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except BaseException as fault:
            with contextlib.suppress(sqlite3.Error):
                if connection.in_transaction:  # of some faults, such as a full disk, SQLite has rolled back itself
                    connection.execute("ROLLBACK")
            if isinstance(fault, sqlite3.Error):
                raise _unusable(self._path, fault) from fault
            raise


def open_index(path: Path, *, key: str = "", write: bool = True) -> SqliteIndex:
    """Open an index. With `write` it is made (mode 0600) for the ledger with this key, if it is not there.

    IndexFault if there is none, or the file is no index, of another version, damaged, or cannot be used.
    """
    if not write and not path.exists():
        raise IndexFault("there is no index yet", REBUILD)
    try:
        if write:
            # As in `open_store`: a file that is there is not opened by us.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(
            f"file:{_quoted(path)}?{'mode=rw' if write else _read_only(path)}",
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,
        )
    except (OSError, sqlite3.Error) as fault:
        raise _unusable(path, fault) from fault
    try:
        if write:
            _prepare(connection, key)
        _check(connection)
    except (sqlite3.Error, TypeError) as fault:
        connection.close()
        raise _unusable(path, fault) from fault
    except IndexFault:
        connection.close()
        raise
    return SqliteIndex(connection, path)


def remove_index(path: Path) -> None:
    """Remove an index, whatever its file is. The caller must see to it that nobody extends it. OSError."""
    for end in FILES:
        Path(f"{path}{end}").unlink(missing_ok=True)


def _prepare(connection: sqlite3.Connection, key: str) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("BEGIN IMMEDIATE")
    if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for statement in filter(str.strip, _SCHEMA.split(";")):
            connection.execute(statement)
        new = Cursor(key)
        connection.execute(
            "INSERT INTO meta VALUES (?, ?, ?, ?, ?, ?)",
            (SCHEMA_VERSION, TERMS_VERSION, new.key, new.size, new.root, new.newest_us),
        )
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection) -> None:
    if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
        raise IndexFault("the file of the index is something else", REBUILD)
    if connection.execute("SELECT schema, terms FROM meta").fetchall() != [(SCHEMA_VERSION, TERMS_VERSION)]:
        raise IndexFault("the index was made by another version of gatebook", REBUILD)


def _times(postings: Sequence[Posting]) -> list[tuple[int, int, int]]:
    """Return for each bundle the first and the last time of its entries."""
    times: dict[int, list[int]] = {}
    for one in postings:
        if one.at_us is not None:
            times.setdefault(one.index // TILE_WIDTH, []).append(one.at_us)
    return [(bundle, min(found), max(found)) for bundle, found in times.items()]


def _read_only(path: Path) -> str:
    """Say how to open a file that is only read: where its folder may not be written, nobody else extends it either."""
    is_still = not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()
    return "immutable=1" if is_still else "mode=ro"


def _quoted(path: Path) -> str:
    """Return a path as SQLite reads it in a URI."""
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _unusable(path: Path, fault: Exception) -> IndexFault:
    if isinstance(fault, OSError):
        words = (fault.strerror or "unknown error").lower()
        return IndexFault(f"the index {quoted(str(path))} cannot be opened: {words}", "see the path and its owner")
    words = str(fault) if isinstance(fault, sqlite3.Error) else "it lacks what it must have"
    return IndexFault(f"the index {quoted(str(path))} cannot be used: {words}", f"see the disk, or {REBUILD}")
