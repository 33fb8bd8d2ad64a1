# SPDX-License-Identifier: Apache-2.0
"""Asking for a role for a time, and taking one in an emergency.

SPEC: docs/spec/approval.md, "Binding". The caller has verified who asks; the entry is on disk before the request is in
force. May be called by several processes at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from gatebook.approval import request as rules
from gatebook.approval.request import NotNow
from gatebook.evidence import approval_entries
from gatebook.evidence.builders import Stamp
from gatebook.evidence.parts import identity_part
from gatebook.model.approval import Asking, Hold, Kind, Request, Requirement, State
from gatebook.model.errors import quoted
from gatebook.model.principal import Principal
from gatebook.model.target import Role
from gatebook.session.binding import Leaf, Matter, hold_part

_VERSION: Final = 1


class Kept(Protocol):
    """What of the store is needed here; the duties are those of `gatebook.store.base`."""

    def add_request(self, request: Request, check: Callable[[Asking], None]) -> None:
        """Keep a new request, which `check` lets pass."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long people may take, and how much one may ask."""

    decide_s: int
    pending: int
    per_hour: int


@dataclass(frozen=True, slots=True)
class Counter:
    """Where roles are asked for."""

    writer: str
    store: Kept
    append: Callable[[bytes], object]
    now: Callable[[], datetime]
    fresh_id: Callable[[], str]
    fresh_salt: Callable[[], str]
    terms: Terms

    def ask(self, principal: Principal, target: str, role: Role, minutes: int, reason: str) -> Request:
        """Put a role for a time to its approvers. NotNow if this principal may not have it, or asks too much."""
        _check(principal, role, minutes, reason)
        return self._add(self._request(principal, target, role, kind=Kind.ROLE, minutes=minutes, reason=reason))

    def break_glass(self, principal: Principal, target: str, role: Role, minutes: int, reason: str) -> Request:
        """Take a role at once; its approvers must review that afterwards. NotNow as `ask`, and before such a review."""
        _check(principal, role, minutes, reason)
        if not role.break_glass:
            raise NotNow(f"role {quoted(role.name)} cannot be taken by breaking glass", "ask for it")
        asked = self._request(principal, target, role, kind=Kind.BREAK_GLASS, minutes=minutes, reason=reason)
        return self._add(rules.take(asked, self.now()))

    def _request(
        self, principal: Principal, target: str, role: Role, *, kind: Kind, minutes: int, reason: str
    ) -> Request:
        moment, salt = self.now(), self.fresh_salt()
        matter = role_matter(principal, target, role, kind=kind, minutes=minutes, reason=reason)
        bound = matter.bind(salt)
        return Request(
            id=self.fresh_id(),
            kind=kind,
            principal=principal,
            target=target,
            database="",
            role=role.name,
            hold=role_hold(role),
            digest=bound.digest,
            matter=matter.lookup(),
            binding=bound.binding,
            salt=salt,
            shown=bound.shown,
            shown_digest=bound.shown_digest,
            made_at=moment,
            decide_by=moment + timedelta(seconds=self.terms.decide_s),
            use_s=minutes * 60,
            reason=reason,
            minutes=minutes,
        )

    def _add(self, request: Request) -> Request:
        def check(asking: Asking) -> None:
            rules.check_quota(asking, pending=self.terms.pending, per_hour=self.terms.per_hour)
            if request.kind is Kind.BREAK_GLASS and asking.unreviewed:
                raise NotNow("an earlier one waits for its review", "let an approver run `gatebook approvals review`")
            stamp = Stamp(self.writer, self.now())
            self.append(approval_entries.requested(stamp, request, policy_hash=""))
            if request.state is State.GRANTED:
                self.append(approval_entries.granted(stamp, request))

        self.store.add_request(request, check)
        return request


def role_matter(principal: Principal, target: str, role: Role, *, kind: Kind, minutes: int, reason: str = "") -> Matter:
    """Return what is put to people of a role for a time."""
    identity = identity_part(principal, role.name)
    del identity["credential"]
    public: Leaf = {
        "v": _VERSION,
        "kind": kind.value,
        "identity": identity,
        "where": {"target": target},
        "policies": [],
        "hold": hold_part(role_hold(role)),
        "minutes": minutes,
    }
    shown: Leaf = {"account": role.account.name, "minutes": minutes, "role": role.name, "target": target}
    return Matter(public, {}, shown | ({"reason": reason} if reason else {}))


def role_hold(role: Role) -> Hold:
    """Return the terms of a role that is asked for."""
    return Hold((Requirement(role.approvers, role.approvers_needed),))


def _check(principal: Principal, role: Role, minutes: int, reason: str) -> None:
    if not role.is_on_request or not set(role.groups) & set(principal.groups):
        raise NotNow(f"role {quoted(role.name)} cannot be asked for by this identity", "see `gatebook target list`")
    if not 0 < minutes <= role.longest_minutes:
        raise NotNow(f"role {quoted(role.name)} is given for 1 to {role.longest_minutes} minutes", "ask for less")
    if not reason.strip() or len(reason) > rules.REASON_CHARACTERS:
        raise NotNow("a reason of at most 1,024 characters is needed", "say why: approvers and auditors read it")
