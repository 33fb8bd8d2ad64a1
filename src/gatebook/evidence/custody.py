# SPDX-License-Identifier: Apache-2.0
"""Who may end the keeping of evidence, and what was ended: followed through the journal of the command line.

SPEC: docs/spec/consent.md, docs/spec/retention.md. Fed with the leaves of that journal in their order. The same object
says to a command what is in force, and to a verifier what was done against the rules.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from gatebook.evidence.bundle_selection import Selection
from gatebook.evidence.completeness import Finding
from gatebook.evidence.consent import NAMESPACE, NEEDED, PEOPLE, PURGE, RELEASE, ConsentFault, Request
from gatebook.evidence.entry import Leaf, parse_time
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.parts import read_subject
from gatebook.evidence.sessions import SessionSummary
from gatebook.evidence.ssh_signature import PersonKey, parse_public_key, verify_signature
from gatebook.evidence.vote_signature import WEBAUTHN
from gatebook.model.principal import Subject

EVENTS = PEOPLE | frozenset(
    {
        "consent.requested",
        "consent.given",
        "hold.placed",
        "hold.released",
        "evidence.purged",
        "purge.done",
    }
)


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold. `released_at` is None while it is in force."""

    id: str
    selection: Selection
    reason: str
    by: str
    placed_at: datetime
    released_at: datetime | None = None

    def held(self, at: datetime) -> bool:
        """Whether it was in force at that moment."""
        return self.placed_at <= at and (self.released_at is None or at < self.released_at)


@dataclass(slots=True)
class Asked:
    """A request, who consented to it, and whether it was carried out."""

    request: Request
    consents: dict[Subject, str] = field(default_factory=dict)
    done: bool = False

    @property
    def is_granted(self) -> bool:
        """Whether enough people want it."""
        return len(self.consents) >= NEEDED


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stands in the place of a session's contents, or of its recording alone."""

    session: str
    request: str
    erased: str
    at: datetime


