# SPDX-License-Identifier: Apache-2.0
"""Which segments of a journal could be removed: all that is sealed is followed, link by link and session by session.

SPEC: docs/spec/journal.md, "Removal". A segment's ends are proven once the links led on to what was sealed; it is free
once no session that began in it or before is still to be finished.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import segment_name
from gatebook.evidence.sealed import Place
from gatebook.vault.sealing import JournalTail, Tampered, check_header

STEP_ENTRIES = 1 << 13  # LIMIT: followed in one step
_FOLLOWED = re.compile(rb'"event":"(?:authn|session\.(?:start|end|lost)|recording\.sealed|gateway\.start|notary\.key)"')


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that a later one continues: entries `first` to below `next`, the links before and behind them."""

    first: int
    next: int
    before: bytes
    after: bytes


@dataclass(slots=True)
class _Open:
    """A session that is not done: in which segment it began, and which of the two that end it were seen."""

    segment: int
    has_ended: bool = False
    is_recorded: bool = False


class Follower:
    """Follows one journal from the place at which what is kept begins."""

    def __init__(self, folder: Path, kept: Place) -> None:
        self._folder = folder
        self._tail = JournalTail(folder, kept)
        self._begin = kept  # of the segment that is being followed
        self._complete: deque[Segment] = deque()
        self._open: dict[str, _Open] = {}
        self._pinned: int | None = None  # segment of the first change of the notary's key

    def follow(self, sealed: Place) -> Iterator[None]:
        """Read on up to what is sealed; yields now and then. Tampered if it is not what was sealed; OSError."""
        name = self._folder.name
        while self._tail.place.number < sealed.number:
            before = self._tail.place
            piece = self._tail.take(min(STEP_ENTRIES, sealed.number - before.number))
            if piece is None:
                words = self._tail.torn or "entries that were sealed are gone"
                raise Tampered("journal_changed", f"{name}/{before.number}: {words}")
            segment = self._tail.place.segment
            if segment != self._begin.segment:
                self._complete.append(Segment(self._begin.segment, segment, self._begin.link, before.link))
                self._begin = Place(segment=segment, number=segment, link=before.link)
            if _FOLLOWED.search(piece.bundle):
                self._note(piece.bundle, segment)
            yield
        if self._tail.place.number == sealed.number and self._tail.place.link != sealed.link:
            raise Tampered("journal_changed", f"{name}/{sealed.number - 1}: another entry than was sealed")

    def removable(self, before: datetime) -> Segment | None:
        """Return the first segment, if it may be removed and the one behind it was made before that moment.

        Only right after `follow` came to its end. Tampered if the one behind it is not there.
        """
        if not self._complete:
            return None
        segment = self._complete[0]
        if any(session.segment <= segment.first for session in self._open.values()):
            return None
        if self._pinned is not None and segment.first >= self._pinned:
            return None
        path = self._folder / segment_name(segment.next)
        header = check_header(path, self._folder.name, segment.next, segment.after)
        return segment if header.created_at <= before else None

    def drop(self) -> None:
        """Forget the first segment: it was removed."""
        self._complete.popleft()

    def _note(self, bundle: bytes, segment: int) -> None:
        at = 0
        while at < len(bundle):
            begin = at + 2
            at = begin + int.from_bytes(bundle[at:begin])
            if _FOLLOWED.search(bundle, begin, at):
                self._follow_session(bundle[begin:at], segment)

    def _follow_session(self, encoded: bytes, segment: int) -> None:
        try:
            leaf = decode_leaf(encoded)
        except EvidenceFault:
            return  # the verification names it; it began and ended nothing
        name = str(leaf.get("admitted", leaf.get("session")))
        match leaf.get("event"):
            case "authn" if "admitted" not in leaf:
                return
            case "authn" | "session.start":
                self._open.setdefault(name, _Open(segment))
            case "notary.key":
                self._pinned = segment if self._pinned is None else self._pinned
                return
            case "session.end" | "session.lost" if name in self._open:
                self._open[name].has_ended = True
            case "recording.sealed" if name in self._open:
                self._open[name].is_recorded = True
            case "gateway.start":
                self._open.clear()
                return
            case _:
                return
        if name in self._open and self._open[name].has_ended and self._open[name].is_recorded:
            del self._open[name]
