# SPDX-License-Identifier: Apache-2.0
"""What looking at a recording takes: the entry that somebody looks, then its timeline, never the other way round."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatebook.config import Settings
from gatebook.model.errors import OperatorFault, quoted
from gatebook.views.places import folders_of, recordings_of

if TYPE_CHECKING:
    from gatebook.evidence.timeline import Place, Point
    from gatebook.vault.book import SessionStory
    from gatebook.vault.recordings import Recordings


class SessionUnknown(OperatorFault):
    """The book does not know a session of that id."""

    code = "session"


class RecordingGone(OperatorFault):
    """The book knows the session, and its recording is not there any more."""

    code = "recording"


def unknown(session: str) -> SessionUnknown:
    """Return the fault of a session that is not there."""
    return SessionUnknown(f"no session {quoted(session)} in the book", "list them with `gatebook sessions list`")


def _gone(settings: Settings, recordings: Recordings, session: str) -> OperatorFault:
    """Say why there is no recording: nobody knows the session, or it was purged or lost."""
    from gatebook.vault.book import Book  # noqa: PLC0415  cryptography, only where the book is read

    if Book(folders_of(settings), recordings).read_session(session, None) is None:
        return unknown(session)
    hint = "`gatebook ledger verify` says whether two people let it go; `gatebook sessions show` tells what is left"
    return RecordingGone(f"the recording of session {quoted(session)} is not there any more", hint)


@dataclass(slots=True)
class Viewing:
    """One look at a session's recording. Make it with `begin`, which has entered it."""

    session: str
    _settings: Settings
    _recordings: Recordings
    _story: SessionStory | None = None

    @classmethod
    def begin(cls, settings: Settings, session: str, enter: Callable[[], None]) -> Viewing:
        """Find the recording and its key, and `enter` that somebody looks, before a byte of it is opened.

        SessionUnknown, RecordingGone, EvidenceFault for what is no session id, and what `enter` raises: then nothing is
        shown.
        """
        recordings = recordings_of(settings, need_key=True)
        if not recordings.path_of(session).exists():
            raise _gone(settings, recordings, session)
        enter()
        return cls(session, settings, recordings)

    def points(
        self, rows: int, begin: Place | None = None, end: Place | None = None, needle: re.Pattern[str] | None = None
    ) -> Iterator[Point]:
        """Yield the timeline between two places. EvidenceFault where it cannot be read, PlaceFault as `find_mark`."""
        from gatebook.evidence.replay import replay  # noqa: PLC0415  zstd, only where recordings are read
        from gatebook.evidence.timeline import cut_points, number_points  # noqa: PLC0415  as above

        items = replay(self._recordings.frames(self.session), rows, needle)
        return cut_points(number_points(items), begin, end, self.offsets)

    def story(self) -> SessionStory | None:
        """Return what the book says of the session, without private parts; None if it does not know it. Read once."""
        from gatebook.vault.book import Book  # noqa: PLC0415  cryptography, only where the book is read

        if self._story is None:
            self._story = Book(folders_of(self._settings), self._recordings).read_session(self.session, None)
        return self._story

    def offsets(self) -> Mapping[int, int]:
        """Return the offset of each operation by its number."""
        story = self.story()
        return {} if story is None else {one.summary.number: one.summary.offset for one in story.operations}
