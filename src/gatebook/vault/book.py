# SPDX-License-Identifier: Apache-2.0
"""The book as people look at it: sessions and their operations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gatebook.evidence.entry import Leaf, decode_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import Record
from gatebook.evidence.logins import LoginSummary, summarise_login
from gatebook.evidence.private import PrivateParts
from gatebook.evidence.sessions import (
    OperationSummary,
    SessionSummary,
    summarise_end,
    summarise_operation,
    summarise_outcome,
    summarise_start,
)
from gatebook.vault.journal import Faults, list_journals
from gatebook.vault.notary import Folders
from gatebook.vault.reading import BookReader, Wants
from gatebook.vault.recordings import Recordings

_SESSION_EVENTS = (b'"event":"session.start"', b'"event":"session.end"', b'"event":"session.lost"')


@dataclass(slots=True)
class Operation:
    """An operation with its private part, where it was opened."""

    summary: OperationSummary
    private: Leaf = field(default_factory=dict)
    error: Leaf = field(default_factory=dict)


@dataclass(slots=True)
class SessionStory:
    """A session with its operations, in order. `faults` counts what could not be read or opened."""

    session: SessionSummary
    operations: list[Operation] = field(default_factory=list)
    faults: int = 0


class Book:
    """All journals of a data folder, removed segments included.

    Reading never needs a lock; what is damaged is left out and counted.
    """

    def __init__(self, folders: Folders, recordings: Recordings) -> None:
        self._reader = BookReader(folders, recordings)
        self.faults = 0

    def list_sessions(self) -> list[SessionSummary]:
        """Return all sessions, oldest first."""
        found: dict[str, SessionSummary] = {}
        for record in self._records():
            # Only what a bare `"` can begin is a member: inside a string it would stand behind a backslash.
            if not any(event in record.leaf for event in _SESSION_EVENTS):
                continue
            leaf = self._decode(record)
            if leaf is None:
                continue
            try:
                session = found.get(str(leaf.get("session")))
                if leaf["event"] == "session.start":
                    found[str(leaf.get("session"))] = summarise_start(leaf)
                elif session is not None:
                    summarise_end(session, leaf)
            except EvidenceFault:
                self.faults += 1
        return sorted(found.values(), key=lambda session: (session.started_at, session.id))

    def list_logins(self, last: int, *, failed: bool = False) -> list[LoginSummary]:
        """Return the newest attempts to log in, oldest first; with `failed` only those that were refused."""
        found: list[LoginSummary] = []
        for record in self._records():
            if b'"event":"authn' not in record.leaf or (leaf := self._decode(record)) is None:
                continue
            if leaf["event"] not in {"authn", "authn.counted"}:
                continue
            try:
                login = summarise_login(leaf)
            except EvidenceFault:
                self.faults += 1
                continue
            if not failed or login.result != "accepted":
                found.append(login)
                if len(found) > 2 * last + 1000:
                    found = sorted(found, key=lambda one: one.at)[-last:]  # a long book is never held whole
        return sorted(found, key=lambda one: one.at)[-last:]

    def read_session(self, session: str, parts: PrivateParts | None) -> SessionStory | None:
        """Return a session with its operations; None if the book does not know it. `parts` opens private parts."""
        story: SessionStory | None = None
        operations: dict[str, Operation] = {}
        mark = f'"session":"{session}"'.encode()
        for record in self._records(lambda leaf: parts is not None and mark in leaf):
            leaf = self._decode(record) if mark in record.leaf else None
            if leaf is None or leaf.get("session") != session:
                continue
            try:
                if leaf["event"] == "session.start":
                    story = SessionStory(summarise_start(leaf))
                elif story is not None:
                    self._tell(story, operations, leaf, record, parts)
            except EvidenceFault:
                self.faults += 1
        if story is not None:
            story.operations = list(operations.values())
        return story

    def _tell(
        self,
        story: SessionStory,
        operations: dict[str, Operation],
        leaf: Leaf,
        record: Record,
        parts: PrivateParts | None,
    ) -> None:
        name = str(leaf.get("operation"))
        match leaf["event"]:
            case "operation.held" | "operation.intent" | "operation.refused":
                before = operations[name].summary if name in operations else None
                operations[name] = Operation(summarise_operation(leaf, before))
                operations[name].private = self._open(leaf, record, parts)
            case "operation.outcome" if name in operations:
                summarise_outcome(operations[name].summary, leaf)
                operations[name].error = self._open(leaf, record, parts)
            case "session.end" | "session.lost":
                summarise_end(story.session, leaf)
            case _:
                pass

    def _open(self, leaf: Leaf, record: Record, parts: PrivateParts | None) -> Leaf:
        seq, commitment = leaf.get("seq"), leaf.get("private")
        if parts is None or not record.private or not isinstance(seq, int) or not isinstance(commitment, str):
            return {}
        try:
            return parts.open(seq, record.private, commitment)
        except EvidenceFault:
            self.faults += 1
            return {}

    def _records(self, wants: Wants = lambda _: False) -> Iterator[Record]:
        for folder in list_journals(self._reader.folders.journals):
            watcher = Faults()
            yield from self._reader.read(folder, watcher, wants)
            self.faults += len(watcher.faults)

    def _decode(self, record: Record) -> Leaf | None:
        try:
            leaf = decode_leaf(record.leaf)
        except EvidenceFault:
            self.faults += 1
            return None
        return leaf if isinstance(leaf.get("event"), str) else None
