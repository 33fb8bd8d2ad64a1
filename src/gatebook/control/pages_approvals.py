# SPDX-License-Identifier: Apache-2.0
"""Pages of approvals: the inbox, which follows what comes within a second, one request, its votes, and what is over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from gatebook.control.ballots import Ballots, Item, waiting
from gatebook.control.caller import caller_of
from gatebook.control.endpoints import Endpoint, page
from gatebook.control.guard import form_of
from gatebook.control.passkeys import read_json
from gatebook.control.problems import Problem
from gatebook.control.rendering import render
from gatebook.evidence.entry import Value
from gatebook.model.approval import Choice, Kind
from gatebook.views.approvals import approvers_of, shown_of, words_of

SHORT: Final = 90
Since = Annotated[int, Query(ge=0, lt=1 << 53)]


class ApprovalPages:
    """What people see of requests, and how they vote."""

    def __init__(self, ballots: Ballots) -> None:
        self._ballots = ballots

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            page("GET", "/approvals", self.inbox),
            page("GET", "/approvals/badge", self.badge),
            page("GET", "/approvals/history", self.history),
            page("GET", "/approvals/{request_id}", self.show),
            page("GET", "/approvals/{request_id}/state", self.show_state),
            page("POST", "/approvals/{request_id}/vote/begin", self.begin),
            page("POST", "/approvals/{request_id}/vote/finish", self.finish),
            page("POST", "/approvals/{request_id}/vote", self.vote_unsigned),
            page("POST", "/approvals/{request_id}/withdraw", self.withdraw),
            page("POST", "/approvals/{request_id}/cancel", self.cancel),
        ]

    async def inbox(self, request: Request, since: Since = 0) -> Response:
        """What waits; asked again each second, it answers only what has changed."""
        caller, is_part = caller_of(request), request.headers.get("hx-request") == "true"
        reached, changed = self._ballots.changed(caller, since)
        if is_part and not changed and reached == since:
            return Response(status_code=HTTPStatus.NO_CONTENT)
        items = self._ballots.list_items(caller)
        name = "_inbox.html" if is_part else "inbox.html"
        return render(request, name, rows=_rows(items), waiting=waiting(items), since=reached)

    async def badge(self, request: Request) -> Response:
        """How many wait for who is signed in."""
        return render(request, "_badge.html", waiting=waiting(self._ballots.list_items(caller_of(request))))

    async def history(self, request: Request) -> Response:
        """Those that are over too."""
        return render(
            request, "history.html", rows=_rows(self._ballots.list_items(caller_of(request), with_ended=True))
        )

    async def show(self, request: Request, request_id: str) -> Response:
        """A request: the operation first, who asks, why it is held; the asker's own words last and apart."""
        caller = caller_of(request)
        item = self._ballots.look(caller, request_id)
        found, shown = item.request, shown_of(item.request)
        parameters = shown.get("params", [])
        prepared = shown.get("prepared", [])
        return render(
            request,
            "approval.html",
            item=item,
            asked=found,
            is_operation=found.kind is Kind.OPERATION,
            text=words_of(shown.get("text", "")),
            parameters=[words_of(value) for value in parameters] if isinstance(parameters, list) else [],
            prepared=_pairs(prepared),
            policies=shown.get("policies", []),
            accesses=[row for row in _lists(shown.get("accesses", [])) if len(row) > 1],
            verbs=shown.get("verbs", []),
            preview=_preview(shown.get("preview", {})),
            masked=shown.get("masked", []),
            approvers=approvers_of(found),
            passkeys=self._ballots.passkeys_of(caller),
            is_asker=caller.principal is not None
            and caller.principal.subject in {found.principal.subject, found.principal.owner},
            has_voted=caller.principal is not None
            and any(vote.person == caller.principal.subject for vote in found.votes),
        )

    async def show_state(self, request: Request, request_id: str) -> Response:
        """How a request stands, as a part of its page."""
        item = self._ballots.find(caller_of(request), request_id)
        return render(request, "_approval_state.html", item=item, asked=item.request)

    async def begin(self, request: Request, request_id: str) -> Response:
        """Begin a vote by passkey: one challenge for one vote."""
        told = read_json(await request.body())
        name, options = self._ballots.begin(
            caller_of(request), request_id, choice_of(told.get("choice")), str(told.get("reason", ""))
        )
        return JSONResponse({"challenge": name, "options": options})

    async def finish(self, request: Request, request_id: str) -> Response:
        """Take a vote by passkey."""
        told = read_json(await request.body())
        credential = told.get("credential")
        if not isinstance(credential, dict):
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "body", "the body has no object `credential`")
        changed = self._ballots.finish(caller_of(request), request_id, str(told.get("challenge", ""))[:200], credential)
        return JSONResponse({"state": changed.state.value, "next": f"/approvals/{request_id}"})

    async def vote_unsigned(self, request: Request, request_id: str) -> Response:
        """Take a vote without a key, where the request lets it be so."""
        form = form_of(await request.body())
        self._ballots.vote_unsigned(
            caller_of(request), request_id, choice_of(form.get("choice")), form.get("reason", "")
        )
        return RedirectResponse(f"/approvals/{request_id}", HTTPStatus.SEE_OTHER)

    async def withdraw(self, request: Request, request_id: str) -> Response:
        """Take consent back."""
        form = form_of(await request.body())
        self._ballots.withdraw(caller_of(request), request_id, form.get("reason", ""))
        return RedirectResponse(f"/approvals/{request_id}", HTTPStatus.SEE_OTHER)

    async def cancel(self, request: Request, request_id: str) -> Response:
        """End a request of an agent of one's own."""
        self._ballots.cancel(caller_of(request), request_id)
        return RedirectResponse(f"/approvals/{request_id}", HTTPStatus.SEE_OTHER)


def choice_of(value: object) -> Choice:
    """Return a choice. Problem 422 if it is none."""
    try:
        return Choice(str(value))
    except ValueError as fault:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "choice", "a vote is `approve`, `deny` or `review`") from fault


def _rows(items: list[Item]) -> list[tuple[Item, str, str]]:
    return [(item, _short(item), approvers_of(item.request)) for item in items]


def _short(item: Item) -> str:
    if item.request.kind is not Kind.OPERATION:
        glass = "break glass: " if item.request.kind is Kind.BREAK_GLASS else ""
        return f"{glass}role {item.request.role} for {item.request.minutes} minutes"
    text = " ".join(words_of(shown_of(item.request).get("text", "")).split())
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"


def _lists(value: Value) -> list[list[Value]]:
    return [one for one in value if isinstance(one, list)] if isinstance(value, list) else []


def _preview(value: Value) -> dict[str, Value]:
    """Return what is known of what an operation would do; empty where it is not of the form that is shown."""
    told = value if isinstance(value, dict) else {}
    is_plan = isinstance(told.get("rows"), int) and isinstance(told.get("plan"), list)
    return dict(told) if is_plan or isinstance(told.get("none"), str) else {}


def _pairs(value: Value) -> list[tuple[str, str]]:
    return [(words_of(one[0]), words_of(one[1])) for one in _lists(value) if len(one) == 2]


def as_json(value: Mapping[str, object]) -> str:
    """Return an object for an event stream: one line."""
    return json.dumps(value, separators=(",", ":"))
