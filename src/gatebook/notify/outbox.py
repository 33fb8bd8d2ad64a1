# SPDX-License-Identifier: Apache-2.0
"""The queue of messages that are not taken yet, and how far requests were followed: one SQLite file, for its owner.

SPEC: docs/spec/webhook.md, "Sending", 7. A commit is on disk when a call returns. One process adds; others may read.
Anything wrong with the file raises OutboxFault.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from gatebook.model.approval import State
from gatebook.model.errors import OperatorFault, quoted

MAX_WAITING: Final = 10_000  # LIMIT: messages of one receiver
MAX_TOLD: Final = 20_000  # LIMIT: requests of which is known what was told; ended ones change no more
MAX_ERROR: Final = 500
BUSY_TIMEOUT_S: Final = 5.0
VERSION: Final = 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SCHEMA: Final = """
CREATE TABLE meta (version INTEGER NOT NULL, seen INTEGER NOT NULL) STRICT;
CREATE TABLE told (
  request TEXT PRIMARY KEY, state TEXT NOT NULL, number INTEGER NOT NULL, next_us INTEGER, place INTEGER NOT NULL
) STRICT;
CREATE INDEX told_place ON told (place);
CREATE INDEX told_next ON told (next_us) WHERE next_us IS NOT NULL;
CREATE TABLE waiting (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, receiver TEXT NOT NULL, id TEXT NOT NULL, urgent INTEGER NOT NULL,
  made_us INTEGER NOT NULL, body BLOB NOT NULL, reminds TEXT NOT NULL, UNIQUE (receiver, id)
) STRICT;
CREATE INDEX waiting_order ON waiting (receiver, urgent DESC, seq);
CREATE TABLE receiver (
  name TEXT PRIMARY KEY, kind TEXT NOT NULL, error TEXT NOT NULL DEFAULT '', error_us INTEGER, taken_us INTEGER,
  alarm_us INTEGER, gone_us INTEGER
) STRICT;
"""


class OutboxFault(OperatorFault):
    """The file of the queue cannot be used."""

    code = "notify"

    def __init__(self, message: str) -> None:
        super().__init__(message, "see disk and owner; if it is removed, open requests are told again")


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of a request last; `number` reminders so far, the next at `remind_at` if there is one."""

    request: str
    state: State
    number: int = 0
    remind_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message for one receiver. `seq` is its place, 0 before it has one.

    `reminds` is the request that it reminds of, empty otherwise; reminders of `outdates` that still wait are dropped.
    """

    receiver: str
    id: str
    is_urgent: bool
    made_at: datetime
    body: bytes
    seq: int = 0
    reminds: str = ""
    outdates: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a receiver stands; `waiting_since` is the time of the oldest message that is not taken."""

    name: str
    waiting: int
    waiting_since: datetime | None
    error: str
    error_at: datetime | None
    taken_at: datetime | None
    alarm_at: datetime | None
    gone_at: datetime | None


