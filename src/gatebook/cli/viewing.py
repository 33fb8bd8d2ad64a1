# SPDX-License-Identifier: Apache-2.0
"""Looking at a recording from the command line: places as they are typed, and the entry that somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gatebook.cli.common import opened_journal, operator, stamp
from gatebook.config import Settings
from gatebook.evidence import builders
from gatebook.views.looking import Viewing

if TYPE_CHECKING:
    from gatebook.evidence.timeline import Place

NOT_STATED = "not stated"


def enter_view(settings: Settings, session: str, purpose: str, form: str) -> None:
    """Enter that somebody looks. JournalUnwritable if it cannot be entered: then nothing may be shown."""
    with opened_journal(settings) as journal:
        journal.append(builders.evidence_viewed(stamp(), by=operator(), session=session, purpose=purpose, form=form))


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


def begin_viewing(settings: Settings, session: str, *, purpose: str, form: str) -> Viewing:
    """Find a recording and its key, and enter that somebody looks. Faults as `Viewing.begin` and `enter_view`."""
    return Viewing.begin(settings, session, lambda: enter_view(settings, session, purpose, form))
