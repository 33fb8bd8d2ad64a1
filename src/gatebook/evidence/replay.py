# SPDX-License-Identifier: Apache-2.0
"""A recorded PostgreSQL session as a timeline: what the client asked, and what it saw.

Requests and answers are brought together as the protocol orders them, so that rows have their columns' names also where
a statement was prepared long before. Nothing here raises: what cannot be read is shown as such.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from gatebook.evidence.messages import STARTUP, Fields, Message, Splitter, show_value, text_of
from gatebook.evidence.recording import FROM_CLIENT, TO_CLIENT, Frame

SHOWN_ROWS = 100
SHOWN_COPY_BYTES = 4096
FOUND_PIECES = 100  # LIMIT: rows, or pieces of a COPY, that are kept of a result because they hold what is looked for
SHOWN_NAMES = 10_000  # LIMIT: prepared statements and portals remembered, as in a session

_SYNC = frozenset({"sync", "query", "function"})
_DIAGNOSTICS = {"S": "severity", "C": "sqlstate", "M": "message", "D": "detail", "H": "hint", "W": "where"}
_GATE = "gatebook"  # routine of what the gate itself says; a database that forges it deceives only who reads this alone
_ANSWERS = {"1": "parse", "2": "bind", "3": "close"}


Found = tuple[int, tuple[str | None, ...]]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result."""

    name: str
    type_oid: int
    format: int


