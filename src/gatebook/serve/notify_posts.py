# SPDX-License-Identifier: Apache-2.0
"""Where notifications go: what is posted to each kind of receiver, with what, and what its answer means.

SPEC: docs/spec/webhook.md, "Headers" and "Sending".
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from gatebook.config import ConfigFault, Secrets
from gatebook.config.notify import ReceiverSettings, SlackSettings, TeamsSettings, WebhookSettings, is_postable
from gatebook.model.secret import Secret
from gatebook.notify import slack, teams, webhook
from gatebook.notify.events import Notice
from gatebook.notify.outbox import Message
from gatebook.notify.webhook import SecretFault, headers_of, parse_secret
from gatebook.serve.posting import Answer, NotAcknowledged, Poster

GONE: Final = 410
BUSY: Final = frozenset({429, 503})
REFUSED: Final = frozenset({400, 413, 415, 422})


class Came(Enum):
    """What came of an attempt."""

    TAKEN = "taken"
    LATER = "later"
    REFUSED = "refused"  # this message, by its content
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt, in words where it was not taken, and how long the receiver wants to be left alone."""

    came: Came
    words: str = ""
    retry_after_s: float = 0.0


class Post(Protocol):
    """A receiver. `send` is called for one message at a time, raises nothing that is expected, and may be cancelled."""

    async def send(self, message: Message) -> Outcome:
        """Send a message once."""

    async def close(self) -> None:
        """Let go of connections."""


class HttpPost:
    """A receiver that is posted to over HTTP."""

    def __init__(self, receiver: ReceiverSettings, secrets: Secrets, clock: Callable[[], float] = time.time) -> None:
        self._receiver = receiver
        self._secrets = secrets
        self._clock = clock
        self._poster = Poster(receiver.tls_roots)

    async def send(self, message: Message) -> Outcome:
        """See `Post`."""
        try:
            url, headers = self.address(message)
            answer = await self._poster.post(url, {"content-type": "application/json", **headers}, message.body)
        except (ConfigFault, SecretFault) as fault:
            return Outcome(Came.LATER, fault.message)
        except NotAcknowledged as fault:
            return Outcome(Came.LATER, str(fault))
        return outcome_of(answer)

    async def close(self) -> None:
        """See `Post`."""
        await self._poster.close()

    def address(self, message: Message) -> tuple[str, dict[str, str]]:
        """Return where a message goes and its headers, from secrets as they are now. ConfigFault, SecretFault."""
        receiver = self._receiver
        if not isinstance(receiver, WebhookSettings):
            url = self._secrets.read(receiver.url).reveal().decode("latin-1")
            if not is_postable(url):
                raise ConfigFault(f"what {receiver.url} holds is no `https://` address")
            return url, {}
        references = [receiver.secret, *([receiver.older_secret] if receiver.older_secret else [])]
        keys: list[Secret] = [parse_secret(self._secrets.read(reference)) for reference in references]
        return receiver.url, headers_of(keys, message.id, int(self._clock()), message.body)


def outcome_of(answer: Answer) -> Outcome:
    """Return what an answer means."""
    words = f"the receiver answers with status {answer.status}"
    if answer.is_success:
        return Outcome(Came.TAKEN)
    if answer.status == GONE:
        return Outcome(Came.GONE, words)
    if answer.status in REFUSED:
        return Outcome(Came.REFUSED, words)
    return Outcome(Came.LATER, words, answer.retry_after_s if answer.status in BUSY else 0.0)


def body_of(receiver: ReceiverSettings, notice: Notice) -> bytes:
    """Return a notice in the form that a receiver takes."""
    match receiver:
        case WebhookSettings():
            return webhook.body_of(notice, include_text=receiver.include_text)
        case SlackSettings():
            return slack.body_of(notice, include_text=receiver.include_text)
        case TeamsSettings():
            return teams.body_of(notice, include_text=receiver.include_text)


def kind_of(receiver: ReceiverSettings) -> str:
    """Return the kind of a receiver in one word."""
    return {WebhookSettings: "webhook", SlackSettings: "slack", TeamsSettings: "teams"}[type(receiver)]


def make_post(receiver: ReceiverSettings, folder: Path) -> HttpPost:
    """Return the receiver of these settings; secrets are beside a configuration in `folder`. Nothing is opened."""
    return HttpPost(receiver, Secrets.beside(folder))
