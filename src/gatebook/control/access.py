# SPDX-License-Identifier: Apache-2.0
"""Who may use which route: one table. A route that is not in it keeps the console from starting.

A caller is several of these at once: an auditor is a person, and everybody is anybody. Pages are for who signed in with
a browser; under /api/ come also keys of agents and access tokens. What of a thing somebody sees is decided where it is
read: a person sees sessions of their own agents only, say.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from gatebook.model.errors import Bug

API: Final = "/api/"


class Who(StrEnum):
    """What somebody is to the console."""

    ANYBODY = "anybody"
    AGENT = "agent"
    PERSON = "person"
    APPROVER = "approver"
    AUDITOR = "auditor"
    ADMIN = "admin"


_ANYBODY: Final = frozenset({Who.ANYBODY})
_CALLERS: Final = frozenset({Who.AGENT, Who.PERSON})
_PEOPLE: Final = frozenset({Who.PERSON})
_APPROVERS: Final = frozenset({Who.APPROVER})
_READERS: Final = frozenset({Who.AUDITOR, Who.ADMIN})

ACCESS: Final[dict[str, frozenset[Who]]] = {
    # signing in, and what a browser needs for it
    "GET /sign-in": _ANYBODY,
    "GET /sign-in/{provider}": _ANYBODY,
    "GET /sign-in/{provider}/back": _ANYBODY,
    "POST /sign-in/passkey/begin": _ANYBODY,
    "POST /sign-in/passkey/finish": _ANYBODY,
    "GET /enrol": _ANYBODY,
    "POST /enrol/begin": _ANYBODY,
    "POST /enrol/finish": _ANYBODY,
    "GET /static/{path:path}": _ANYBODY,
    "GET /healthz": _ANYBODY,
    "POST /sign-out": _PEOPLE,
    # pages
    "GET /": _PEOPLE,
    "GET /sessions": _PEOPLE,
    "GET /sessions/{session}": _PEOPLE,
    "POST /sessions/{session}/replay": _READERS,
    "GET /targets": _PEOPLE,
    "GET /people": _PEOPLE,
    "GET /policies": _READERS | {Who.APPROVER},
    "POST /policies/explain": _READERS,
    "GET /ledger": _PEOPLE,
    "GET /ledger/verification": _READERS,
    "POST /ledger/verification": _READERS,
    "GET /search": _READERS,
    # approvals; who may vote on which is decided with each request (docs/spec/approval.md)
    "GET /approvals": _PEOPLE,
    "GET /approvals/badge": _PEOPLE,
    "GET /approvals/history": _PEOPLE,
    "GET /approvals/{request_id}": _PEOPLE,
    "GET /approvals/{request_id}/state": _PEOPLE,
    "POST /approvals/{request_id}/vote/begin": _APPROVERS,
    "POST /approvals/{request_id}/vote/finish": _APPROVERS,
    "POST /approvals/{request_id}/vote": _APPROVERS,
    "POST /approvals/{request_id}/withdraw": _APPROVERS,
    "POST /approvals/{request_id}/cancel": _PEOPLE,
    # the same for programs
    "GET /api/openapi.json": _ANYBODY,
    "GET /api/v1/me": _CALLERS,
    "GET /api/v1/sessions": _CALLERS,
    "GET /api/v1/sessions/{session}": _CALLERS,
    "POST /api/v1/sessions/{session}/replay": _READERS,
    "GET /api/v1/targets": _CALLERS,
    "GET /api/v1/people": _READERS,
    "GET /api/v1/keys": _CALLERS,
    "GET /api/v1/policies": _READERS | {Who.APPROVER},
    "POST /api/v1/policies/explain": _READERS,
    "GET /api/v1/ledger": _CALLERS,
    "GET /api/v1/ledger/verification": _READERS,
    "POST /api/v1/ledger/verification": _READERS,
    "GET /api/v1/search": _READERS,
    "GET /api/v1/approvals": _CALLERS,
    "GET /api/v1/approvals/events": _CALLERS,
    "GET /api/v1/approvals/{request_id}": _CALLERS,
    "GET /api/v1/approvals/{request_id}/ballot": _APPROVERS,
    "POST /api/v1/approvals/{request_id}/vote": _APPROVERS,
    "POST /api/v1/approvals/{request_id}/withdraw": _APPROVERS,
    "POST /api/v1/approvals/{request_id}/cancel": _CALLERS,
    "POST /api/v1/roles": _CALLERS,
}


def check_routes(routes: Iterable[str]) -> None:
    """Raise Bug unless these (`METHOD path`) are the routes of the table, each once."""
    listed = list(routes)
    if sorted(listed) != sorted(ACCESS):
        undeclared = sorted(set(listed) - set(ACCESS))
        unused = sorted(set(ACCESS) - set(listed))
        twice = sorted({route for route in listed if listed.count(route) > 1})
        raise Bug(f"routes without a row in the table: {undeclared}; rows without a route: {unused}; twice: {twice}")
