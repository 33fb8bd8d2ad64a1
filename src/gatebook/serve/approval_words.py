# SPDX-License-Identifier: Apache-2.0
"""What a client is told about an operation that is held."""

from __future__ import annotations

from typing import Final

from gatebook.model.approval import Request, State
from gatebook.model.decision import Refused

ENDS: Final = {
    State.DENIED: "approval.denied",
    State.EXPIRED: "approval.expired",
    State.CANCELLED: "approval.cancelled",
    State.WITHDRAWN: "approval.withdrawn",
    State.VOID: "approval.void",
}


def people(request: Request) -> str:
    """Return who has to consent."""
    return " and ".join(f"{need.needed} of `{need.group}`" for need in request.hold.requirements)


def refused(code: str, message: str, hint: str = "", request: Request | None = None, link: str = "") -> Refused:
    """Return what a client is told of a request."""
    facts: list[tuple[str, str | int | bool | tuple[str, ...]]] = [("code", code)]
    if request is not None:
        facts += [("request", request.id), ("expires", request.ends_at().isoformat())]
    if link:
        facts.append(("link", link))
    return Refused(code, message, hint, tuple(facts))
