# SPDX-License-Identifier: Apache-2.0
"""Builders of the entries about approvals.

SPEC: docs/spec/approval.md, "Entries". Each returns the bytes of a leaf; EntryFault if it does not fit into one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable

from gatebook.evidence.approval import Ballot
from gatebook.evidence.builders import MAX_WORDS, Stamp, leaf_of
from gatebook.evidence.entry import Leaf, decode_canonical, format_time
from gatebook.evidence.parts import subject_part
from gatebook.model.approval import Request, Vote
from gatebook.model.principal import Subject


def requested(stamp: Stamp, request: Request, *, policy_hash: str) -> bytes:
    """Say that people are asked."""
    members: Leaf = {
        "request": request.id,
        "digest": request.digest,
        "binding": decode_canonical(request.binding.encode()),
        "shown": request.shown_digest,
        "expires": format_time(request.decide_by),
        "use_s": request.use_s,
        "policy_hash": policy_hash,
    }
    if request.session:
        members |= {"session": request.session, "operation": f"{request.session}.{request.operation}"}
    if request.reason:
        members["reason"] = request.reason[:MAX_WORDS]
    return leaf_of(stamp, "approval.requested", members)


def preview(stamp: Stamp, request: str, *, operation: str) -> bytes:
    """Say that the target is about to be asked for the plan of an operation that people will be asked about."""
    return leaf_of(stamp, "approval.preview", {"request": request, "operation": operation, "action": "preview"})


def previewed(stamp: Stamp, request: str, *, operation: str, status: str) -> bytes:
    """Say what came of it: `done` or `error`."""
    return leaf_of(stamp, "approval.previewed", {"request": request, "operation": operation, "status": status})


def voted(stamp: Stamp, ballot: Ballot, vote: Vote) -> bytes:
    """Say what a person said."""
    members: Leaf = {
        "request": ballot.request,
        "vote": ballot.to_value(),
        "method": vote.method,
        "channel": vote.channel,
    }
    if vote.signature:
        members |= {"key": vote.key, "signature": base64.b64encode(vote.signature).decode()}
    return leaf_of(stamp, "approval.voted", members)


def granted(stamp: Stamp, request: Request) -> bytes:
    """Say that enough people consented."""
    return leaf_of(stamp, "approval.granted", {"request": request.id, "until": format_time(request.ends_at())})


def used(stamp: Stamp, request: Request, *, operation: str, policy_hash: str, voters: Iterable[Subject]) -> bytes:
    """Say that an operation is about to run because people consented to it."""
    members: Leaf = {
        "request": request.id,
        "operation": operation,
        "digest": request.digest,
        "uses": request.used,
        "policy_hash": policy_hash,
        "voters": [subject_part(voter) for voter in voters],
    }
    return leaf_of(stamp, "approval.used", members)


def ended(stamp: Stamp, request: Request) -> bytes:
    """Say that a request is over without a use, or with no further one."""
    members: Leaf = {"request": request.id, "result": request.state.value}
    if request.why:
        members["reason"] = request.why[:MAX_WORDS]
    return leaf_of(stamp, "approval.ended", members)
