# SPDX-License-Identifier: Apache-2.0
"""Purging on disk: requests and their lists, what is in force, and the files that go.

SPEC: docs/spec/retention.md, "Purge, in this order". Files are 0600 and complete or absent.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from gatebook.evidence.completeness import Finding
from gatebook.evidence.consent import CONTENTS, Request
from gatebook.evidence.custody import EVENTS, Custody, covers
from gatebook.evidence.entry import decode_leaf, format_hash
from gatebook.evidence.events import check_leaf
from gatebook.evidence.retention import (
    MAX_LINE_BYTES,
    MAX_LISTED,
    Listed,
    ListFault,
    RetentionClass,
    class_of,
    decode_list,
    judge,
)
from gatebook.model.errors import OperatorFault, quoted
from gatebook.vault.book import Book
from gatebook.vault.journal import Faults
from gatebook.vault.ledger import SECRET_MODE, SystemDisk, sync_folder
from gatebook.vault.reading import BookReader
from gatebook.vault.recordings import Recordings
from gatebook.vault.rewrap import BESIDE

WRITER = "cli"
SETTLED = timedelta(seconds=10)  # behind a session's end its recording is sealed within seconds
MARKS = tuple(f'"event":"{event}"'.encode() for event in EVENTS)


@dataclass(frozen=True, slots=True)
class Requests:
    """The folder of requests and their lists."""

    folder: Path

    def keep(self, request: Request, listed: bytes) -> Path:
        """Write a request, and of a purge its list; return the file to sign. OSError."""
        disk = SystemDisk()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if listed:
            disk.replace(self._path(request.id, "list"), listed, SECRET_MODE)
        path = self._path(request.id, "request")
        disk.replace(path, request.message(), SECRET_MODE)
        return path

    def read_list(self, request: Request) -> list[Listed] | None:
        """Return the sessions of a purge; None where the file is not there. ListFault if it is another."""
        try:
            with self._path(request.id, "list").open("rb") as file:
                data = file.read(MAX_LISTED * MAX_LINE_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise ListFault(f"cannot be read: {(fault.strerror or 'unknown error').lower()}") from fault
        if format_hash(data) != request.list_hash:
            raise ListFault("it is not the list that was asked for")
        listed = decode_list(data)
        if len(listed) != request.sessions:
            raise ListFault("it has another number of sessions than was asked for")
        return listed

    def path_of(self, request: str) -> Path:
        """Return the file that people sign."""
        return self._path(request, "request")

    def _path(self, name: str, suffix: str) -> Path:
        return self.folder / f"{name}.{suffix}"


class Keeping:
    """What must be kept and what may go, as of the book. OperatorFault where that cannot be told."""

    def __init__(
        self,
        book: Book,
        custody: Custody,
        classes: Sequence[RetentionClass],
        kinds: Mapping[str, str],
        *,
        erase_early: bool,
    ) -> None:
        self._custody = custody
        self._classes = classes
        self._kinds = kinds
        self._erase_early = erase_early
        self._sessions = {one.id: one for one in book.list_sessions()}
        if book.faults:
            raise OperatorFault("places of the book could not be read", "see `gatebook ledger verify`")
        self._held = self._find_held()

    def due(self, erase: str, now: datetime) -> list[Listed]:
        """Return every session that is due, not held, and not erased yet."""
        found = [self._look(one, erase, now) for one in self._sessions]
        return [one for one in found if one is not None and one.due and one.session not in self._held]

    def judge(self, session: str, erase: str, now: datetime) -> Listed:
        """Return what a list says of a session. OperatorFault if it may not go."""
        if session not in self._sessions:
            raise OperatorFault(f"no session {quoted(session)} in the book", "list them with `gatebook sessions list`")
        if session in self._held:
            words = f"session {quoted(session)} is on hold ({', '.join(self._held[session])})"
            raise OperatorFault(words, "a hold is released by two people: `gatebook hold release`")
        listed = self._look(session, erase, now)
        if listed is None:
            raise OperatorFault(f"session {quoted(session)} is not over, or is erased already", "leave it out")
        if not listed.due and not self._erase_early:
            words = f"session {quoted(session)} is not due"
            raise OperatorFault(words, "see `[[retention.class]]`, and `retention.erase_early`")
        return listed

    def _look(self, session: str, erase: str, now: datetime) -> Listed | None:
        summary, gone = self._sessions[session], self._custody.erased(session)
        if CONTENTS in gone or erase in gone or summary.ended_at is None or now - summary.ended_at < SETTLED:
            return None
        retention = class_of(self._classes, summary.target, self._kinds.get(summary.target, ""))
        return judge(summary, retention, erase, now)

    def _find_held(self) -> dict[str, list[str]]:
        held: dict[str, list[str]] = {}
        for hold in self._custody.holds.values():
            if hold.released_at is None:
                for name, summary in self._sessions.items():
                    if covers(hold.selection, summary):
                        held.setdefault(name, []).append(hold.id)
        return held


def read_custody(reader: BookReader) -> tuple[Custody, list[Finding]]:
    """Return what is in force, and what was done against the rules.

    OperatorFault where the journal is damaged: what cannot be read might be a hold.
    """
    custody, findings, watcher = Custody(), list[Finding](), Faults()
    damaged = OperatorFault("the journal of the command line is damaged", "see `gatebook ledger verify`")
    for record in reader.read(reader.folders.journals / WRITER, watcher, lambda _: False):
        if not record.link_holds:
            raise damaged
        if any(mark in record.leaf for mark in MARKS):
            leaf = decode_leaf(record.leaf)
            check_leaf(leaf, WRITER)
            findings += custody.add(leaf)
    if watcher.faults:
        raise damaged
    return custody, findings


def left_of(recordings: Recordings, session: str, erase: str) -> list[Path]:
    """Return the files of a session that are to go, and are there; the key first."""
    path = recordings.path_of(session)
    if erase != CONTENTS:
        return [path] if os.path.lexists(path) else []
    beside = sorted([*path.parent.glob(f"{session}.*"), *path.parent.glob(f"{BESIDE}{session}-*")])
    return sorted(beside, key=lambda one: one.suffix != ".key")


def destroy(recordings: Recordings, session: str, erase: str) -> Iterator[int]:
    """Remove what is to go of a session, and yield the bytes of each file as it went; its folder is synced. OSError."""
    gone = False
    for path in left_of(recordings, session, erase):
        size = path.lstat().st_size
        path.unlink()
        gone = True
        yield size
    if gone:
        sync_folder(recordings.path_of(session).parent)
