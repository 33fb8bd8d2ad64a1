# SPDX-License-Identifier: Apache-2.0
"""Requests that need two people, as bytes that they sign.

SPEC: docs/spec/consent.md, "Request". Anything that is not in that form raises ConsentFault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from gatebook.evidence.entry import EntryFault, Leaf, Value, encode_canonical, format_time, parse_time
from gatebook.evidence.faults import EvidenceFault

NAMESPACE = "gatebook-consent"
NEEDED = 2  # people
MAX_REASON = 1024
MAX_LIFE = timedelta(days=30)
PURGE, RELEASE = "purge", "release"
CONTENTS, RECORDING = "contents", "recording"
PEOPLE = frozenset({"person.key.added", "person.key.removed", "person.disabled"})
"""Kinds of entries that say whose key is whose."""
_VERSION = 1
_COMMON = frozenset({"v", "id", "ledger", "kind", "made", "expires", "by", "reason"})
_OWN = {PURGE: frozenset({"erase", "sessions", "list"}), RELEASE: frozenset({"hold"})}
_ID = re.compile(r"[0-9a-f]{16}")
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


class ConsentFault(EvidenceFault):
    """A request has not its form, or lacks the consent of two people."""

    code = "consent"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__("purge_consent", message, hint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What people are asked to want. Of a purge: what is erased, how many sessions, hash of the list; else the hold."""

    id: str
    ledger: str
    kind: str
    made_at: datetime
    expires_at: datetime
    by: str
    reason: str
    erase: str = ""
    sessions: int = 0
    list_hash: str = ""
    hold: str = ""

    def to_value(self) -> Leaf:
        """Return the object that stands in `consent.requested`."""
        told: Leaf = {
            "v": _VERSION,
            "id": self.id,
            "ledger": self.ledger,
            "kind": self.kind,
            "made": format_time(self.made_at),
            "expires": format_time(self.expires_at),
            "by": self.by,
            "reason": self.reason,
        }
        if self.kind == PURGE:
            return told | {"erase": self.erase, "sessions": self.sessions, "list": self.list_hash}
        return told | {"hold": self.hold}

    def message(self) -> bytes:
        """Return what people sign: the content of the request's file."""
        return encode_canonical(self.to_value()) + b"\n"

    @classmethod
    def from_value(cls, value: Value) -> Request:
        """Read what `to_value` gives. ConsentFault on any other form."""
        told = value if isinstance(value, dict) else {}
        kind = told.get("kind")
        if not isinstance(kind, str) or told.keys() != _COMMON | _OWN.get(kind, frozenset({"?"})):
            raise ConsentFault("a request has not its form")
        try:
            request = cls(
                id=str(told["id"]),
                ledger=str(told["ledger"]),
                kind=kind,
                made_at=parse_time(str(told["made"])),
                expires_at=parse_time(str(told["expires"])),
                by=str(told["by"]),
                reason=str(told["reason"]),
                erase=str(told.get("erase", "")),
                sessions=_count(told.get("sessions", 0)),
                list_hash=str(told.get("list", "")),
                hold=str(told.get("hold", "")),
            )
        except EntryFault as fault:
            raise ConsentFault("a time of a request has not its form") from fault
        # By their bytes: of Python's objects `true` would equal 1.
        if not request.is_sound() or encode_canonical(request.to_value()) != encode_canonical(told):
            raise ConsentFault("a request has not its form")
        return request

    def is_sound(self) -> bool:
        """Whether every member has its form and bound."""
        own = (
            self.erase in {CONTENTS, RECORDING} and self.sessions > 0 and _HASH.fullmatch(self.list_hash) is not None
            if self.kind == PURGE
            else _ID.fullmatch(self.hold) is not None
        )
        is_timed = timedelta(0) < self.expires_at - self.made_at <= MAX_LIFE
        return own and is_timed and _ID.fullmatch(self.id) is not None and 0 < len(self.reason) <= MAX_REASON

    def is_open(self, at: datetime) -> bool:
        """Whether the moment lies between its making and its expiry."""
        return self.made_at <= at <= self.expires_at


def request_of(leaf: Leaf) -> str:
    """Return the id of the request that an entry is or names; empty where there is none."""
    request = leaf.get("request")
    return str(request.get("id", "")) if isinstance(request, dict) else str(request or "")


def _count(value: Value) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
