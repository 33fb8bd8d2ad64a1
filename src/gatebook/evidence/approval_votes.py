# SPDX-License-Identifier: Apache-2.0
"""Whether a vote in the book counts: its form, what it is about, when it was given, by whose key, by whom.

SPEC: docs/spec/approval.md, "Vote" and "What a verifier must check". What has not its form raises ApprovalFault.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gatebook.evidence.approval import ApprovalFault, Ballot
from gatebook.evidence.approval_binding import Asked
from gatebook.evidence.approval_people import UNCERTAIN, Moment, People
from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import Leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.ssh_signature import parse_public_key
from gatebook.evidence.vote_signature import SESSION, WEBAUTHN, parse_passkey, verify_vote
from gatebook.model.approval import Choice, Kind

# SPEC: approval.md, "Vote": how long before its entry a vote may be made, and after it by another clock.
LATEST: Final = timedelta(minutes=10)
EARLIEST: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Cast:
    """A vote as its entry says it. `signature` has the form of its method."""

    moment: Moment
    ballot: Ballot
    method: str
    key: str
    signature: bytes

    @property
    def consents(self) -> bool:
        """Whether the person approves."""
        return self.ballot.choice is Choice.APPROVE

    @property
    def denies(self) -> bool:
        """Whether the person denies."""
        return self.ballot.choice is Choice.DENY


def read_cast(moment: Moment, leaf: Leaf) -> Cast:
    """Return what an `approval.voted` says. ApprovalFault if it has not its form, or is about two requests."""
    ballot = Ballot.from_value(leaf["vote"])
    if ballot.request != leaf["request"]:
        raise ApprovalFault("approval_vote", "a vote is about another request than its entry says")
    try:
        signature = base64.b64decode(str(leaf.get("signature", "")), validate=True)
    except (binascii.Error, ValueError) as fault:
        raise ApprovalFault("approval_signature", "a signature is not base64") from fault
    return Cast(moment, ballot, str(leaf["method"]), str(leaf.get("key", "")), signature)


def check_cast(asked: Asked, cast: Cast, people: People) -> Iterator[Finding]:
    """Yield why a vote on a request does not count; nothing if it does."""
    ballot, moment = cast.ballot, cast.moment
    who = ballot.person.subject
    if (ballot.digest, ballot.shown) != (asked.digest, asked.shown):
        yield Finding("approval_vote", asked.id, f"the vote of {who} is about something else")
    is_late = ballot.at >= asked.expires or moment.at >= asked.expires + UNCERTAIN
    if ballot.choice is Choice.REVIEW:
        is_late = False  # it comes when all is over
        if asked.kind != Kind.BREAK_GLASS:
            yield Finding("approval_vote", asked.id, f"{who} reviewed what is not broken glass")
    if is_late or moment.precedes(asked.moment):
        yield Finding("approval_time", asked.id, f"{who} voted when the request was not open")
    elif not -EARLIEST - UNCERTAIN <= moment.at - ballot.at <= LATEST + UNCERTAIN:
        yield Finding("approval_time", asked.id, f"the vote of {who} was not made when it was given")
    try:
        _check_signature(asked, cast, people)
    except EvidenceFault as fault:
        yield Finding("approval_signature", asked.id, f"the vote of {who}: {fault.message}")
    why = people.why_not(ballot.person, asked.groups, asked.askers(), asked.moment, moment)
    if why:
        yield Finding("approval_approver", asked.id, f"{who} voted, and {why}")


def _check_signature(asked: Asked, cast: Cast, people: People) -> None:
    if cast.method == SESSION and not asked.signed:
        return
    if cast.method == SESSION:
        raise ApprovalFault("approval_signature", "it is not signed, and has to be")
    key = people.find_key(cast.key, cast.ballot.person, cast.moment)
    if not key:
        raise ApprovalFault("approval_signature", "the key was not that person's")
    known = parse_passkey(key) if cast.method == WEBAUTHN else parse_public_key(key)
    if known.fingerprint != cast.key:
        raise ApprovalFault("approval_signature", "the key has another fingerprint than its entry says")
    verify_vote(cast.method, key, cast.ballot.message(), cast.signature)
