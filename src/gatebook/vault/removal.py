# SPDX-License-Identifier: Apache-2.0
"""The notary removes segments: private parts first, then an entry, and only when that is sealed and published the file.

SPEC: docs/spec/journal.md, "Removal". Done in small steps between two sealings. Whatever moment it is killed at, the
segment is there, or its entry is sealed and its private parts are on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import HEADER_BYTES, JournalFault, parse_header, segment_name
from gatebook.evidence.removal import Removal
from gatebook.evidence.rotation import WRITER
from gatebook.evidence.sealed import Place
from gatebook.vault.journal import list_journals, list_segments
from gatebook.vault.ledger import Disk
from gatebook.vault.moving import Mover, NotMovable
from gatebook.vault.notary import Notary
from gatebook.vault.recordings import Recordings
from gatebook.vault.removable import Follower, Segment

ROUND_S = 30.0  # between looking for something to remove
REST_S = 600.0  # before a journal is tried again whose segments could not be removed


class Enter(Protocol):
    """What the remover tells in the notary's journal."""

    def removed(self, removal: Removal) -> int:
        """Enter a removal, on disk when this returns; the entry's number."""

    def failed(self, what: str, action: str) -> None:
        """Enter a failure."""


class Remover:
    """Removes segments of all journals that a notary seals. `advance` is called after each sealing."""

    def __init__(
        self,
        notary: Notary,
        disk: Disk,
        journals: Path,
        recordings: Recordings,
        *,
        after_s: float,
        enter: Enter,
        now: Callable[[], datetime],
    ) -> None:
        self._notary = notary
        self._disk = disk
        self._journals = journals
        self._recordings = recordings
        self._after = timedelta(seconds=after_s)
        self._round_s = min(ROUND_S, after_s)
        self._enter = enter
        self._now = now
        self._work: Iterator[bool] | None = None
        self._next = 0.0
        self._followers: dict[str, tuple[Follower, Mover]] = {}
        self._resting: dict[str, float] = {}

    def advance(self, seconds: float) -> None:
        """Go on for so long, a step at least.

        Tampered where a segment or private file is not what it was; JournalUnwritable.
        """
        began = time.monotonic()
        if self._work is None:
            if began < self._next:
                return
            self._work = self.round()
        for may_go_on in self._work:
            if not may_go_on or time.monotonic() - began >= seconds:
                return
        self._work, self._next = None, began + self._round_s

    def round(self) -> Iterator[bool]:
        """Remove all that may be removed now; yields often, False where only the next sealing helps."""
        size, places = self._notary.size, dict(self._notary.places)
        while self._notary.vouched < size:
            yield False
        for folder in list_journals(self._journals):
            name = folder.name
            if name not in places or self._resting.get(name, 0.0) > time.monotonic():
                continue
            try:
                yield from self._journal(folder, places[name])
                self._resting.pop(name, None)
            except (OSError, NotMovable) as fault:
                self._followers.pop(name, None)
                if name not in self._resting:  # told once, not each time it is tried
                    self._enter.failed(f"segments of {name} cannot be removed: {_words(fault)}", "they are kept")
                self._resting[name] = time.monotonic() + REST_S

    def _journal(self, folder: Path, sealed: Place) -> Generator[bool]:
        self._clean(folder)
        if not self._is_due(folder):
            return
        if folder.name not in self._followers:
            kept = self._notary.kept(folder.name)
            self._followers[folder.name] = Follower(folder, kept), Mover(self._disk, self._recordings, folder)
        follower, mover = self._followers[folder.name]
        for _ in follower.follow(sealed):
            yield True
        while (segment := follower.removable(self._now() - self._after)) is not None:
            yield from self._remove(folder, segment, mover)
            follower.drop()

    def _is_due(self, folder: Path) -> bool:
        """Whether the first segment is old enough: else nothing of the journal needs to be followed yet."""
        second = list_segments(folder)[1:2]
        if not second:
            return False
        with (folder / segment_name(second[0])).open("rb") as file:
            try:
                return parse_header(file.read(HEADER_BYTES)).created_at <= self._now() - self._after
            except JournalFault:
                return True  # following says what is wrong

    def _remove(self, folder: Path, segment: Segment, mover: Mover) -> Generator[bool]:
        number = self._enter.removed((yield from mover.move(segment)))
        while self._notary.places.get(WRITER, Place()).number <= number:
            yield False
        size = self._notary.size
        while self._notary.vouched < size:
            yield False
        # Killed before this line it is all done again; behind it, only what is left is unlinked.
        self._notary.forget(folder.name, Place(segment=segment.next, number=segment.next, link=segment.after))
        self._clean(folder)

    def _clean(self, folder: Path) -> None:
        """Unlink what the state says was removed."""
        kept = self._notary.kept(folder.name).segment
        gone = [first for first in list_segments(folder) if first < kept]
        for first in gone:
            self._disk.remove(folder / segment_name(first))
        if gone:
            self._disk.sync_folder(folder)


def _words(fault: OSError | EvidenceFault) -> str:
    if isinstance(fault, EvidenceFault):
        return fault.message
    return (fault.strerror or str(fault) or "unknown error").lower()
