# SPDX-License-Identifier: Apache-2.0
"""What of the ledger goes into a bundle: whole sessions that were asked for, with logins and approvals around them.

SPEC: docs/spec/bundle.md, "Selection". Two passes over the same leaves: `learn` all, then ask `wants` of each. A
verifier asks the same of the entries of a bundle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gatebook.evidence.bundle_approvals import ApprovalPart, Wanted
from gatebook.evidence.bundle_entries import BundleFault
from gatebook.evidence.consent import PEOPLE, request_of
from gatebook.evidence.entry import EntryFault, Leaf, Value, format_time, parse_time

_SESSION_BEGINS = "session.start"
_SESSION_ENDS = frozenset({"session.end", "session.lost"})
_OF_PURGES = PEOPLE | frozenset({"consent.requested", "consent.given", "purge.done"})
_MEMBERS = frozenset({"sessions", "agent", "target", "approval", "from", "to"})


@dataclass(frozen=True, slots=True)
class Selection:
    """What was asked for; what is empty was not. `begin` is included, `end` is not; both aware."""

    sessions: tuple[str, ...] = ()
    agent: str = ""
    target: str = ""
    begin: datetime | None = None
    end: datetime | None = None
    approval: str = ""

    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return self == Selection()

    def to_value(self) -> dict[str, Value]:
        """Return the object that stands in a manifest."""
        told: dict[str, Value] = {}
        if self.sessions:
            told["sessions"] = sorted(set(self.sessions))
        named = (("agent", self.agent), ("target", self.target), ("approval", self.approval))
        told |= {name: text for name, text in named if text}
        for name, moment in (("from", self.begin), ("to", self.end)):
            if moment is not None:
                told[name] = format_time(moment)
        return told

    @classmethod
    def from_value(cls, value: object) -> Selection:
        """Read what `to_value` gives. BundleFault on any other form."""
        told: Mapping[str, object] = value if isinstance(value, dict) else {"": value}
        sessions = told.get("sessions", [])
        texts = [told.get(name, "") for name in ("agent", "target", "approval", "from", "to")]
        try:
            if not isinstance(sessions, list) or told.keys() - _MEMBERS:
                raise BundleFault("bundle_manifest", "the selection has not its form")
            begin, end = (parse_time(str(text)) if text else None for text in texts[3:])
            found = cls(tuple(str(one) for one in sessions), str(texts[0]), str(texts[1]), begin, end, str(texts[2]))
        except EntryFault as fault:
            raise BundleFault("bundle_manifest", "a time of the selection has not its form") from fault
        if found.to_value() != value or found.is_empty():
            raise BundleFault("bundle_manifest", "the selection has not its form")
        return found


@dataclass(slots=True)
class _Known:
    began: datetime
    ended: datetime | None = None


@dataclass(slots=True)
class _Consents:
    keys: set[str] = field(default_factory=set)
    people: set[tuple[object, object]] = field(default_factory=set)


class Selector:
    """Finds the entries of a selection among leaves that passed `events.check_leaf`."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._known: dict[str, _Known] = {}
        self._purges: dict[str, set[str]] = {}
        self._consents: dict[str, _Consents] = {}
        self._approvals = ApprovalPart()
        self._requests: set[str] | None = None  # of selected sessions, once all is learned
        self._approved: Wanted | None = None  # as above

    @property
    def sessions(self) -> set[str]:
        """Ids of the sessions that are selected, of those learned so far."""
        return {name for name, known in self._known.items() if self._is_selected(name, known)}

    def learn(self, leaf: Leaf) -> None:
        """Take a leaf of the first pass. EntryFault if a time that is looked at has not its form."""
        event, name = leaf.get("event"), str(leaf.get("session"))
        self._requests = self._approved = None
        self._approvals.learn(leaf, is_asked=self._asks_for(leaf))
        if event == _SESSION_BEGINS and self._is_asked(leaf, name):
            self._known.setdefault(name, _Known(parse_time(str(leaf.get("time")))))
        elif event in _SESSION_ENDS and name in self._known:
            self._known[name].ended = parse_time(str(leaf.get("time")))
        elif event == "evidence.purged":
            self._purges.setdefault(name, set()).add(str(leaf.get("request")))
        elif event == "consent.given":
            consents = self._consents.setdefault(str(leaf.get("request")), _Consents())
            consents.keys.add(str(leaf.get("fingerprint")))
            consents.people.add(_pair(leaf.get("person")))

    def wants(self, leaf: Leaf) -> bool:
        """Return whether a leaf of the second pass is selected. EntryFault if its time has not its form."""
        if leaf.get("event") in _OF_PURGES and self._is_of_purge(leaf):
            return True
        if self._approved is None:
            self._approved = self._approvals.select(self.sessions)
        if self._approved.wants(leaf):
            return True
        admitted = leaf.get("admitted")
        name = admitted if isinstance(admitted, str) else leaf.get("session")
        if isinstance(name, str):
            known = self._known.get(name)
            return known is not None and self._is_selected(name, known)
        asked = self._selection
        if asked.sessions or asked.approval or not self._is_within(parse_time(str(leaf.get("time")))):
            return False
        if leaf.get("event") == "authn":
            return asked.agent in {"", _subject(leaf)} and asked.target in {"", leaf.get("target")}
        return not asked.agent and not asked.target

    def _is_of_purge(self, leaf: Leaf) -> bool:
        """Whether an entry says who let a selected session be purged."""
        if not self._purges:
            return False
        if self._requests is None:
            self._requests = {one for name in self._purges.keys() & self.sessions for one in self._purges[name]}
        requests = self._requests
        if "request" in leaf:
            return request_of(leaf) in requests
        consents = [self._consents[one] for one in requests if one in self._consents]
        is_key = any(leaf.get("fingerprint") in one.keys for one in consents)
        return is_key or any(_pair(leaf.get("person")) in one.people for one in consents)

    def _is_asked(self, leaf: Leaf, name: str) -> bool:
        asked, where = self._selection, leaf.get("where")
        target = where.get("target") if isinstance(where, dict) else None
        is_named = not asked.sessions or name in asked.sessions
        return is_named and asked.agent in {"", _subject(leaf)} and asked.target in {"", target}

    def _asks_for(self, leaf: Leaf) -> bool:
        """Whether an entry about a request is asked for by itself: by its id, or with all that is of no session."""
        asked = self._selection
        if asked.approval or asked.sessions or asked.agent or asked.target:
            return bool(asked.approval) and leaf.get("request") == asked.approval
        return str(leaf.get("event")).startswith("approval.") and self._is_within(parse_time(str(leaf.get("time"))))

    def _is_selected(self, name: str, known: _Known) -> bool:
        approval = self._selection.approval
        return self._overlaps(known) and (not approval or self._approvals.names(name, approval))

    def _overlaps(self, known: _Known) -> bool:
        begin, end = self._selection.begin, self._selection.end
        return (end is None or known.began < end) and (begin is None or known.ended is None or known.ended >= begin)

    def _is_within(self, at: datetime) -> bool:
        begin, end = self._selection.begin, self._selection.end
        return (begin is None or at >= begin) and (end is None or at < end)


def _pair(person: object) -> tuple[object, object]:
    """Return issuer and subject of a person in an entry."""
    return (person.get("iss"), person.get("sub")) if isinstance(person, dict) else (None, None)


def _subject(leaf: Leaf) -> object:
    """Return the `sub` of who an entry says it was; None where it says nothing."""
    identity = leaf.get("identity")
    if not isinstance(identity, dict):
        return None
    who = identity.get("agent", identity.get("person"))
    return who.get("sub") if isinstance(who, dict) else None
