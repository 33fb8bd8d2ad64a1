# SPDX-License-Identifier: Apache-2.0
"""What a client is told when something is not done: one form for all (RFC 9457), as JSON, or as a page for browsers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from gatebook.control.access import API
from gatebook.control.rendering import render
from gatebook.evidence.approval import ApprovalFault
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.object_pattern import QuestionFault
from gatebook.evidence.timeline import PlaceFault
from gatebook.model.errors import Bug, GatebookError
from gatebook.store.base import StoreFault
from gatebook.vault.journal import JournalUnwritable
from gatebook.views.looking import RecordingGone, SessionUnknown

MEDIA_TYPE: Final = "application/problem+json"

# By class, the first that fits: what a client meets when the parts below say no.
_STATUS: Final[tuple[tuple[type[GatebookError], int], ...]] = (
    (SessionUnknown, HTTPStatus.NOT_FOUND),
    (ApprovalFault, HTTPStatus.UNPROCESSABLE_ENTITY),
    (RecordingGone, HTTPStatus.GONE),
    (QuestionFault, HTTPStatus.UNPROCESSABLE_ENTITY),
    (PlaceFault, HTTPStatus.UNPROCESSABLE_ENTITY),
    (JournalUnwritable, HTTPStatus.SERVICE_UNAVAILABLE),
    (EvidenceFault, HTTPStatus.CONFLICT),
    (StoreFault, HTTPStatus.CONFLICT),
    (Bug, HTTPStatus.INTERNAL_SERVER_ERROR),
    (GatebookError, HTTPStatus.CONFLICT),
)


class Problem(GatebookError):
    """A request that is not carried out; `code` is stable, and tells programs why."""

    def __init__(self, status: int, code: str, message: str, hint: str = "", **headers: str) -> None:
        super().__init__(message, hint)
        self.status = status
        self.problem = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def not_signed_in() -> Problem:
    """Return the problem of who has to sign in, or show a credential, first."""
    words = "sign in with a browser, or send an API key or access token as bearer"
    return Problem(HTTPStatus.UNAUTHORIZED, "sign_in", "nobody is signed in", words, WWW_Authenticate="Bearer")


def absent(what: str) -> Problem:
    """Return the problem of what is not there, or is not for the caller: to them that is one answer."""
    return Problem(HTTPStatus.NOT_FOUND, "absent", f"there is no such {what}")


def of_fault(fault: GatebookError) -> Problem:
    """Return the problem that a fault of the parts below is to a client."""
    if isinstance(fault, Problem):
        return fault
    status = next(status for kind, status in _STATUS if isinstance(fault, kind))
    return Problem(status, fault.code, fault.message, fault.hint)


def answer(request: Request, problem: Problem) -> Response:
    """Return the response that tells a problem: a page to who looks at pages, else JSON."""
    status = HTTPStatus(problem.status)
    members = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "code": problem.problem,
        "detail": problem.message,
    }
    if problem.hint:
        members["hint"] = problem.hint
    is_program = request.url.path.startswith(API) or request.headers.get("hx-request") == "true"
    if is_program or "text/html" not in request.headers.get("accept", ""):
        return JSONResponse(members, status, problem.headers, MEDIA_TYPE)
    if status is HTTPStatus.UNAUTHORIZED and request.method == "GET":
        return RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    return render(request, "problem.html", status=status, problem=members, headers=problem.headers)
