# SPDX-License-Identifier: Apache-2.0
"""A request for consent from its making to its end: the states, the one table of transitions, and what each needs.

Every function returns a new request or raises `NotNow`; whoever keeps requests applies them inside a transaction, so
that what was checked still holds when it is written. Times are aware UTC, passed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gatebook.approval.people import Crowd, ineligible, is_met
from gatebook.model.approval import Asking, Choice, Kind, Request, State, Vote
from gatebook.model.errors import ClientFault
from gatebook.model.principal import Subject

# LIMIT: characters of a reason, whoever gives it.
REASON_CHARACTERS: Final = 1024


class Step(StrEnum):
    """What can happen to a request."""

    GRANT = "grant"
    DENY = "deny"
    EXPIRE = "expire"
    CANCEL = "cancel"
    WITHDRAW = "withdraw"
    ANNUL = "annul"
    USE = "use"
    USE_UP = "use up"
    REVIEW = "review"


TRANSITIONS: Final[Mapping[tuple[State, Step], State]] = {
    (State.PENDING, Step.GRANT): State.GRANTED,
    (State.PENDING, Step.DENY): State.DENIED,
    (State.PENDING, Step.EXPIRE): State.EXPIRED,
    (State.PENDING, Step.CANCEL): State.CANCELLED,
    (State.GRANTED, Step.USE): State.GRANTED,
    (State.GRANTED, Step.USE_UP): State.USED,
    (State.GRANTED, Step.EXPIRE): State.EXPIRED,
    (State.GRANTED, Step.CANCEL): State.CANCELLED,
    (State.GRANTED, Step.WITHDRAW): State.WITHDRAWN,
    (State.GRANTED, Step.ANNUL): State.VOID,
    (State.EXPIRED, Step.REVIEW): State.REVIEWED,
    (State.CANCELLED, Step.REVIEW): State.REVIEWED,
    (State.VOID, Step.REVIEW): State.REVIEWED,
}


class NotNow(ClientFault):
    """A request is not in a state, or the caller not somebody, for what was asked."""

    code = "approval"


def cast(request: Request, vote: Vote, crowd: Crowd) -> Request:
    """Add a person's vote; one denial denies, and the last consent that is needed grants.

    NotNow if the request is not pending, is late, or the person may not vote, or did already.
    """
    if request.state is not State.PENDING:
        raise NotNow(f"the request is {request.state.value} already", "see `gatebook approvals list`")
    if vote.at >= request.decide_by:
        raise NotNow("the request has expired", "the operation has to be asked for again")
    if vote.choice is Choice.REVIEW:
        raise NotNow("there is nothing to review yet", "approve or deny it")
    _check_voter(request, vote, crowd)
    voted = replace(request, votes=(*request.votes, vote))
    if vote.choice is Choice.DENY:
        return _end(voted, Step.DENY, vote.at, vote.reason)
    if not is_satisfied(voted, crowd):
        return voted
    granted = _step(voted, Step.GRANT)
    return replace(granted, use_by=vote.at + timedelta(seconds=request.use_s))


def take(request: Request, now: datetime) -> Request:
    """Grant a new request that breaks glass: nobody is asked, and somebody has to review it."""
    if request.kind is not Kind.BREAK_GLASS:
        raise NotNow("it has to be approved", "wait for its approvers")
    return replace(_step(request, Step.GRANT), use_by=now + timedelta(seconds=request.use_s))


def review(request: Request, vote: Vote, crowd: Crowd) -> Request:
    """Say that an approver has looked at what was done. NotNow if it is not over, or they may not."""
    if not request.waits_for_review or vote.choice is not Choice.REVIEW:
        raise NotNow("there is nothing to review", "it is reviewed once its time is over")
    _check_voter(request, vote, crowd)
    return replace(_step(request, Step.REVIEW), votes=(*request.votes, vote))


def enter(request: Request, digest: str, crowd: Crowd, now: datetime) -> Request:
    """Count one session under a role that was given. NotNow as `use`; who broke glass needs nobody's consent."""
    if request.state is not State.GRANTED or now >= request.ends_at():
        raise NotNow("the role is over", "ask for it again")
    if digest != request.digest:
        raise NotNow("the role was given to somebody else, or on other terms", "ask for it again")
    if not stands(request, crowd):
        raise NotNow("who gave the role may not give it any more", "ask for it again")
    return replace(_step(request, Step.USE), used=request.used + 1)


