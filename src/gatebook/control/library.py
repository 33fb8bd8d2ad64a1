# SPDX-License-Identifier: Apache-2.0
"""The sessions of the book, kept up with the journals, so that a list costs what is new in them and not all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

from gatebook.config import Settings
from gatebook.control.problems import Problem
from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import Record
from gatebook.evidence.sessions import SessionSummary, summarise_end, summarise_start
from gatebook.vault.book import Book, SessionStory
from gatebook.vault.journal import Faults, JournalReader, list_journals, writer_lives
from gatebook.vault.reading import BookReader
from gatebook.views.places import folders_of, recordings_of

KEPT: Final = 100_000  # LIMIT: sessions, the newest; some 500 bytes each
AT_ONCE: Final = 4  # LIMIT: sessions read at a time; each reads the whole book
TURN_S: Final = 10
FRESH_S: Final = 0.5  # a list is at most so old
_EVENTS: Final = (b'"event":"session.start"', b'"event":"session.end"', b'"event":"session.lost"')


@dataclass(frozen=True, slots=True)
class Seen:
    """A session, and whether it goes on at this moment."""

    session: SessionSummary
    is_live: bool


class Library:
    """Lists and reads sessions. May be called from any thread; reading may take long."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._readers: dict[str, tuple[JournalReader, Faults]] = {}
        self._sessions: dict[str, SessionSummary] = {}
        self._read_at = float("-inf")

    def list_sessions(
        self, last: int, *, owner: str = "", agent: str = "", target: str = "", live: bool = False
    ) -> list[Seen]:
        """Return the newest sessions, newest first; `owner` is the subject of whose agents they must be."""
        with self._lock:
            self._refresh()
            found = sorted(self._sessions.values(), key=lambda one: (one.started_at, one.id), reverse=True)
            lives = {folder.name: writer_lives(folder) for folder in list_journals(self._settings.journal_path)}
        wanted: list[Seen] = []
        for session in found:
            is_live = session.ended_at is None and lives.get(session.writer, False)
            if owner not in {"", session.owner} or agent not in {"", session.principal}:
                continue
            if target not in {"", session.target} or (live and not is_live):
                continue
            wanted.append(Seen(replace(session), is_live))
            if len(wanted) == last:
                break
        return wanted

    def read_session(self, session: str) -> SessionStory | None:
        """Return a session with its operations; None if the book does not know it. Problem 429 if too many read."""
        recordings = recordings_of(self._settings, need_key=False)
        try:
            recordings.path_of(session)
        except EvidenceFault:
            return None  # no session id: there is none of that name
        if not self._turns.acquire(timeout=TURN_S):
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "busy", "too many are reading", Retry_After=str(TURN_S))
        try:
            return Book(folders_of(self._settings), recordings).read_session(session, None)
        finally:
            self._turns.release()

    def is_live(self, session: SessionSummary) -> bool:
        """Whether a session goes on."""
        return session.ended_at is None and writer_lives(self._settings.journal_path / session.writer)

    def _refresh(self) -> None:
        if self._clock() - self._read_at < FRESH_S:
            return
        for folder in list_journals(self._settings.journal_path):
            if folder.name not in self._readers:
                faults = Faults()
                book = BookReader(folders_of(self._settings), recordings_of(self._settings, need_key=False))
                self._readers[folder.name] = (book.follow(folder, faults), faults)
            for record in self._readers[folder.name][0].read():
                self._take(record)
        while len(self._sessions) > KEPT:
            del self._sessions[next(iter(self._sessions))]
        self._read_at = self._clock()

    def _take(self, record: Record) -> None:
        # Only what a bare `"` can begin is a member: inside a string it would stand behind a backslash.
        if not any(event in record.leaf for event in _EVENTS):
            return
        try:
            leaf = decode_leaf(record.leaf)
            name = str(leaf.get("session"))
            if leaf["event"] == "session.start":
                self._sessions[name] = summarise_start(leaf)
            elif (session := self._sessions.get(name)) is not None:
                summarise_end(session, leaf)
        except (EvidenceFault, KeyError):
            return  # best effort: what is damaged is for a verification to name
