# SPDX-License-Identifier: Apache-2.0
"""The embedded store: one SQLite file in the data folder, readable by its owner only.

WAL with full synchronisation: a commit is on disk when a call returns, and a reader never waits for a writer.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gatebook.model.credential import KeyRecord, Person
from gatebook.model.errors import quoted
from gatebook.model.ids import KeyId
from gatebook.model.principal import Subject
from gatebook.store.base import StoreFault

SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 5.0  # a CLI command and a gate share the file; writes take milliseconds

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA = """
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
"""
_PERSON = "issuer, subject, admin, created_us, disabled_us"
_KEY = (
    "id, sha256, agent_issuer, agent_subject, owner_issuer, owner_subject, groups, created_us, expires_us, revoked_us"
)


class SqliteStore:
    """`Store` on a SQLite file. One object per thread; any number of processes."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Take over a connection that `open_store` has prepared."""
        self._connection = connection

    def add_person(self, person: Person) -> None:
        """See `Directory`."""
        row = (
            person.subject.issuer,
            person.subject.subject,
            int(person.admin),
            _micros(person.created_at),
            _micros_or_none(person.disabled_at),
        )
        with self._change() as change:
            if self.find_person(person.subject) is not None:
                message = f"person {quoted(person.subject.subject)} is there already"
                raise StoreFault(message)
            change.execute(f"INSERT INTO person ({_PERSON}) VALUES (?, ?, ?, ?, ?)", row)  # noqa: S608  column list is ours

    def find_person(self, subject: Subject) -> Person | None:
        """See `Directory`."""
        row = self._connection.execute(
            f"SELECT {_PERSON} FROM person WHERE issuer = ? AND subject = ?",  # noqa: S608  column list is ours
            (subject.issuer, subject.subject),
        ).fetchone()
        return None if row is None else _person(row)

    def list_people(self) -> tuple[Person, ...]:
        """See `Directory`."""
        rows = self._connection.execute(f"SELECT {_PERSON} FROM person ORDER BY issuer, subject")  # noqa: S608  column list is ours
        return tuple(_person(row) for row in rows)

    def disable_person(self, subject: Subject, at: datetime) -> Person:
        """See `Directory`."""
        with self._change() as change:
            change.execute(
                "UPDATE person SET disabled_us = ? WHERE issuer = ? AND subject = ? AND disabled_us IS NULL",
                (_micros(at), subject.issuer, subject.subject),
            )
        person = self.find_person(subject)
        if person is None:
            message = f"no person {quoted(subject.subject)}"
            raise StoreFault(message, "list them with `gatebook person list`")
        return person

    def add_key(self, record: KeyRecord) -> None:
        """See `KeyRing`."""
        row = (
            record.id,
            record.sha256,
            record.agent.issuer,
            record.agent.subject,
            record.owner.issuer,
            record.owner.subject,
            json.dumps(record.groups),
            _micros(record.created_at),
            _micros(record.expires_at),
            _micros_or_none(record.revoked_at),
        )
        with self._change() as change:
            owner = self.find_person(record.owner)
            if owner is None or owner.disabled_at is not None:
                message = f"no person {quoted(record.owner.subject)} to own a key"
                raise StoreFault(message, "add the person with `gatebook person add`, or name another owner")
            try:
                change.execute(f"INSERT INTO api_key ({_KEY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608  column list is ours
            except sqlite3.IntegrityError as fault:
                message = f"key {quoted(record.id)} is there already"
                raise StoreFault(message) from fault

    def find_key(self, sha256: bytes) -> KeyRecord | None:
        """See `KeyRing`."""
        row = self._connection.execute(f"SELECT {_KEY} FROM api_key WHERE sha256 = ?", (sha256,)).fetchone()  # noqa: S608  column list is ours
        return None if row is None else _key(row)

    def list_keys(self) -> tuple[KeyRecord, ...]:
        """See `KeyRing`."""
        rows = self._connection.execute(f"SELECT {_KEY} FROM api_key ORDER BY created_us, id")  # noqa: S608  column list is ours
        return tuple(_key(row) for row in rows)

    def revoke_key(self, key: KeyId, at: datetime) -> KeyRecord:
        """See `KeyRing`."""
        with self._change() as change:
            change.execute("UPDATE api_key SET revoked_us = ? WHERE id = ? AND revoked_us IS NULL", (_micros(at), key))
        row = self._connection.execute(f"SELECT {_KEY} FROM api_key WHERE id = ?", (key,)).fetchone()  # noqa: S608  column list is ours
        if row is None:
            message = f"no key {quoted(key)}"
            raise StoreFault(message, "list them with `gatebook key list`")
        return _key(row)

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


def open_store(path: Path) -> SqliteStore:
    """Open the store, making it (mode 0600) if it is not there.

    StoreFault if the file is no store, was made by a newer version, or cannot be used.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    except (OSError, sqlite3.Error) as fault:
        message = f"the store {quoted(str(path))} cannot be opened: {_words(fault)}"
        raise StoreFault(message, "see the path and its owner, or run `gatebook init`") from fault
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        _prepare_schema(connection)
    except sqlite3.Error as fault:
        connection.close()
        message = f"the store {quoted(str(path))} cannot be used: {fault}"
        raise StoreFault(message, "see that it is the file that `gatebook init` made") from fault
    except StoreFault:
        connection.close()
        raise
    return SqliteStore(connection)


def _prepare_schema(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")  # two processes that open a new file at once: one of them makes the tables
    present = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone()
    if present is None:
        for statement in filter(str.strip, _SCHEMA.split(";")):
            connection.execute(statement)
        connection.execute("INSERT INTO meta VALUES (?, 1)", (SCHEMA_VERSION,))
    (version,) = connection.execute("SELECT version FROM meta").fetchone()
    connection.execute("COMMIT")
    if version != SCHEMA_VERSION:
        message = f"the store has schema version {version}, this build knows {SCHEMA_VERSION}"
        raise StoreFault(message, "use the version of gatebook that wrote it, or a newer one")


def _person(row: tuple[str, str, int, int, int | None]) -> Person:
    issuer, subject, admin, created_us, disabled_us = row
    return Person(Subject(issuer, subject), bool(admin), _moment(created_us), _moment_or_none(disabled_us))


def _key(row: tuple[str, bytes, str, str, str, str, str, int, int, int | None]) -> KeyRecord:
    key, sha256, agent_issuer, agent, owner_issuer, owner, groups, created_us, expires_us, revoked_us = row
    return KeyRecord(
        id=KeyId(key),
        sha256=sha256,
        agent=Subject(agent_issuer, agent),
        owner=Subject(owner_issuer, owner),
        groups=tuple(json.loads(groups)),
        created_at=_moment(created_us),
        expires_at=_moment(expires_us),
        revoked_at=_moment_or_none(revoked_us),
    )


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _micros_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else _micros(moment)


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)


def _moment_or_none(micros: int | None) -> datetime | None:
    return None if micros is None else _moment(micros)


def _words(fault: OSError | sqlite3.Error) -> str:
    return (fault.strerror or "unknown error").lower() if isinstance(fault, OSError) else str(fault)
