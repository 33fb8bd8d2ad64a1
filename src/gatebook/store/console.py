# SPDX-License-Identifier: Apache-2.0
"""What the console keeps for itself: web sessions, sign-ins under way, challenges, enrolments, counters of passkeys.

One SQLite file of its own, mode 0600. Whoever steals it can sign in nowhere: ids and codes are kept as hashes. A call
that returns has committed. Everything in it ends by itself; losing it signs everybody out and loses nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gatebook.model.errors import quoted
from gatebook.model.principal import Subject
from gatebook.store.base import StoreFault
from gatebook.store.sqlite_file import micros, moment

VERSION = 1
BUSY_TIMEOUT_S = 5.0
MOST_UNDER_WAY = 10_000  # LIMIT: sign-ins, or challenges, that nobody has finished yet; beyond, no new one begins
MOST_SESSIONS = 100  # LIMIT: web sessions of one person; the oldest ends for a new one

_SCHEMA = """
CREATE TABLE web_session (
  id BLOB PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, groups TEXT NOT NULL, method TEXT NOT NULL,
  credential TEXT NOT NULL, made_us INTEGER NOT NULL, seen_us INTEGER NOT NULL, ends_us INTEGER NOT NULL
) STRICT;
CREATE INDEX web_session_person ON web_session (issuer, subject, made_us);
CREATE TABLE sign_in (
  state BLOB PRIMARY KEY, browser BLOB NOT NULL, provider TEXT NOT NULL, nonce TEXT NOT NULL, verifier TEXT NOT NULL,
  ends_us INTEGER NOT NULL
) STRICT;
CREATE TABLE challenge (
  id BLOB PRIMARY KEY, purpose TEXT NOT NULL, holder BLOB NOT NULL, data BLOB NOT NULL, ends_us INTEGER NOT NULL
) STRICT;
CREATE TABLE enrolment (
  code BLOB PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, asked_by TEXT NOT NULL, ends_us INTEGER NOT NULL
) STRICT;
CREATE TABLE counter (credential BLOB PRIMARY KEY, counted INTEGER NOT NULL) STRICT;
"""
_Row = tuple[Any, ...]  # as SQLite gives it; the columns are strict
_SESSION = "issuer, subject, groups, method, credential, made_us, seen_us, ends_us"


@dataclass(frozen=True, slots=True)
class WebSession:
    """Somebody who is signed in. `credential` is the public id of what they signed in with; times are aware UTC.

    `groups` are those of the provider's token; those that the gate itself knows are looked up each time.
    """

    person: Subject
    groups: tuple[str, ...]
    method: str
    credential: str
    made_at: datetime
    seen_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in that a provider is asked for, from the browser that holds the secret with this hash."""

    browser: bytes
    provider: str
    nonce: str
    verifier: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a passkey is to sign once: for which purpose and holder (a web session, an enrolment), and what it means."""

    purpose: str
    holder: bytes
    data: bytes
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Leave to make one passkey for a person."""

    person: Subject
    asked_by: str
    ends_at: datetime


