# SPDX-License-Identifier: Apache-2.0
"""What people in a chat are told of a request: few words, those of whoever asks made harmless and short.

SPEC: docs/spec/webhook.md, "Slack and Microsoft Teams". What an attacker would try: a mention of everybody, a link that
looks like ours, lines that look like ours, a direction mark that turns a statement round.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from gatebook.config.notify import Event
from gatebook.evidence.entry import Value
from gatebook.evidence.harmless import harmless
from gatebook.model.approval import Kind, Request
from gatebook.notify.events import Notice
from gatebook.views.approvals import approvers_of, shown_of, words_of

TEXT_CHARACTERS: Final = 300
REASON_CHARACTERS: Final = 200
WORD_CHARACTERS: Final = 100
OBJECTS: Final = 5
DIGEST_CHARACTERS: Final = 8
_TITLES: Final[Mapping[Event, str]] = {
    Event.REQUESTED: "Approval is needed",
    Event.GRANTED: "Approved",
    Event.DENIED: "Denied",
    Event.EXPIRED: "Expired",
    Event.WITHDRAWN: "Approval withdrawn",
    Event.CANCELLED: "Request given up",
    Event.VOID: "Approval void",
    Event.GLASS_BROKEN: "GLASS BROKEN: a role was taken without approval",
    Event.GLASS_UNREVIEWED: "GLASS BROKEN, and nobody has reviewed it",
    Event.GLASS_REVIEWED: "Broken glass was reviewed",
    Event.TEST: "Test: messages of this gate arrive here",
}


@dataclass(frozen=True, slots=True)
class Telling:
    """A title of ours, and facts by name; their values are tamed, and still to be escaped for the format."""

    title: str
    facts: tuple[tuple[str, str], ...]


def tell(notice: Notice, *, include_text: bool = False) -> Telling:
    """Return what is told of a notice."""
    title = _TITLES[notice.event]
    if notice.number:
        title += f" (reminder {notice.number})"
    facts = {"gate": notice.gate}
    if notice.request is not None:
        facts |= _facts(notice.request, include_text=include_text)
    return Telling(title, tuple((name, value) for name, value in facts.items() if value))


def tame(text: str, most: int) -> str:
    """Return text without effect on a terminal, its reader's direction, or as a link; and how much is left out."""
    pieces: list[str] = []
    size = taken = 0
    for character in text[:most]:
        piece = harmless(character)
        if size + len(piece) > most:
            break
        pieces.append(piece)
        size, taken = size + len(piece), taken + 1
    shown = "".join(pieces).replace("://", "[:]//").replace("](", "] (")
    return f"{shown}… ({len(text) - taken:,} more characters)" if taken < len(text) else shown


def _facts(request: Request, *, include_text: bool) -> dict[str, str]:
    shown = shown_of(request)
    principal = request.principal
    place = f"{request.target}/{request.database}" if request.database else request.target
    accesses = cast("list[list[str]]", shown.get("accesses", []))
    objects = [f"{access[0]} {tame(access[1], WORD_CHARACTERS)}" for access in accesses[:OBJECTS]]
    if len(accesses) > OBJECTS:
        objects.append(f"{len(accesses) - OBJECTS} more")
    facts = {
        "who asks": tame(str(principal.subject), WORD_CHARACTERS),
        "on behalf of": tame(str(principal.owner), WORD_CHARACTERS) if principal.owner else "",
        "where": tame(f"{place} as {request.role}", WORD_CHARACTERS),
        "does": _verbs(request, shown),
        "touches": ", ".join(objects),
        "approvers": tame(approvers_of(request), WORD_CHARACTERS),
        "votes": ", ".join(
            f"{tame(vote.person.subject, WORD_CHARACTERS)} {vote.choice.value}" for vote in request.votes[:OBJECTS]
        ),
        "state": request.state.value,
        "until": f"{request.ends_at():%Y-%m-%d %H:%M:%S} UTC" if request.is_open else "",
        "why": tame(request.why, REASON_CHARACTERS),
        "who asks says (not checked)": tame(request.reason, REASON_CHARACTERS),
        "request": request.id,
        "digest": request.digest.partition(":")[2][:DIGEST_CHARACTERS],
    }
    if include_text and request.kind is Kind.OPERATION:
        params: list[Value] = cast("list[Value]", shown.get("params", []))
        facts["statement"] = tame(words_of(shown.get("text", "")), TEXT_CHARACTERS)
        facts["parameters"] = tame(", ".join(words_of(value) for value in params[:OBJECTS]), WORD_CHARACTERS)
    return facts


def _verbs(request: Request, shown: Mapping[str, Value]) -> str:
    if request.kind is not Kind.OPERATION:
        return f"role {request.role} for {request.minutes} minutes"
    return tame(", ".join(cast("list[str]", shown.get("verbs", []))), WORD_CHARACTERS)