def stands(request: Request, crowd: Crowd) -> bool:
    """Whether a granted role still has the consent it needs."""
    return request.kind is Kind.BREAK_GLASS or is_satisfied(request, crowd)


def _check_voter(request: Request, vote: Vote, crowd: Crowd) -> None:
    why = ineligible(request.principal, request.hold, request.made_at, vote.person, crowd)
    if why:
        raise NotNow(f"this person may not vote on it: {why}", "an approver of the group, other than who asks, has to")
    if any(crowd.human(other.person) == crowd.human(vote.person) for other in request.votes):
        raise NotNow("this person has voted already", "`withdraw` takes a consent back before it is used")
    if vote.method == "session" and request.hold.signed:
        raise NotNow("the vote is not signed", "sign it with a passkey or an SSH key that is yours")


def use(request: Request, digest: str, crowd: Crowd, now: datetime, by: str) -> Request:
    """Count one use of a granted request for the operation of this digest; `by` is the operation's id.

    An operation that has used it is not counted twice. NotNow if it is not granted, late, for another operation, or
    its approvers are not eligible any more.
    """
    if by == request.used_by and digest == request.digest:
        return request
    if request.state is not State.GRANTED:
        raise NotNow(f"the request is {request.state.value}", "the operation has to be asked for again")
    if now >= request.ends_at():
        raise NotNow("the approval has expired", "the operation has to be asked for again")
    if digest != request.digest:
        raise NotNow("the approval is for another operation", "the operation has to be asked for again")
    if not is_satisfied(request, crowd):
        raise NotNow("who approved may not approve any more", "the operation has to be asked for again")
    last = request.used + 1 >= request.hold.uses
    counted = replace(request, used=request.used + 1, used_by=by)
    return _end(counted, Step.USE_UP, now, "") if last else _step(counted, Step.USE)


def check_quota(asking: Asking, *, pending: int, per_hour: int) -> None:
    """Let somebody ask once more. NotNow where too many of theirs are open, or came within the hour."""
    if asking.open >= pending:
        raise NotNow("too many requests of this identity are open", "wait until people have decided on them")
    if asking.recent >= per_hour:
        raise NotNow("this identity has asked too often within the hour", "ask for a role for a time instead")


def expire(request: Request, now: datetime) -> Request:
    """End a request that is late. NotNow if it is over."""
    return _end(request, Step.EXPIRE, now, "nobody decided in time" if request.state is State.PENDING else "not used")


def cancel(request: Request, now: datetime, why: str) -> Request:
    """End a request for its asker. NotNow if it is over."""
    return _end(request, Step.CANCEL, now, why)


def withdraw(request: Request, person: Subject, crowd: Crowd, now: datetime, why: str) -> Request:
    """Take consent back before it is used. NotNow if the person gave none, or nothing is granted."""
    if not any(crowd.human(vote.person) == crowd.human(person) for vote in request.votes):
        raise NotNow("this person did not vote on it", "who consented can withdraw")
    return _end(request, Step.WITHDRAW, now, why)


def annul(request: Request, now: datetime, why: str) -> Request:
    """End a granted request that must not be used: what it was for has changed. NotNow if it is not granted."""
    return _end(request, Step.ANNUL, now, why)


def end_unfit(request: Request, now: datetime, why: str) -> Request:
    """End an open request that does not fit any more: late, cancelled or void. NotNow if it is over."""
    if now >= request.ends_at():
        return expire(request, now)
    return cancel(request, now, why) if request.state is State.PENDING else annul(request, now, why)


def is_satisfied(request: Request, crowd: Crowd) -> bool:
    """Whether the people who consented, as far as they may still, are enough for every requirement."""
    consenting = [
        vote.person for vote in request.consents if not vote.key or crowd.keys is None or vote.key in crowd.keys
    ]
    return is_met(request.principal, request.hold, request.made_at, consenting, crowd)


def _step(request: Request, step: Step) -> Request:
    after = TRANSITIONS.get((request.state, step))
    if after is None:
        raise NotNow(f"the request is {request.state.value}", "see `gatebook approvals list`")
    return replace(request, state=after)


def _end(request: Request, step: Step, now: datetime, why: str) -> Request:
    return replace(_step(request, step), ended_at=now, why=why[:REASON_CHARACTERS])
