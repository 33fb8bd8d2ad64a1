# SPDX-License-Identifier: Apache-2.0
"""What looking at a recording takes: the entry that somebody looks, then its timeline, never the other way round."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from gatebook.cli.common import folders_of, opened_journal, operator, recordings_of, stamp
from gatebook.config import Settings
from gatebook.evidence import builders
from gatebook.model.errors import OperatorFault, quoted

if TYPE_CHECKING:
    from gatebook.evidence.timeline import Place, Point
    from gatebook.vault.book import SessionStory
    from gatebook.vault.recordings import Recordings

NOT_STATED = "not stated"


def enter_view(settings: Settings, session: str, purpose: str, form: str) -> None:
    """Enter that somebody looks. JournalUnwritable if it cannot be entered: then nothing may be shown."""
    with opened_journal(settings) as journal:
        journal.append(builders.evidence_viewed(stamp(), by=operator(), session=session, purpose=purpose, form=form))


def unknown(session: str) -> OperatorFault:
    """Return the fault of a session that is not there."""
    return OperatorFault(f"no session {quoted(session)} in the book", "list them with `gatebook sessions list`")


class PlaceType(click.ParamType["Place"]):
    """A place in a session: `+MM:SS` from its start, a time of the clock, or the number of an operation."""

    name = "PLACE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """Return the place; click's usage error if it is none."""
        from gatebook.evidence.timeline import Place, PlaceFault, parse_place  # noqa: PLC0415  only where recordings are

        if isinstance(value, Place):
            return value
        try:
            return parse_place(str(value))
        except PlaceFault as fault:
            self.fail(f"{fault.message}: {fault.hint}", param, ctx)


PLACE = PlaceType()


def _gone(settings: Settings, recordings: Recordings, session: str) -> OperatorFault:
    """Say why there is no recording: nobody knows the session, or it was purged or lost."""
    from gatebook.vault.book import Book  # noqa: PLC0415  cryptography, only where the book is read

    if Book(folders_of(settings), recordings).read_session(session, None) is None:
        return unknown(session)
    hint = "`gatebook ledger verify` says whether two people let it go; `gatebook sessions show` tells what is left"
    return OperatorFault(f"the recording of session {quoted(session)} is not there any more", hint)


@dataclass(slots=True)
class Viewing:
    """One look at a session's recording. Make it with `begin`, which has entered it."""

    session: str
    _settings: Settings
    _recordings: Recordings
    _story: SessionStory | None = None

    @classmethod
    def begin(cls, settings: Settings, session: str, *, purpose: str, form: str) -> Viewing:
        """Find the recording and its key, and enter that somebody looks, before a byte of it is opened.

        OperatorFault if there is no such session, EvidenceFault for what is no session id, and as `enter_view`.
        """
        recordings = recordings_of(settings, need_key=True)
        if not recordings.path_of(session).exists():
            raise _gone(settings, recordings, session)
        enter_view(settings, session, purpose, form)
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
