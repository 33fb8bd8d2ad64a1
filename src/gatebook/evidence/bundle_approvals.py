# SPDX-License-Identifier: Apache-2.0
"""What of approvals goes into a bundle: all entries of each request that it touches, and of its people.

SPEC: docs/spec/bundle.md, "Selection". As `bundle_selection`: first `learn` all, then ask `wants` of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gatebook.evidence.approval_people import PEOPLE
from gatebook.evidence.approvals import AT_BIND
from gatebook.evidence.entry import Leaf
from gatebook.evidence.parts import read_subject
from gatebook.model.principal import Subject

_EVENT: Final = "approval."


class ApprovalPart:
    """The entries about the requests that sessions or their operations name, or that were asked for."""

    def __init__(self) -> None:
        self._named: dict[str, set[str]] = {}
        self._people: dict[str, set[Subject]] = {}
        self._others: set[str] = set()

    def learn(self, leaf: Leaf, *, is_asked: bool) -> None:
        """Take a leaf of the first pass; `is_asked` if its request is selected whoever names it."""
        request = request_of(leaf)
        if not request:
            return
        if not str(leaf.get("event")).startswith(_EVENT):
            self._named.setdefault(str(leaf.get("session")), set()).add(request)
            return
        if is_asked:
            self._others.add(request)
        people = self._people.setdefault(request, set())
        vote, binding = leaf.get("vote"), leaf.get("binding")
        if isinstance(vote, Mapping):
            people.add(read_subject(vote.get("person")))
        identity = binding.get("identity") if isinstance(binding, Mapping) else None
        if isinstance(identity, Mapping):
            actors = identity.get("act")
            named = [identity[name] for name in ("agent", "person", "owner") if name in identity]
            people |= {read_subject(one) for one in [*named, *(actors if isinstance(actors, list) else [])]}

    def names(self, session: str, request: str) -> bool:
        """Whether a session or an operation of it names a request."""
        return request in self._named.get(session, ())

    def select(self, sessions: set[str]) -> Wanted:
        """Return what belongs to these sessions, and to what was asked for."""
        named = (self._named[session] for session in sessions & self._named.keys())
        requests = self._others.union(*named)
        return Wanted(requests, {person for one in requests for person in self._people.get(one, ())})


class Wanted:
    """Entries about some requests and some people."""

    def __init__(self, requests: set[str], people: set[Subject]) -> None:
        self._requests = requests
        self._people = people

    def wants(self, leaf: Leaf) -> bool:
        """Return whether an entry is about one of them."""
        event = str(leaf.get("event"))
        if event in PEOPLE:
            return read_subject(leaf.get("agent" if event == "key.created" else "person")) in self._people
        return event.startswith(_EVENT) and request_of(leaf) in self._requests


def request_of(leaf: Leaf) -> str:
    """Return the request that an entry about one, of an operation, or of a session's start names; empty without one."""
    if str(leaf.get("event")).startswith(_EVENT):
        return str(leaf.get("request", ""))
    is_start = leaf.get("event") == "session.start"
    part = leaf.get("identity" if is_start else "decision")
    name = part.get("grant" if is_start else "approval") if isinstance(part, Mapping) else None
    return name if isinstance(name, str) and name != AT_BIND else ""
