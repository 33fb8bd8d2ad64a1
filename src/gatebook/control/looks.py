# SPDX-License-Identifier: Apache-2.0
"""A look at a recording: entered with its purpose before a byte is opened, then a bounded part of the timeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from gatebook.config import Settings
from gatebook.control.problems import Problem, absent
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.recording import FROM_CLIENT
from gatebook.evidence.render import render
from gatebook.evidence.timeline import Place, parse_place, show_elapsed
from gatebook.vault.journal import JournalWriter
from gatebook.vault.recordings import SESSION
from gatebook.views.looking import Viewing

WRITER: Final = "control"
POINTS: Final = 2000  # LIMIT: of one look; the next goes on where it ended
CHARACTERS: Final = 1 << 20  # LIMIT: as above
ROWS: Final = 20
MAX_PURPOSE: Final = 500


@dataclass(frozen=True, slots=True)
class ShownPoint:
    """A point of a timeline as people see it: lines that are safe to show, the first with time and direction."""

    number: int
    elapsed_s: float
    place: str
    from_client: bool
    kind: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What one look shows. `more` is the place where the next begins, empty where the timeline ends."""

    session: str
    purpose: str
    points: tuple[ShownPoint, ...]
    more: str = ""


class Looks:
    """Opens recordings for people. `open` is called from any thread, and may take long."""

    def __init__(self, settings: Settings, journal: JournalWriter, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._journal = journal
        self._now = now

    def open(self, session: str, *, by: str, purpose: str, begin: str = "", rows: int = ROWS) -> Look:
        """Enter the look, then show it from a place on.

        Problem 422 without a purpose, 404 for what is no session; PlaceFault, RecordingGone, EvidenceFault,
        JournalUnwritable: then nothing is shown.
        """
        words = " ".join(purpose.split())
        if not words or len(words) > MAX_PURPOSE:
            hint = f"say in 1 to {MAX_PURPOSE} characters why you look; it is entered into the book"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "purpose", "a look needs a purpose", hint)
        if SESSION.fullmatch(session) is None:
            raise absent("session")
        place = parse_place(begin) if begin else None

        def enter() -> None:
            stamp = Stamp(WRITER, self._now())
            self._journal.append(builders.evidence_viewed(stamp, by=by, session=session, purpose=words, form="replay"))

        return _show(Viewing.begin(self._settings, session, enter), words, place, rows)


def _show(viewing: Viewing, purpose: str, begin: Place | None, rows: int) -> Look:
    shown: list[ShownPoint] = []
    left = CHARACTERS
    for point in viewing.points(rows, begin):
        if len(shown) == POINTS or left <= 0:
            return Look(viewing.session, purpose, tuple(shown), show_elapsed(point.elapsed, 6))
        lines = tuple(render(point.item))
        left -= sum(map(len, lines))
        shown.append(
            ShownPoint(
                point.number,
                point.elapsed / timedelta(seconds=1),
                show_elapsed(point.elapsed),
                point.item.direction == FROM_CLIENT,
                point.item.kind,
                lines,
            )
        )
    return Look(viewing.session, purpose, tuple(shown))
