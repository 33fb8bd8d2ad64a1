# SPDX-License-Identifier: Apache-2.0
"""Requests for consent in SQLite: what is searched in columns, the whole request as JSON."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from datetime import timedelta

import msgspec

from gatebook.model.approval import OPEN, REVIEWABLE, Asking, Kind, Request, State
from gatebook.model.errors import quoted
from gatebook.model.principal import Subject
from gatebook.store.base import StoreFault
from gatebook.store.sqlite_file import SqliteFile, micros

LOOKED_BACK = timedelta(hours=1)
_OPEN = tuple(sorted(state.value for state in OPEN))
_UNREVIEWED = tuple(sorted(state.value for state in REVIEWABLE))
_COLUMNS = "id, kind, state, issuer, subject, matter, session, operation, made_us, changed, body"


class SqliteApprovals(SqliteFile):
    """`Approvals`."""

    def add_request(self, request: Request, check: Callable[[Asking], None]) -> None:
        """See `Approvals`."""
        subject = request.principal.subject
        hour = micros(request.made_at - LOOKED_BACK)
        with self._change() as change:
            (opened,) = change.execute(
                "SELECT count(*) FROM approval WHERE issuer = ? AND subject = ? AND state IN (?, ?)",
                (subject.issuer, subject.subject, *_OPEN),
            ).fetchone()
            (recent,) = change.execute(
                "SELECT count(*) FROM approval WHERE issuer = ? AND subject = ? AND made_us > ?",
                (subject.issuer, subject.subject, hour),
            ).fetchone()
            (unreviewed,) = change.execute(
                "SELECT count(*) FROM approval WHERE issuer = ? AND subject = ? AND kind = ? AND state IN (?, ?, ?)",
                (subject.issuer, subject.subject, Kind.BREAK_GLASS.value, *_UNREVIEWED),
            ).fetchone()
            check(Asking(opened, recent, unreviewed))
            try:
                self._write(change, request)
            except sqlite3.IntegrityError as fault:
                message = f"request {quoted(request.id)} is there already"
                raise StoreFault(message) from fault

    def find_request(self, request: str) -> Request | None:
        """See `Approvals`."""
        row = self._connection.execute("SELECT body FROM approval WHERE id = ?", (request,)).fetchone()
        return None if row is None else _decode(row)

    def find_held(self, session: str, operation: int) -> Request | None:
        """See `Approvals`."""
        row = self._connection.execute(
            "SELECT body FROM approval WHERE session = ? AND operation = ? ORDER BY made_us DESC LIMIT 1",
            (session, operation),
        ).fetchone()
        return None if row is None else _decode(row)

    def find_claimable(self, subject: Subject, matter: str) -> Request | None:
        """See `Approvals`."""
        row = self._connection.execute(
            "SELECT body FROM approval WHERE issuer = ? AND subject = ? AND matter = ? AND session = ''"
            " AND state IN (?, ?) ORDER BY made_us DESC LIMIT 1",
            (subject.issuer, subject.subject, matter, *_OPEN),
        ).fetchone()
        return None if row is None else _decode(row)

    def change_request(self, request: str, change: Callable[[Request], Request]) -> Request:
        """See `Approvals`."""
        with self._change() as connection:
            found = self.find_request(request)
            if found is None:
                message = f"no request {quoted(request)}"
                raise StoreFault(message, "list them with `gatebook approvals list`")
            changed = change(found)
            if changed != found:
                connection.execute("DELETE FROM approval WHERE id = ?", (request,))
                self._write(connection, changed)
        return changed

    def list_requests(self, states: Iterable[State], most: int) -> tuple[Request, ...]:
        """See `Approvals`."""
        names = [state.value for state in states]
        marks = ", ".join("?" * len(names))
        rows = self._connection.execute(
            f"SELECT body FROM approval WHERE state IN ({marks}) ORDER BY made_us DESC, id LIMIT ?",  # noqa: S608  marks only
            (*names, most),
        )
        return tuple(_decode(row) for row in rows.fetchall())

    def list_changed(self, since: int) -> tuple[int, tuple[Request, ...]]:
        """See `Approvals`."""
        number = self.generation()
        if number == since:
            return number, ()
        if since == 0:
            where, values = "state IN (?, ?)", (*_OPEN,)
        else:
            where, values = "changed > ?", (since,)  # type: ignore[assignment]  # one list of values or the other
        rows = self._connection.execute(f"SELECT body FROM approval WHERE {where} ORDER BY changed", values)  # noqa: S608  ours
        return number, tuple(_decode(row) for row in rows.fetchall())

    def _write(self, change: sqlite3.Connection, request: Request) -> None:
        subject = request.principal.subject
        row = (
            request.id,
            request.kind.value,
            request.state.value,
            subject.issuer,
            subject.subject,
            request.matter,
            request.session,
            request.operation,
            micros(request.made_at),
            self.generation() + 1,  # of this change, once it is committed
            msgspec.json.encode(request),
        )
        marks = ", ".join("?" * len(row))
        change.execute(f"INSERT INTO approval ({_COLUMNS}) VALUES ({marks})", row)  # noqa: S608  column list is ours


def _decode(row: tuple[bytes]) -> Request:
    try:
        return msgspec.json.decode(row[0], type=Request)
    except msgspec.DecodeError as fault:
        message = "a request in the store cannot be read"
        raise StoreFault(message, "use the version of gatebook that wrote it, or a newer one") from fault
