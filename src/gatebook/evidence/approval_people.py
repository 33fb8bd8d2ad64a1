# SPDX-License-Identifier: Apache-2.0
"""Who could consent at a moment, as far as entries tell: people, their groups and keys, and what is no person.

SPEC: docs/spec/approval.md, "What a verifier must check". Fed with leaves of any journals in the order of each; asked
once all are there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from gatebook.evidence.entry import Leaf, Value
from gatebook.evidence.parts import read_subject
from gatebook.model.principal import Subject

PEOPLE: Final = frozenset(
    {"person.added", "person.groups", "person.disabled", "person.key.added", "person.key.removed", "key.created"}
)
"""Kinds of entries that say who is who."""
# An entry is on disk before what it says is in force, and the clock is read before it is written: within this, of two
# journals, it cannot be told which was first.
UNCERTAIN: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Moment:
    """When an entry was made: `number` counts the entries of its writer's journal, or of the ledger."""

    at: datetime
    writer: str
    number: int

    def precedes(self, other: Moment) -> bool:
        """Whether this was certainly first."""
        if self.writer == other.writer:
            return self.number < other.number
        return self.at + UNCERTAIN <= other.at


@dataclass(slots=True)
class _Run:
    """A time in which something was so; `end` is None where it still is."""

    begin: Moment
    end: Moment | None = None

    def may_hold(self, begin: Moment, end: Moment) -> bool:
        """Whether it may have been so from before `begin` until `end`."""
        return not begin.precedes(self.begin) and (self.end is None or not self.end.precedes(end))


@dataclass(slots=True)
class _Known:
    human: str
    groups: dict[str, list[_Run]] = field(default_factory=dict)
    disabled: Moment | None = None


@dataclass(slots=True)
class _Key:
    person: Subject
    text: str
    run: _Run


class People:
    """What is told of people."""

    def __init__(self) -> None:
        self._told: list[tuple[Moment, Leaf]] = []
        self._known: dict[Subject, _Known] = {}
        self._keys: dict[str, list[_Key]] = {}
        self._agents: set[Subject] = set()

    def add(self, moment: Moment, leaf: Leaf) -> None:
        """Take a leaf of one of the kinds `PEOPLE`."""
        self._told.append((moment, leaf))

    def settle(self) -> None:
        """Put what was told in the order of time, and in the order of each journal. Ask only behind it."""
        latest: dict[str, datetime] = {}
        order: list[datetime] = []
        for moment, _ in self._told:  # a clock that was put back changes no journal's order
            latest[moment.writer] = max(moment.at, latest.get(moment.writer, moment.at))
            order.append(latest[moment.writer])
        for _, (moment, leaf) in sorted(zip(order, self._told, strict=True), key=lambda one: one[0]):
            self._take(str(leaf["event"]), moment, leaf)
        self._told.clear()

    def human(self, subject: Subject) -> str:
        """Return what is one for all accounts of the same human being."""
        known = self._known.get(subject)
        return known.human if known is not None and known.human else str(subject)

    def find_key(self, fingerprint: str, person: Subject, at: Moment) -> str:
        """Return the text of a key that may have been this person's at a moment; empty if none was."""
        keys = self._keys.get(fingerprint, ())
        return next((key.text for key in keys if key.person == person and key.run.may_hold(at, at)), "")

    def is_in(self, person: Subject, group: str, since: Moment, until: Moment) -> bool:
        """Whether a person may have been in a group from before `since` until `until`."""
        known = self._known.get(person)
        return known is not None and any(run.may_hold(since, until) for run in known.groups.get(group, ()))

    def why_not(
        self, person: Subject, groups: Iterable[str], askers: Iterable[Subject], since: Moment, until: Moment
    ) -> str:
        """Say why somebody could not consent at the moment `until` to what was asked at `since`; empty if they could.

        `groups` are those that are asked, `askers` everybody who would consent to their own request.
        """
        known = self._known.get(person)
        if known is None or person in self._agents:
            return "is not a person that the book knows"
        if known.disabled is not None and known.disabled.precedes(until):
            return "was disabled"
        if self.human(person) in {self.human(asker) for asker in askers}:
            return "is who asked, or for whom it was asked"
        if not any(self.is_in(person, group, since, until) for group in groups):
            return "was not in a group that was asked"
        return ""

    def _take(self, event: str, moment: Moment, leaf: Leaf) -> None:
        if event == "key.created":
            self._agents.add(read_subject(leaf["agent"]))
            return
        person = read_subject(leaf["person"])
        if event == "person.added":
            human = leaf.get("human")
            if person not in self._known:  # nobody is made anew: who was disabled stays so
                known = self._known[person] = _Known(human if isinstance(human, str) else "")
                _set_groups(known, leaf.get("groups"), moment)
        elif event == "person.key.added":
            keys = self._keys.setdefault(str(leaf["fingerprint"]), [])
            keys.append(_Key(person, str(leaf["key"]), _Run(moment)))
        elif event == "person.key.removed":
            for key in self._keys.get(str(leaf["fingerprint"]), ()):
                key.run.end = key.run.end or moment
        elif person in self._known and event == "person.groups":
            _set_groups(self._known[person], leaf["groups"], moment)
        elif person in self._known:
            self._known[person].disabled = self._known[person].disabled or moment


def _set_groups(known: _Known, value: Value | None, moment: Moment) -> None:
    now = {str(group) for group in value} if isinstance(value, list) else set()
    for group, runs in known.groups.items():
        if group not in now and runs[-1].end is None:
            runs[-1].end = moment
    for group in now:
        runs = known.groups.setdefault(group, [])
        if not runs or runs[-1].end is not None:
            runs.append(_Run(moment))
