# SPDX-License-Identifier: Apache-2.0
"""Roles that were given for a time: who has which now, and the sessions under them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from gatebook.approval import request as rules
from gatebook.approval.people import Crowd
from gatebook.evidence import approval_entries
from gatebook.evidence.builders import Stamp
from gatebook.model.approval import Kind, Request, State
from gatebook.model.principal import Subject
from gatebook.serve.fresh import now
from gatebook.session.gate import Grant, Session
from gatebook.session.requesting import role_matter

FALLEN: Final = "who gave it may not give it any more"


class Grants:
    """The roles that are had for a time now. Lives on one event loop."""

    def __init__(self, gate: str, append: Callable[[bytes], object]) -> None:
        self._gate = gate
        self._append = append
        self._given: dict[str, Request] = {}
        self._grants: dict[Subject, tuple[Grant, ...]] = {}

    def of(self, subject: Subject) -> tuple[Grant, ...]:
        """Return the roles that somebody has, the newest first."""
        return self._grants.get(subject, ())

    @property
    def standing(self) -> frozenset[str]:
        """The requests by which somebody has a role now."""
        return frozenset(self._given)

    def take(self, changed: Iterable[Request]) -> None:
        """Take over what changed in the store."""
        for request in changed:
            if request.kind is not Kind.OPERATION:
                self._given.pop(request.id, None)
                if request.state is State.GRANTED:
                    self._given[request.id] = request
        self._list()

    def drop_fallen(self, crowd: Crowd) -> list[str]:
        """Drop those whose approvers may not give them any more; their ids."""
        fallen = [request.id for request in self._given.values() if not rules.stands(request, crowd)]
        for name in fallen:
            del self._given[name]
        self._list()
        return fallen

    def enter(self, found: Request, session: Session, crowd: Crowd) -> Request:
        """Count a session under its role, in the book first. NotNow if its principal has that no more."""
        matter = role_matter(
            session.principal, session.target.name, session.role, kind=found.kind, minutes=found.minutes
        )
        entered = rules.enter(found, matter.bind(found.salt).digest, crowd, now())
        voters = [vote.person for vote in entered.consents]
        stamp = Stamp(self._gate, now())
        self._append(approval_entries.used(stamp, entered, operation=session.id, policy_hash="", voters=voters))
        return entered

    def _list(self) -> None:
        grants: dict[Subject, tuple[Grant, ...]] = {}
        for request in sorted(self._given.values(), key=lambda one: one.made_at, reverse=True):
            grant = Grant(request.id, request.target, request.role, request.ends_at())
            subject = request.principal.subject
            grants[subject] = (*grants.get(subject, ()), grant)
        self._grants = grants