def hashed(secret: str) -> bytes:
    """Return the form in which an id or code is kept. It has 256 random bits: a plain hash is enough."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


class ConsoleStore:
    """The console's file. Used from one thread at a time; the command line adds enrolments from its own process."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Release the file; nothing may be called afterwards."""
        self._connection.close()

    # ── web sessions ──

    def add_session(self, secret: str, session: WebSession) -> None:
        """Sign somebody in."""
        row = (hashed(secret), *_who(session.person), json.dumps(session.groups), session.method, session.credential)
        times = (micros(session.made_at), micros(session.seen_at), micros(session.ends_at))
        with self._change() as change:
            change.execute("DELETE FROM web_session WHERE ends_us <= ?", (micros(session.made_at),))
            change.execute(f"INSERT INTO web_session (id, {_SESSION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row + times)  # noqa: S608  column list is ours
            change.execute(
                "DELETE FROM web_session WHERE issuer = ? AND subject = ? AND id NOT IN (SELECT id FROM web_session"
                " WHERE issuer = ? AND subject = ? ORDER BY made_us DESC LIMIT ?)",
                (*_who(session.person), *_who(session.person), MOST_SESSIONS),
            )

    def find_session(self, secret: str) -> WebSession | None:
        """Return a web session, also one that is over by its times."""
        row = self._connection.execute(f"SELECT {_SESSION} FROM web_session WHERE id = ?", (hashed(secret),)).fetchone()  # noqa: S608  column list is ours
        if row is None:
            return None
        issuer, subject, groups, method, credential, made_us, seen_us, ends_us = row
        times = (moment(made_us), moment(seen_us), moment(ends_us))
        return WebSession(Subject(issuer, subject), tuple(json.loads(groups)), method, credential, *times)

    def touch_session(self, secret: str, at: datetime) -> None:
        """Somebody who is signed in was seen."""
        with self._change() as change:
            change.execute("UPDATE web_session SET seen_us = ? WHERE id = ?", (micros(at), hashed(secret)))

    def end_session(self, secret: str) -> None:
        """Sign somebody out; nothing if they are already."""
        with self._change() as change:
            change.execute("DELETE FROM web_session WHERE id = ?", (hashed(secret),))

    def end_sessions_of(self, person: Subject) -> int:
        """Sign a person out everywhere; how many web sessions ended."""
        with self._change() as change:
            return change.execute("DELETE FROM web_session WHERE issuer = ? AND subject = ?", _who(person)).rowcount

    # ── what is under way, once each ──

    def begin_sign_in(self, state: str, sign_in: SignIn, now: datetime) -> bool:
        """Keep a sign-in that begins; False if too many are under way."""
        row = (sign_in.browser, sign_in.provider, sign_in.nonce, sign_in.verifier, micros(sign_in.ends_at))
        return self._begin("sign_in", "INSERT INTO sign_in VALUES (?, ?, ?, ?, ?, ?)", (hashed(state), *row), now)

    def take_sign_in(self, state: str, now: datetime) -> SignIn | None:
        """Return and forget a sign-in; None if there is none, or it took too long."""
        found = self._take("sign_in", "state", hashed(state))
        if found is None:
            return None
        _, browser, provider, nonce, verifier, ends_us = found
        made = SignIn(browser, provider, nonce, verifier, moment(ends_us))
        return made if now < made.ends_at else None

    def begin_challenge(self, name: str, challenge: Challenge, now: datetime) -> bool:
        """Keep a challenge; False if too many are under way."""
        row = (hashed(name), challenge.purpose, challenge.holder, challenge.data, micros(challenge.ends_at))
        return self._begin("challenge", "INSERT INTO challenge VALUES (?, ?, ?, ?, ?)", row, now)

    def take_challenge(self, name: str, purpose: str, holder: bytes, now: datetime) -> bytes | None:
        """Return what a challenge means, and forget it; None if it is not there, for another, or took too long."""
        found = self._take("challenge", "id", hashed(name))
        if found is None:
            return None
        _, kept_purpose, kept_holder, data, ends_us = found
        is_good = (kept_purpose, kept_holder) == (purpose, holder) and now < moment(ends_us)
        return bytes(data) if is_good else None

    # ── passkeys ──

    def add_enrolment(self, code: str, enrolment: Enrolment, now: datetime) -> None:
        """Let a person make a passkey; a leave that they had before is void. StoreFault if it cannot be kept."""
        with self._change() as change:
            person = _who(enrolment.person)
            change.execute("DELETE FROM enrolment WHERE ends_us <= ?", (micros(now),))
            change.execute("DELETE FROM enrolment WHERE issuer = ? AND subject = ?", person)
            row = (hashed(code), *person, enrolment.asked_by, micros(enrolment.ends_at))
            change.execute("INSERT INTO enrolment VALUES (?, ?, ?, ?, ?)", row)

    def find_enrolment(self, code: str, now: datetime) -> Enrolment | None:
        """Return the leave that a code gives now."""
        row = self._connection.execute("SELECT * FROM enrolment WHERE code = ?", (hashed(code),)).fetchone()
        return _enrolment(row, now)

    def take_enrolment(self, code: str, now: datetime) -> Enrolment | None:
        """Return the leave and use it up."""
        return _enrolment(self._take("enrolment", "code", hashed(code)), now)

    def counted(self, credential_id: bytes) -> int:
        """Return the counter that a passkey had last, 0 at first."""
        row = self._connection.execute("SELECT counted FROM counter WHERE credential = ?", (credential_id,)).fetchone()
        return 0 if row is None else int(row[0])

    def count(self, credential_id: bytes, counted: int) -> None:
        """Keep the counter that a passkey has now."""
        with self._change() as change:
            change.execute(
                "INSERT INTO counter VALUES (?, ?) ON CONFLICT (credential) DO UPDATE SET counted = max(counted, ?)",
                (credential_id, counted, counted),
            )

    def _begin(self, table: str, insert: str, row: tuple[object, ...], now: datetime) -> bool:
        with self._change() as change:
            change.execute(f"DELETE FROM {table} WHERE ends_us <= ?", (micros(now),))  # noqa: S608  a name of ours
            (count,) = change.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608  a name of ours
            if count >= MOST_UNDER_WAY:
                return False
            change.execute(insert, row)
        return True

    def _take(self, table: str, column: str, key: bytes) -> _Row | None:
        with self._change() as change:
            found = change.execute(f"DELETE FROM {table} WHERE {column} = ? RETURNING *", (key,)).fetchall()  # noqa: S608  names of ours
        return found[0] if found else None

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
        except sqlite3.Error as fault:
            message = f"the console's file cannot be written: {fault}"
            raise StoreFault(message, "see the disk and the owner of the data folder") from fault


def open_console(path: Path) -> ConsoleStore:
    """Open the console's file, making it (mode 0600) if it is not there. StoreFault if it cannot be used."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            version = VERSION
        connection.execute("COMMIT")
    except (OSError, sqlite3.Error) as fault:
        message = f"the console's file {quoted(str(path))} cannot be used: {fault}"
        raise StoreFault(
            message, "see the path and its owner; it may be removed: everybody then signs in again"
        ) from fault
    if version != VERSION:
        connection.close()
        raise StoreFault(f"the console's file has version {version}, this build knows {VERSION}", "remove it")
    return ConsoleStore(connection)


def _enrolment(row: _Row | None, now: datetime) -> Enrolment | None:
    if row is None:
        return None
    _, issuer, subject, asked_by, ends_us = row
    made = Enrolment(Subject(issuer, subject), asked_by, moment(ends_us))
    return made if now < made.ends_at else None


def _who(person: Subject) -> tuple[str, str]:
    return (person.issuer, person.subject)