class Outbox:
    """The file. One object per thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the file, making it (mode 0600) and its folder if they are not there. OutboxFault."""
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        except (OSError, sqlite3.Error) as fault:
            raise OutboxFault(f"{quoted(str(path))} cannot be opened: {fault}") from fault
        box = cls(connection)
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "trusted_schema = OFF"):
                connection.execute(f"PRAGMA {pragma}")
            box._prepare()
        except (sqlite3.Error, OutboxFault) as fault:
            connection.close()
            raise OutboxFault(f"{quoted(str(path))} cannot be used: {fault}") from fault
        return box

    @classmethod
    def look(cls, path: Path) -> Self:
        """Open the file to read it only, beside the process that writes it. OutboxFault."""
        try:
            return cls(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S))
        except sqlite3.Error as fault:
            raise OutboxFault(f"{quoted(str(path))} cannot be opened: {fault}") from fault

    def close(self) -> None:
        """Release the file."""
        self._connection.close()

    # ── following ───────────────────────────────────────────────────────────────────────────────

    def seen(self) -> int:
        """Return how far the store of requests was followed; 0 at first."""
        return int(self._one("SELECT seen FROM meta"))

    def find_told(self, request: str) -> Told | None:
        """Return what was told of a request."""
        row = self._row("SELECT request, state, number, next_us FROM told WHERE request = ?", request)
        return None if row is None else _told(row)

    def due(self, at: datetime, most: int) -> tuple[Told, ...]:
        """Return requests whose next reminder is due, the longest due first."""
        rows = self._rows(
            "SELECT request, state, number, next_us FROM told WHERE next_us <= ? ORDER BY next_us LIMIT ?",
            _us(at),
            most,
        )
        return tuple(_told(row) for row in rows)

    def put(self, seen: int, told: Iterable[Told], messages: Iterable[Message]) -> dict[str, int]:
        """Keep all of this in one transaction; how many older messages each receiver has lost by it.

        A message that waits already is not added again.
        """
        with self._change() as change:
            change.execute("UPDATE meta SET seen = ?", (seen,))
            for one in told:
                change.execute(
                    "INSERT OR REPLACE INTO told VALUES (?, ?, ?, ?, (SELECT coalesce(max(place), 0) + 1 FROM told))",
                    (one.request, one.state.value, one.number, None if one.remind_at is None else _us(one.remind_at)),
                )
            receivers: set[str] = set()
            for message in messages:
                receivers.add(message.receiver)
                if message.outdates:
                    change.execute(
                        "DELETE FROM waiting WHERE receiver = ? AND reminds = ?", (message.receiver, message.outdates)
                    )
                change.execute(
                    "INSERT OR IGNORE INTO waiting (receiver, id, urgent, made_us, body, reminds)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        *(message.receiver, message.id, message.is_urgent, _us(message.made_at)),
                        *(message.body, message.reminds),
                    ),
                )
            change.execute(
                "DELETE FROM told WHERE next_us IS NULL AND place <= (SELECT max(place) FROM told) - ?", (MAX_TOLD,)
            )
            return {name: lost for name in receivers if (lost := self._trim(change, name))}

    # ── sending ─────────────────────────────────────────────────────────────────────────────────

    def keep_only(self, receivers: Sequence[tuple[str, str]]) -> None:
        """Forget receivers, by name and kind, that are not among these, with what waits for them."""
        with self._change() as change:
            known = change.execute("SELECT name, kind FROM receiver").fetchall()
            for name, _ in set(known) - set(receivers):
                change.execute("DELETE FROM receiver WHERE name = ?", (name,))
                change.execute("DELETE FROM waiting WHERE receiver = ?", (name,))
            change.executemany("INSERT OR IGNORE INTO receiver (name, kind) VALUES (?, ?)", receivers)

    def first(self, receiver: str) -> Message | None:
        """Return what a receiver is to be sent next."""
        row = self._row(
            "SELECT receiver, id, urgent, made_us, body, seq FROM waiting WHERE receiver = ?"
            " ORDER BY urgent DESC, seq LIMIT 1",
            receiver,
        )
        return None if row is None else Message(row[0], row[1], bool(row[2]), _moment(row[3]), row[4], row[5])

    def taken(self, message: Message, at: datetime) -> None:
        """Take a message out that its receiver has; nothing is wrong with it any more."""
        with self._change() as change:
            change.execute("DELETE FROM waiting WHERE seq = ?", (message.seq,))
            change.execute(
                "UPDATE receiver SET error = '', error_us = NULL, taken_us = ?, gone_us = NULL WHERE name = ?",
                (_us(at), message.receiver),
            )

    def failed(self, receiver: str, error: str, at: datetime) -> None:
        """Keep what went wrong last."""
        with self._change() as change:
            change.execute(
                "UPDATE receiver SET error = ?, error_us = ? WHERE name = ?", (error[:MAX_ERROR], _us(at), receiver)
            )

    def drop(self, message: Message) -> None:
        """Give a message up."""
        with self._change() as change:
            change.execute("DELETE FROM waiting WHERE seq = ?", (message.seq,))

    def drop_older(self, receiver: str, than: datetime) -> int:
        """Give up what a receiver has not taken since, and return how many messages that were."""
        if self._row("SELECT 1 FROM waiting WHERE receiver = ? AND made_us < ?", receiver, _us(than)) is None:
            return 0
        with self._change() as change:
            cursor = change.execute("DELETE FROM waiting WHERE receiver = ? AND made_us < ?", (receiver, _us(than)))
            return cursor.rowcount

    def gone(self, receiver: str, at: datetime) -> int:
        """Send a receiver nothing any more; how many messages are given up by that."""
        with self._change() as change:
            change.execute("UPDATE receiver SET gone_us = ? WHERE name = ?", (_us(at), receiver))
            return change.execute("DELETE FROM waiting WHERE receiver = ?", (receiver,)).rowcount

    def back(self, receiver: str) -> None:
        """Send a receiver again."""
        with self._change() as change:
            change.execute(
                "UPDATE receiver SET gone_us = NULL, error = '', error_us = NULL WHERE name = ?", (receiver,)
            )

    def alarm(self, receiver: str, since: datetime | None) -> None:
        """Keep that an alarm was entered, or with None that it is over."""
        with self._change() as change:
            change.execute(
                "UPDATE receiver SET alarm_us = ? WHERE name = ?", (None if since is None else _us(since), receiver)
            )

    def standing(self, receiver: str) -> Standing:
        """Return how a receiver stands; one of which nothing is known has nothing waiting."""
        waiting, oldest = self._row("SELECT count(*), min(made_us) FROM waiting WHERE receiver = ?", receiver) or (
            0,
            None,
        )
        row = self._row(
            "SELECT error, error_us, taken_us, alarm_us, gone_us FROM receiver WHERE name = ?", receiver
        ) or ("", None, None, None, None)
        times = [None if us is None else _moment(us) for us in (oldest, *row[1:])]
        return Standing(receiver, waiting, times[0], row[0], *times[1:])

    # ── the file ────────────────────────────────────────────────────────────────────────────────

    def _trim(self, change: sqlite3.Connection, receiver: str) -> int:
        """Drop the oldest beyond the bound, those about broken glass last; how many."""
        (count,) = change.execute("SELECT count(*) FROM waiting WHERE receiver = ?", (receiver,)).fetchone()
        over = int(count) - MAX_WAITING
        if over <= 0:
            return 0
        change.execute(
            "DELETE FROM waiting WHERE seq IN"
            " (SELECT seq FROM waiting WHERE receiver = ? ORDER BY urgent, seq LIMIT ?)",
            (receiver, over),
        )
        return over

    def _prepare(self) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone() is None:
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES (?, 0)", (VERSION,))
        (version,) = connection.execute("SELECT version FROM meta").fetchone()
        connection.execute("COMMIT")
        if version != VERSION:
            raise OutboxFault(f"it has version {version}, this build knows {VERSION}")

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.Error as fault:
            raise OutboxFault(f"the queue of messages cannot be written: {fault}") from fault
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _rows(self, sql: str, *values: object) -> list[tuple]:  # type: ignore[type-arg]  # SQLite's own values
        try:
            return self._connection.execute(sql, values).fetchall()
        except sqlite3.Error as fault:
            raise OutboxFault(f"the queue of messages cannot be read: {fault}") from fault

    def _row(self, sql: str, *values: object) -> tuple | None:  # type: ignore[type-arg]  # as above
        rows = self._rows(sql, *values)
        return rows[0] if rows else None

    def _one(self, sql: str) -> int:
        return int(self._rows(sql)[0][0])


def read_standings(path: Path, receivers: Iterable[str]) -> list[Standing]:
    """Return how receivers stand, by the file as it is now; also where it is not there yet. OutboxFault."""
    if not path.exists():
        return [Standing(name, 0, None, "", None, None, None, None) for name in receivers]
    outbox = Outbox.look(path)
    try:
        return [outbox.standing(name) for name in receivers]
    finally:
        outbox.close()


def _told(row: tuple) -> Told:  # type: ignore[type-arg]  # as above
    return Told(row[0], State(row[1]), row[2], None if row[3] is None else _moment(row[3]))


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _moment(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
