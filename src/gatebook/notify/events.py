# SPDX-License-Identifier: Apache-2.0
"""What is news of a request, and the message that tells it.

SPEC: docs/spec/webhook.md, "Events".
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from gatebook.config.notify import Event
from gatebook.model.approval import Kind, Request, State

REMIND_EVERY: Final = timedelta(minutes=15)  # of broken glass that nobody has reviewed
URGENT: Final = frozenset({Event.GLASS_BROKEN, Event.GLASS_UNREVIEWED})
_ID_CHARACTERS: Final = 26  # 130 bits of base32
_NEWS: Final[Mapping[State, Event]] = {
    State.PENDING: Event.REQUESTED,
    State.GRANTED: Event.GRANTED,
    State.USED: Event.GRANTED,  # used before it was seen, or told already
    State.DENIED: Event.DENIED,
    State.EXPIRED: Event.EXPIRED,
    State.WITHDRAWN: Event.WITHDRAWN,
    State.CANCELLED: Event.CANCELLED,
    State.VOID: Event.VOID,
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that is told. `request` is None of a test; `number` counts reminders from 1, else it is 0."""

    event: Event
    at: datetime
    gate: str
    link: str = ""
    request: Request | None = None
    number: int = 0

    @property
    def id(self) -> str:
        """The message's id: the same for the same news, whenever and however often it is made."""
        about = self.request.id if self.request else self.at.isoformat()
        text = "|".join((self.gate, about, self.event.value, str(self.number)))
        return "msg_" + base64.b32encode(hashlib.sha256(text.encode()).digest()).decode().lower()[:_ID_CHARACTERS]

    @property
    def is_urgent(self) -> bool:
        """Whether it goes before all others."""
        return self.event in URGENT


def news(told: State | None, request: Request) -> Event | None:
    """Return what is to be told of a request, of which `told` was told last (None: nothing), if anything is."""
    if request.kind is Kind.BREAK_GLASS:
        if told is None:
            return Event.GLASS_REVIEWED if request.state is State.REVIEWED else Event.GLASS_BROKEN
        return Event.GLASS_REVIEWED if request.state is State.REVIEWED and told is not State.REVIEWED else None
    event = _NEWS.get(request.state)
    if event is None or (told is not None and _NEWS.get(told) is event):
        return None
    return None if told is None and event is Event.CANCELLED else event


def is_unreviewed(request: Request) -> bool:
    """Whether glass was broken and nobody has looked at it since."""
    return request.kind is Kind.BREAK_GLASS and request.state is not State.REVIEWED


def concerns(request: Request, event: Event, groups: Iterable[str], events: Iterable[str]) -> bool:
    """Whether a receiver that asks for these groups and events is told; nothing named means all."""
    asked = {need.group for need in request.hold.requirements}
    wanted, chosen = set(groups), set(events)
    return (not wanted or bool(wanted & asked)) and (not chosen or event.value in chosen)