@dataclass(frozen=True, slots=True)
class Item:
    """A point of the timeline. `kind` names it; `words` are its parts by name; rows are of `columns`.

    Kinds from the client: `start`, `query`, `prepare`, `execute`, `function`, `copy in`, `copy failed`, `end`. To it:
    `rows`, `copy out`, `done`, `suspended`, `error`, `notice`, `held` (the gate's own notice that what was asked waits
    for a person), `notification`. Both: `large`, `unreadable`. `offset` counts the bytes recorded before the message
    that completed it. `found` are the rows, or pieces of a COPY, that hold what is looked for, with their number
    from 1.
    """

    at: datetime
    direction: str
    kind: str
    words: dict[str, str] = field(default_factory=dict)
    parameters: tuple[str | None, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    count: int = 0
    offset: int = field(default=0, compare=False)  # where it stands is not what it is
    found: tuple[Found, ...] = ()


@dataclass(slots=True)
class _Rows:
    """Rows of a result as they come."""

    columns: tuple[Column, ...]
    shown: list[tuple[str | None, ...]] = field(default_factory=list)
    count: int = 0
    found: list[Found] = field(default_factory=list)


@dataclass(slots=True)
class _Copy:
    """Bytes of a COPY as they come, in pieces: a row each, as servers send them."""

    shown: bytearray = field(default_factory=bytearray)
    count: int = 0
    pieces: int = 0
    found: list[Found] = field(default_factory=list)

    def add(self, data: bytes, needle: re.Pattern[str] | None) -> None:
        """Take a piece."""
        self.count += len(data)
        self.pieces += 1
        self.shown += data[: SHOWN_COPY_BYTES - len(self.shown)]
        if needle is not None and len(self.found) < FOUND_PIECES and needle.search(text := text_of(data)):
            self.found.append((self.pieces, (text,)))

    def item(self, at: datetime, direction: str, kind: str) -> Item:
        """Return what has come."""
        words = {"data": text_of(bytes(self.shown))}
        return Item(at, direction, kind, words, count=self.count, found=tuple(self.found))


@dataclass(frozen=True, slots=True)
class _Expected:
    """An answer that is due: to what, for which name, with which result formats."""

    to: str
    name: str = ""
    statement: str = ""
    formats: tuple[int, ...] = ()


def replay(
    frames: Iterable[Frame], shown_rows: int = SHOWN_ROWS, needle: re.Pattern[str] | None = None
) -> Iterator[Item]:
    """Yield the timeline of a session; of a result at most `shown_rows` rows, and those in which `needle` is found."""
    session = _Session(shown_rows, needle)
    splitters = {FROM_CLIENT: Splitter(), TO_CLIENT: Splitter()}
    offset = 0
    for frame in frames:
        splitter = splitters[frame.direction]
        was_readable = not splitter.unreadable
        for message in splitter.feed(frame.data, frame.at, offset):
            for item in _items_of(message, frame.direction, session):
                yield replace(item, offset=message.offset)
        if was_readable and splitter.unreadable:
            yield Item(frame.at, frame.direction, "unreadable", offset=offset)
        offset += len(frame.data)


def _items_of(message: Message, direction: str, session: _Session) -> Iterator[Item]:
    if message.skipped:
        words = {"bytes": str(message.skipped), "message": message.kind}
        yield Item(message.at, direction, "large", words)
    elif direction == FROM_CLIENT:
        yield from session.from_client(message)
    else:
        yield from session.to_client(message)


class _Session:
    """What must be remembered to bring answers to their requests."""

    def __init__(self, shown_rows: int, needle: re.Pattern[str] | None) -> None:
        self._shown_rows = shown_rows
        self._needle = needle
        self._due: deque[_Expected] = deque()
        self._texts: dict[str, str] = {}
        self._types: dict[str, tuple[int, ...]] = {}
        self._statements: dict[str, tuple[Column, ...]] = {}
        self._portals: dict[str, tuple[Column, ...]] = {}
        self._columns: tuple[Column, ...] = ()
        self._rows: _Rows | None = None
        self._copy_out: _Copy | None = None
        self._copy_in: _Copy | None = None

    # ── from the client ──────────────────────────────────────────────────────────────────────

    def from_client(self, message: Message) -> Iterator[Item]:
        """Take a message of the client."""
        fields = Fields(message.payload)
        at = message.at
        match message.kind:
            case "Q":
                self._due.append(_Expected("query"))
                yield Item(at, FROM_CLIENT, "query", {"text": fields.string()})
            case "P":
                yield self._parse(fields, at)
            case "B":
                yield self._bind(fields, at)
            case "D" | "C" as kind:
                of = "statement" if fields.take(1) == b"S" else "portal"
                self._due.append(_Expected("describe" if kind == "D" else "close", fields.string(), of))
            case "E":
                self._due.append(_Expected("execute", fields.string()))
            case "S":
                self._due.append(_Expected("sync"))
            case "F":
                self._due.append(_Expected("function"))
                yield Item(at, FROM_CLIENT, "function", {"oid": str(fields.number(4) & 0xFFFF_FFFF)})
            case "d":
                self._copy_in = self._copy_in or _Copy()
                self._copy_in.add(message.payload, self._needle)
            case "c" | "f" as kind:
                yield from self._end_copy_in(at)
                if kind == "f":
                    yield Item(at, FROM_CLIENT, "copy failed", {"message": fields.string()})
            case "X":
                yield Item(at, FROM_CLIENT, "end")
            case kind if kind == STARTUP:
                yield Item(at, FROM_CLIENT, "start", _startup(fields))
            case _:
                pass

    def _parse(self, fields: Fields, at: datetime) -> Item:
        name, text = fields.string(), fields.string()
        types = tuple(fields.number(4) for _ in range(fields.count()))
        if len(self._texts) < SHOWN_NAMES or name in self._texts:
            self._texts[name] = text
            self._types[name] = types
            self._statements.pop(name, None)
        self._due.append(_Expected("parse", name))
        return Item(at, FROM_CLIENT, "prepare", {"name": name, "text": text})

    def _bind(self, fields: Fields, at: datetime) -> Item:
        portal, name = fields.string(), fields.string()
        formats = tuple(fields.number(2) for _ in range(fields.count()))
        values = [fields.value() for _ in range(fields.count())]
        results = tuple(fields.number(2) for _ in range(fields.count()))
        types = self._types.get(name, ())
        parameters = tuple(
            show_value(value, _format_at(formats, index), types[index] if index < len(types) else 0)
            for index, value in enumerate(values)
        )
        self._due.append(_Expected("bind", portal, name, results))
        words = {"name": name, "text": self._texts.get(name, "")}
        return Item(at, FROM_CLIENT, "execute", words, parameters)

    # ── to the client ────────────────────────────────────────────────────────────────────────

    def to_client(self, message: Message) -> Iterator[Item]:
        """Take a message to the client."""
        fields = Fields(message.payload)
        at = message.at
        match message.kind:
            case "T":
                self._describe(_columns(fields))
            case "n":
                self._describe(())
            case "D":
                self._row(fields)
            case "d":
                self._copy_out = self._copy_out or _Copy()
                self._copy_out.add(message.payload, self._needle)
            case "1" | "2" | "3" as kind:
                self._answer(_ANSWERS[kind])
            case "C" | "s" | "I" as kind:
                yield from self._complete(kind, fields, at)
            case "V":
                value = fields.value()
                yield Item(at, TO_CLIENT, "done", {"value": "" if value is None else text_of(value)})
            case "E" | "N" as kind:
                yield from self._diagnose(kind, fields, at)
            case "A":
                fields.number(4)
                yield Item(at, TO_CLIENT, "notification", {"channel": fields.string(), "payload": fields.string()})
            case "Z":
                yield from self._flush(at)
                while self._due and self._due.popleft().to not in _SYNC:
                    pass
            case _:
                pass

    def _describe(self, columns: tuple[Column, ...]) -> None:
        if self._due and self._due[0].to == "describe":
            due = self._due.popleft()
            known = self._statements if due.statement == "statement" else self._portals
            if len(known) < SHOWN_NAMES:
                known[due.name] = columns
        else:
            self._columns = columns

    def _answer(self, to: str) -> None:
        if not self._due or self._due[0].to != to:
            return
        due = self._due.popleft()
        if to == "bind":
            described = self._statements.get(due.statement, ())
            columns = tuple(
                Column(column.name, column.type_oid, _format_at(due.formats, index))
                for index, column in enumerate(described)
            )
            if len(self._portals) < SHOWN_NAMES or due.name in self._portals:
                self._portals[due.name] = columns

    def _row(self, fields: Fields) -> None:
        if self._rows is None:
            columns = self._columns
            if self._due and self._due[0].to == "execute":
                columns = self._portals.get(self._due[0].name, ())
            self._rows = _Rows(columns)
        rows = self._rows
        rows.count += 1
        needle = self._needle if len(rows.found) < FOUND_PIECES else None
        if rows.count > self._shown_rows and needle is None:
            return
        values = [fields.value() for _ in range(fields.count())]
        row = tuple(_show(value, rows.columns, index) for index, value in enumerate(values))
        if rows.count <= self._shown_rows:
            rows.shown.append(row)
        if needle is not None and any(value is not None and needle.search(value) for value in row):
            rows.found.append((rows.count, row))

    def _complete(self, kind: str, fields: Fields, at: datetime) -> Iterator[Item]:
        yield from self._flush(at)
        if self._due and self._due[0].to == "execute":
            self._due.popleft()
        if kind == "s":
            yield Item(at, TO_CLIENT, "suspended")
        else:
            yield Item(at, TO_CLIENT, "done", {"tag": fields.string() if kind == "C" else ""})

    def _diagnose(self, kind: str, fields: Fields, at: datetime) -> Iterator[Item]:
        words: dict[str, str] = {}
        routine = ""
        while (letter := fields.take(1)) not in {b"", b"\0"}:
            name = _DIAGNOSTICS.get(text_of(letter))
            value = fields.string()
            if name is not None:
                words[name] = value
            elif letter == b"R":
                routine = value
        if kind == "N":
            yield Item(at, TO_CLIENT, "held" if routine == _GATE else "notice", words)
            return
        yield from self._flush(at)
        self._copy_in = None
        while self._due and self._due[0].to not in _SYNC:
            self._due.popleft()
        yield Item(at, TO_CLIENT, "error", words)

    def _flush(self, at: datetime) -> Iterator[Item]:
        """Yield what has come of a result and is now at its end."""
        if self._rows is not None:
            rows, self._rows = self._rows, None
            names = tuple(column.name for column in rows.columns)
            yield Item(at, TO_CLIENT, "rows", {}, (), names, tuple(rows.shown), rows.count, found=tuple(rows.found))
        if self._copy_out is not None:
            copy, self._copy_out = self._copy_out, None
            yield copy.item(at, TO_CLIENT, "copy out")

    def _end_copy_in(self, at: datetime) -> Iterator[Item]:
        if self._copy_in is not None:
            copy, self._copy_in = self._copy_in, None
            yield copy.item(at, FROM_CLIENT, "copy in")


def _startup(fields: Fields) -> dict[str, str]:
    fields.number(4)  # protocol version or request code
    words: dict[str, str] = {}
    while fields.left > 1:
        name = fields.string()
        words[name] = fields.string()
    return words


def _columns(fields: Fields) -> tuple[Column, ...]:
    columns = []
    for _ in range(fields.count()):
        name = fields.string()
        fields.take(6)  # table and attribute
        type_oid = fields.number(4) & 0xFFFF_FFFF
        fields.take(6)  # size and modifier
        columns.append(Column(name, type_oid, fields.number(2)))
    return tuple(columns)


def _format_at(formats: tuple[int, ...], index: int) -> int:
    """Return the format of a value: none given means text, one given serves all."""
    if len(formats) <= 1:
        return formats[0] if formats else 0
    return formats[index] if index < len(formats) else 0


def _show(value: bytes | None, columns: tuple[Column, ...], index: int) -> str | None:
    if index >= len(columns):
        return None if value is None else text_of(value)
    return show_value(value, columns[index].format, columns[index].type_oid)
