# SPDX-License-Identifier: Apache-2.0
"""Approvals for programs: list, show, a vote that was signed elsewhere, the asker's end, and a stream of changes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import StreamingResponse

from gatebook.control.api_models import BallotItem, ReasonWish, RequestItem, VoteWish
from gatebook.control.ballots import Ballots, Item
from gatebook.control.caller import NOBODY, Caller, caller_of
from gatebook.control.endpoints import Endpoint, described
from gatebook.control.guard import too_many
from gatebook.control.pages_approvals import Since, as_json, choice_of
from gatebook.control.problems import Problem
from gatebook.evidence.approval import Ballot
from gatebook.views.approvals import object_of

STREAMS: Final = 100  # LIMIT: at a time, of all callers
STREAM_S: Final = 900.0  # LIMIT: of one
POLL_S: Final = 0.25
ALIVE_S: Final = 15.0
LOOK_S: Final = 5.0  # how soon who is shut out sees nothing more
Reason = Annotated[str, Query(max_length=1024)]


class ApprovalApi:
    """What programs see of requests."""

    def __init__(self, ballots: Ballots, recognise: Callable[[Request], Awaitable[Caller]]) -> None:
        self._ballots = ballots
        self._recognise = recognise
        self._streams = 0

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            described("GET", "/api/v1/approvals", self.list_requests),
            described("GET", "/api/v1/approvals/events", self.follow),
            described("GET", "/api/v1/approvals/{request_id}", self.show_request),
            described("GET", "/api/v1/approvals/{request_id}/ballot", self.make_ballot),
            described("POST", "/api/v1/approvals/{request_id}/vote", self.vote),
            described("POST", "/api/v1/approvals/{request_id}/withdraw", self.withdraw_vote),
            described("POST", "/api/v1/approvals/{request_id}/cancel", self.cancel_request),
        ]

    async def list_requests(
        self, request: Request, *, all_states: Annotated[bool, Query(alias="all")] = False
    ) -> list[RequestItem]:
        """List requests: to an agent its own, to a person those they are asked about or answer for; newest first."""
        return [_item(item) for item in self._ballots.list_items(caller_of(request), with_ended=all_states)]

    async def show_request(self, request: Request, request_id: str) -> dict[str, Any]:
        """Show a request with all that people are shown; that somebody looks whose business it is not is entered."""
        item = self._ballots.look(caller_of(request), request_id)
        return {**object_of(item.request, whole=True), "can_vote": not item.why_not, "why_not": item.why_not}

    async def make_ballot(
        self, request: Request, request_id: str, choice: Annotated[str, Query(max_length=20)], reason: Reason = ""
    ) -> BallotItem:
        """Return what the caller would sign now; the signature is over `message`, within ten minutes."""
        ballot = self._ballots.ballot(caller_of(request), request_id, choice_of(choice), reason)
        return BallotItem(ballot=dict(ballot.to_value()), message=base64.b64encode(ballot.message()).decode())

    async def vote(self, request: Request, request_id: str, wish: VoteWish) -> RequestItem:
        """Hand in a vote that was signed elsewhere, by who signed it."""
        ballot = Ballot.from_value(wish.ballot)
        if ballot.request != request_id:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "vote", "the vote is about another request")
        try:
            signature = base64.b64decode(wish.signature, validate=True)
        except (binascii.Error, ValueError) as fault:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "vote", "the signature is not base64") from fault
        caller = caller_of(request)
        self._ballots.vote_signed(caller, ballot, method=wish.method, key=wish.key, signature=signature)
        return _item(self._ballots.find(caller, request_id))

    async def withdraw_vote(self, request: Request, request_id: str, wish: ReasonWish) -> RequestItem:
        """Take the caller's consent back before it is used."""
        caller = caller_of(request)
        self._ballots.withdraw(caller, request_id, wish.reason)
        return _item(self._ballots.find(caller, request_id))

    async def cancel_request(self, request: Request, request_id: str) -> RequestItem:
        """End a request: for the agent that asked, or the person who answers for it."""
        caller = caller_of(request)
        self._ballots.cancel(caller, request_id)
        return _item(self._ballots.find(caller, request_id))

    async def follow(self, request: Request, since: Since = 0) -> StreamingResponse:
        """Follow requests as they come and change (`text/event-stream`): first those that are open, then each change.

        Each event's `id` may be given as `since` to go on there. A stream ends after 15 minutes.
        """
        if self._streams >= STREAMS:
            raise too_many(ALIVE_S)
        return StreamingResponse(self._events(request, caller_of(request), since), media_type="text/event-stream")

    async def _events(self, request: Request, caller: Caller, since: int) -> AsyncIterator[str]:
        self._streams += 1
        try:
            began = told = looked = time.monotonic()
            yield ": open\n\n"
            while time.monotonic() - began < STREAM_S:
                since, items = self._ballots.changed(caller, since)
                for item in items:
                    yield f"id: {since}\nevent: request\ndata: {as_json(_item(item).model_dump())}\n\n"
                if items:
                    told = time.monotonic()
                elif time.monotonic() - told >= ALIVE_S:
                    told = time.monotonic()
                    yield ": alive\n\n"
                await asyncio.sleep(POLL_S)
                if time.monotonic() - looked >= LOOK_S:
                    looked = time.monotonic()
                    with suppress(Problem):  # who is shut out meanwhile is nobody any more, and sees nothing
                        caller, before = NOBODY, caller
                        caller = await self._recognise(request)
                    if caller.name != before.name:
                        return
        finally:
            self._streams -= 1


def _item(item: Item) -> RequestItem:
    told = object_of(item.request)
    return RequestItem.model_validate({**told, "can_vote": not item.why_not, "why_not": item.why_not})
