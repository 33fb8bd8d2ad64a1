# SPDX-License-Identifier: Apache-2.0
"""What an approval covers, and what a person signs, as bytes.

SPEC: docs/spec/approval.md, "Binding" and "Vote". Anything that is not in that form raises ApprovalFault.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gatebook.evidence.entry import EntryFault, Leaf, Value, encode_canonical, format_time, parse_time
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.parts import subject_part
from gatebook.model.approval import Choice, Request
from gatebook.model.principal import Subject

NAMESPACE = "gatebook-approval"
MAX_REASON = 1024
_VERSION = 1
_NEEDS = frozenset({"v", "gate", "request", "digest", "shown", "choice", "person", "time"})
_HASH = re.compile(r"sha256:[0-9a-f]{64}")


class ApprovalFault(EvidenceFault):
    """A vote or binding has not its form, or does not cover what it is said to."""

    code = "approval"

    def __init__(self, finding: str, message: str, hint: str = "") -> None:
        super().__init__(finding, message, hint)


def salted(salt: str, value: bytes) -> str:
    """Return the salted hash of a private value."""
    return "sha256:" + hashlib.sha256(salt.encode() + value).hexdigest()


def digest_of(value: Mapping[str, Value]) -> str:
    """Return the SHA-256 over the canonical JSON of an object. EntryFault if it has none."""
    return "sha256:" + hashlib.sha256(encode_canonical(value)).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """One person's word on one request, as it is signed."""

    gate: str
    request: str
    digest: str
    shown: str
    choice: Choice
    person: Subject
    at: datetime
    reason: str = ""

    def to_value(self) -> Leaf:
        """Return the object that stands in `approval.voted`."""
        value: Leaf = {
            "v": _VERSION,
            "gate": self.gate,
            "request": self.request,
            "digest": self.digest,
            "shown": self.shown,
            "choice": self.choice.value,
            "person": subject_part(self.person),
            "time": format_time(self.at),
        }
        return value | {"reason": self.reason} if self.reason else value

    def message(self) -> bytes:
        """Return what the person signs."""
        return encode_canonical(self.to_value()) + b"\n"

    @classmethod
    def from_value(cls, value: Value) -> Ballot:
        """Read what `to_value` gives. ApprovalFault on any other form."""
        told = value if isinstance(value, dict) else {}
        person = told.get("person")
        if told.keys() - {"reason"} != _NEEDS or not isinstance(person, dict) or person.keys() != {"iss", "sub"}:
            raise ApprovalFault("approval_vote", "a vote has not its form")
        try:
            ballot = cls(
                gate=str(told["gate"]),
                request=str(told["request"]),
                digest=str(told["digest"]),
                shown=str(told["shown"]),
                choice=Choice(str(told["choice"])),
                person=Subject(str(person["iss"]), str(person["sub"])),
                at=parse_time(str(told["time"])),
                reason=str(told.get("reason", "")),
            )
        except (EntryFault, ValueError) as fault:
            raise ApprovalFault("approval_vote", "a vote has not its form") from fault
        # By their bytes: of Python's objects `true` would equal 1.
        is_formed = _HASH.fullmatch(ballot.digest) and _HASH.fullmatch(ballot.shown)
        if not is_formed or len(ballot.reason) > MAX_REASON or ballot.message() != encode_canonical(told) + b"\n":
            raise ApprovalFault("approval_vote", "a vote has not its form")
        return ballot


def ballot_for(
    request: Request, gate: str, *, choice: Choice, person: Subject, at: datetime, reason: str = ""
) -> Ballot:
    """Return what a person would sign on a request of a gate."""
    return Ballot(
        gate=gate,
        request=request.id,
        digest=request.digest,
        shown=request.shown_digest,
        choice=choice,
        person=person,
        at=at,
        reason=reason[:MAX_REASON],
    )
