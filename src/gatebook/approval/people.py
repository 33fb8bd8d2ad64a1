# SPDX-License-Identifier: Apache-2.0
"""Who may consent: people of the group, never who asks, nor the person behind them, nor a machine.

Asked at the vote and again at the use, with what is known of people at that moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gatebook.model.approval import Hold
from gatebook.model.credential import Person
from gatebook.model.principal import Principal, Subject


@dataclass(frozen=True, slots=True)
class Crowd:
    """The people, the machines and the keys that are known now; with `keys` None, keys are not looked at."""

    people: Mapping[Subject, Person]
    agents: frozenset[Subject] = field(default=frozenset())
    keys: frozenset[str] | None = None

    def human(self, subject: Subject) -> str:
        """Return what is one for all accounts of the same human being."""
        person = self.people.get(subject)
        return person.human or str(subject) if person else str(subject)


def ineligible(principal: Principal, hold: Hold, made_at: datetime, subject: Subject, crowd: Crowd) -> str:
    """Say why somebody may not vote on a request of this principal; empty if they may."""
    person = crowd.people.get(subject)
    if person is None or subject in crowd.agents:
        return "not a person that the gate knows"
    if person.disabled_at is not None:
        return "disabled"
    if crowd.human(subject) in _askers(principal, crowd):
        return "who asks, or for whom it is asked, cannot consent"
    groups = _groups(person, made_at)
    if groups.isdisjoint(requirement.group for requirement in hold.requirements):
        late = {membership.group for membership in person.groups} & {need.group for need in hold.requirements}
        return "a member only since it was asked" if late else "not in a group that is asked"
    return ""


def is_met(principal: Principal, hold: Hold, made_at: datetime, consenting: Iterable[Subject], crowd: Crowd) -> bool:
    """Whether these people are enough: for each group so many human beings as it needs. Nothing asked is never met."""
    good = [who for who in consenting if not ineligible(principal, hold, made_at, who, crowd)]
    return bool(hold.requirements) and all(
        need.needed <= len({crowd.human(who) for who in good if need.group in _groups(crowd.people[who], made_at)})
        for need in hold.requirements
    )


def _askers(principal: Principal, crowd: Crowd) -> frozenset[str]:
    """Everybody who would consent to their own request."""
    named = [principal.subject, *principal.chain, *([principal.owner] if principal.owner else [])]
    return frozenset(crowd.human(subject) for subject in named)


def _groups(person: Person, made_at: datetime) -> frozenset[str]:
    """The groups that a person was in before a request was made, and still is."""
    return frozenset(membership.group for membership in person.groups if membership.since <= made_at)
