# SPDX-License-Identifier: Apache-2.0
"""What entries tell of approvals, in words for people: who asked, who answered how, until when, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gatebook.evidence.entry import Leaf, Value, parse_time

_TOLD = frozenset({f"approval.{kind}" for kind in ("requested", "voted", "granted", "used", "ended")})
_SIGNED = {"ssh": "SSH key", "webauthn": "passkey", "session": "signed in, no key"}


@dataclass(frozen=True, slots=True)
class ToldVote:
    """A person's word; `key` is the fingerprint of what signed it, empty where nothing did."""

    person: str
    choice: str
    at: datetime
    how: str
    key: str
    reason: str


@dataclass(slots=True)
class ToldApproval:
    """A request, its votes, and what came of it. What is None or empty is not told."""

    id: str
    index: int
    asker: str = ""
    asked_at: datetime | None = None
    expires_at: datetime | None = None
    needs: str = ""
    what: str = ""
    votes: list[ToldVote] = field(default_factory=list)
    until: datetime | None = None
    uses: list[tuple[str, datetime]] = field(default_factory=list)
    end: str = ""

    @property
    def consenting(self) -> list[str]:
        """Who approved."""
        return [vote.person for vote in self.votes if vote.choice == "approve"]


def tell_approval(told: dict[str, ToldApproval], index: int, leaf: Leaf) -> None:
    """Add an entry about a request, with its index in the ledger. EntryFault if a time has not its form."""
    if leaf.get("event") not in _TOLD:
        return
    name, at = _text(leaf, "request"), parse_time(_text(leaf, "time"))
    one = told.setdefault(name, ToldApproval(name, index))
    match leaf.get("event"):
        case "approval.requested":
            one.index, one.asked_at, one.expires_at = index, at, parse_time(_text(leaf, "expires"))
            one.asker, one.needs, one.what = _asker(leaf), _needs(leaf), _what(leaf)
        case "approval.voted":
            vote = _object(leaf, "vote")
            method = _text(leaf, "method")
            one.votes.append(
                ToldVote(
                    person=_text(_object(vote, "person"), "sub"),
                    choice=_text(vote, "choice"),
                    at=parse_time(_text(vote, "time")),
                    how=_SIGNED.get(method, method),
                    key=_text(leaf, "key"),
                    reason=_text(vote, "reason"),
                )
            )
        case "approval.granted":
            one.until = parse_time(_text(leaf, "until"))
        case "approval.used":
            one.uses.append((_text(leaf, "operation"), at))
        case _:
            reason = _text(leaf, "reason")
            one.end = _text(leaf, "result") + (f": {reason}" if reason else "")


def _asker(leaf: Leaf) -> str:
    identity = _object(_object(leaf, "binding"), "identity")
    who = _text(_object(identity, "agent") or _object(identity, "person"), "sub")
    owner = _text(_object(identity, "owner"), "sub")
    return who + (f", owned by {owner}" if owner else "")


def _what(leaf: Leaf) -> str:
    binding = _object(leaf, "binding")
    if "minutes" in binding:
        broken = "broken glass, " if _text(binding, "kind") == "break_glass" else ""
        return f"{broken}role {_text(_object(binding, 'identity'), 'role')} for {binding['minutes']} min"
    verbs = binding.get("verbs")
    return ", ".join(map(str, verbs)) if isinstance(verbs, list) else ""


def _needs(leaf: Leaf) -> str:
    return " and ".join(_needed(_object(_object(leaf, "binding"), "hold")))


def _needed(hold: Mapping[str, Value]) -> Iterator[str]:
    approvers = hold.get("approvers")
    for one in approvers if isinstance(approvers, list) else ():
        if isinstance(one, list) and len(one) == 2:
            yield f"{one[1]} of {one[0]}"


def _object(told: Mapping[str, Value], name: str) -> Mapping[str, Value]:
    value = told.get(name)
    return value if isinstance(value, Mapping) else {}


def _text(told: Mapping[str, Value], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""
