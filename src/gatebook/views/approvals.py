# SPDX-License-Identifier: Apache-2.0
"""Requests for approval as objects for programs, and what people are shown of one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias, cast

from gatebook.evidence.entry import Leaf, Value
from gatebook.model.approval import OPEN, Request, State
from gatebook.store.base import Approvals
from gatebook.views.telling import json_time

Shown: TypeAlias = "Mapping[str, Value]"


def list_waiting(store: Approvals, most: int) -> tuple[Request, ...]:
    """Return up to `most` requests that are open, and of the last that ended those that wait for a review.

    Asked for apart: many that ended since must not push one out on which people have to decide.
    """
    ended = store.list_requests(frozenset(State) - OPEN, most)
    return store.list_requests(OPEN, most) + tuple(request for request in ended if request.waits_for_review)


def object_of(request: Request, *, whole: bool = False) -> Leaf:
    """Return a request for programs; with all that people are shown if `whole`."""
    votes: list[Value] = [
        {
            "person": {"iss": vote.person.issuer, "sub": vote.person.subject},
            "choice": vote.choice.value,
            "time": json_time(vote.at),
            "method": vote.method,
            "channel": vote.channel,
            "reason": vote.reason,
        }
        for vote in request.votes
    ]
    found: Leaf = {
        "request": request.id,
        "kind": request.kind.value,
        "state": request.state.value,
        "who": {"iss": request.principal.subject.issuer, "sub": request.principal.subject.subject},
        "target": request.target,
        "database": request.database,
        "role": request.role,
        "approvers": [[need.group, need.needed] for need in request.hold.requirements],
        "digest": request.digest,
        "made": json_time(request.made_at),
        "expires": json_time(request.ends_at()),
        "session": request.session,
        "reason": request.reason,
        "why": request.why,
        "votes": votes,
    }
    if whole:
        found |= {"shown": shown_of(request), "binding": cast("Value", json.loads(request.binding))}
    return found


def shown_of(request: Request) -> Shown:
    """Return what people are shown of a request."""
    return cast("Shown", json.loads(request.shown))


def approvers_of(request: Request) -> str:
    """Say how many of which groups have to consent."""
    return " and ".join(f"{need.needed} of {need.group}" for need in request.hold.requirements)


def words_of(value: Value) -> str:
    """Return text or a parameter as it is shown: what is not text stands as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.get("null") is True:
        return "NULL"
    if isinstance(value, dict) and "text" in value:
        return str(value["text"])
    return json.dumps(value)
