# SPDX-License-Identifier: Apache-2.0
"""The embedded store: one SQLite file in the data folder, readable by its owner only.

WAL with full synchronisation: a commit is on disk when a call returns, and a reader never waits for a writer.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path

from gatebook.model.errors import quoted
from gatebook.store.base import StoreFault
from gatebook.store.sqlite_approvals import SqliteApprovals
from gatebook.store.sqlite_keys import SqliteKeys

SCHEMA_VERSION = 2
BUSY_TIMEOUT_S = 5.0  # a CLI command and a gate share the file; writes take milliseconds

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
# What each version adds to the one before it; a store of an older version is brought up when it is opened.
_STEPS = {
    2: """
ALTER TABLE person ADD COLUMN human TEXT NOT NULL DEFAULT '';
CREATE TABLE membership (
  issuer TEXT NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL, since_us INTEGER NOT NULL,
  PRIMARY KEY (issuer, subject, name), FOREIGN KEY (issuer, subject) REFERENCES person (issuer, subject)
) STRICT;
CREATE TABLE signing_key (
  fingerprint TEXT PRIMARY KEY, kind TEXT NOT NULL, text TEXT NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL,
  added_us INTEGER NOT NULL, removed_us INTEGER, FOREIGN KEY (issuer, subject) REFERENCES person (issuer, subject)
) STRICT;
CREATE TABLE approval (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, issuer TEXT NOT NULL, subject TEXT NOT NULL,
  matter TEXT NOT NULL,
  session TEXT NOT NULL, operation INTEGER NOT NULL, made_us INTEGER NOT NULL, changed INTEGER NOT NULL,
  body BLOB NOT NULL
) STRICT;
CREATE INDEX approval_state ON approval (state, made_us);
CREATE INDEX approval_changed ON approval (changed);
CREATE INDEX approval_asker ON approval (issuer, subject, made_us);
CREATE INDEX approval_open ON approval (issuer, subject, state);
CREATE INDEX approval_held ON approval (session, operation);
""",
}


class SqliteStore(SqliteKeys, SqliteApprovals):
    """`Store` on a SQLite file. One object per thread; any number of processes."""


def open_store(path: Path) -> SqliteStore:
    """Open the store, making it (mode 0600) if it is not there.

    StoreFault if the file is no store, was made by a newer version, or cannot be used.
    """
    try:
        # Only ever made here, never opened: to close a descriptor of the file would drop the locks that this process
        # holds on it through another connection, and another process would then take its log away.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
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
        connection.execute("INSERT INTO meta VALUES (1, 1)")
    (version,) = connection.execute("SELECT version FROM meta").fetchone()
    while version < SCHEMA_VERSION:
        version += 1
        for statement in filter(str.strip, _STEPS[version].split(";")):
            connection.execute(statement)
        connection.execute("UPDATE meta SET version = ?", (version,))
    connection.execute("COMMIT")
    if version != SCHEMA_VERSION:
        message = f"the store has schema version {version}, this build knows {SCHEMA_VERSION}"
        raise StoreFault(message, "use the version of gatebook that wrote it, or a newer one")


def _words(fault: OSError | sqlite3.Error) -> str:
    return (fault.strerror or "unknown error").lower() if isinstance(fault, OSError) else str(fault)