class Custody:
    """What the journal of the command line says of keys, holds, requests and tombstones."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[Subject, PersonKey]] = {}
        self.holds: dict[str, Hold] = {}
        self.asked: dict[str, Asked] = {}
        self.tombstones: dict[str, list[Tombstone]] = {}
        self._disabled: set[Subject] = set()

    def add(self, leaf: Leaf) -> Iterator[Finding]:
        """Take the next leaf, which passed `events.check_leaf`, and yield what it does against the rules."""
        event = leaf["event"]
        if event not in EVENTS:
            return
        try:
            self._take(str(event), leaf, parse_time(str(leaf["time"])))
        except EvidenceFault as fault:
            names = (leaf.get("session"), leaf.get("hold"), leaf.get("request"), event)
            yield Finding(fault.finding, next(str(name) for name in names if isinstance(name, str)), fault.message)

    def find_key(self, fingerprint: str) -> PersonKey | None:
        """Return a key that is somebody's now."""
        known = self.keys.get(fingerprint)
        return None if known is None else known[1]

    def keys_of(self, person: Subject) -> list[PersonKey]:
        """Return a person's keys as they are now, in the order in which they were added."""
        return [key for owner, key in self.keys.values() if owner == person]

    def check_consent(
        self, request: Request, person: Subject, fingerprint: str, signature: bytes, at: datetime
    ) -> None:
        """Check that a signature is a person's consent at that moment. SignatureFault, ConsentFault."""
        known = self.keys.get(fingerprint)
        if known is None or known[0] != person or person in self._disabled:
            raise ConsentFault("the key is not that person's")
        if not request.is_open(at):
            raise ConsentFault("the request was not open at that time")
        verify_signature(known[1], NAMESPACE, request.message(), signature)

    def erased(self, session: str) -> frozenset[str]:
        """Return what of a session has a tombstone: nothing, `recording`, `contents`, or both."""
        return frozenset(stone.erased for stone in self.tombstones.get(session, ()))

    def check_holds(self, session: SessionSummary) -> Iterator[Finding]:
        """Yield what is wrong with the purge of a session, which is over."""
        for stone in self.tombstones.get(session.id, ()):
            for hold in self.holds.values():
                if hold.held(stone.at) and covers(hold.selection, session):
                    yield Finding("purge_on_hold", session.id, f"was purged while the hold {hold.id} was in force")

    def _take(self, event: str, leaf: Leaf, at: datetime) -> None:
        match event:
            case "person.key.added":
                self._add_key(leaf)
            case "person.key.removed":
                self.keys.pop(str(leaf["fingerprint"]), None)
            case "person.disabled":
                self._disabled.add(read_subject(leaf["person"]))
            case "consent.requested":
                request = Request.from_value(leaf["request"])
                if request.id in self.asked:
                    raise ConsentFault("a request has the id of another")
                self.asked[request.id] = Asked(request)
            case "consent.given":
                self._consent(leaf, at)
            case "hold.placed":
                name = str(leaf["hold"])
                selection = Selection.from_value(leaf["selection"])
                self.holds.setdefault(name, Hold(name, selection, str(leaf["reason"]), str(leaf["by"]), at))
            case "hold.released":
                self._release(leaf, at)
            case "evidence.purged":
                self._purge(leaf, at)
            case _:
                self._known(leaf).done = True

    def _add_key(self, leaf: Leaf) -> None:
        if str(leaf["key"]).startswith(f"{WEBAUTHN} "):
            return  # a passkey signs votes of approvals alone
        key, person = parse_public_key(str(leaf["key"])), read_subject(leaf["person"])
        if key.fingerprint != leaf["fingerprint"]:
            raise ConsentFault("a key has another fingerprint than its entry says")
        owner, _ = self.keys.setdefault(key.fingerprint, (person, key))
        if owner != person:
            raise ConsentFault("a key was added for a second person")

    def _consent(self, leaf: Leaf, at: datetime) -> None:
        asked, person = self._known(leaf), read_subject(leaf["person"])
        try:
            signature = base64.b64decode(str(leaf["signature"]), validate=True)
        except (binascii.Error, ValueError) as fault:
            raise ConsentFault("a signature is not base64") from fault
        self.check_consent(asked.request, person, str(leaf["fingerprint"]), signature, at)
        asked.consents.setdefault(person, str(leaf["fingerprint"]))

    def _release(self, leaf: Leaf, at: datetime) -> None:
        asked, hold = self._known(leaf), self.holds.get(str(leaf["hold"]))
        if hold is None or hold.released_at is not None:
            raise ConsentFault("a hold was released that was not in force")
        if asked.request.kind != RELEASE or asked.request.hold != hold.id:
            raise ConsentFault("a hold was released by a request for something else")
        self._granted(asked, at)
        asked.done = True
        self.holds[hold.id] = Hold(hold.id, hold.selection, hold.reason, hold.by, hold.placed_at, at)

    def _purge(self, leaf: Leaf, at: datetime) -> None:
        stone = Tombstone(str(leaf["session"]), str(leaf["request"]), str(leaf["erased"]), at)
        self.tombstones.setdefault(stone.session, []).append(stone)  # also where it was against the rules: it is gone
        asked = self._known(leaf)
        if asked.request.kind != PURGE or asked.request.erase != stone.erased:
            raise ConsentFault("a session was purged by a request for something else")
        self._granted(asked, at)

    def _known(self, leaf: Leaf) -> Asked:
        asked = self.asked.get(str(leaf["request"]))
        if asked is None:
            raise ConsentFault("an entry names a request that is not there")
        return asked

    @staticmethod
    def _granted(asked: Asked, at: datetime) -> None:
        if not asked.is_granted:
            raise ConsentFault(f"{len(asked.consents)} of the {NEEDED} people that are needed had consented")
        if not asked.request.is_open(at):
            raise ConsentFault("the request was not open at that time")


def covers(selection: Selection, session: SessionSummary) -> bool:
    """Return whether a selection takes a session, whether that is over or not."""
    is_named = not selection.sessions or session.id in selection.sessions
    is_who = selection.agent in {"", session.principal} and selection.target in {"", session.target}
    is_before = selection.end is None or session.started_at < selection.end
    is_behind = selection.begin is None or session.ended_at is None or session.ended_at >= selection.begin
    return is_named and is_who and is_before and is_behind
