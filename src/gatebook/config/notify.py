# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: RUF009  # `setting` is `dataclasses.field`
"""Settings of notifications: who is told when something waits for people, where, and of what."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from gatebook.config import values
from gatebook.config.declaring import NAME, setting
from gatebook.config.issuers import is_trustworthy
from gatebook.config.secrets import SecretRef
from gatebook.config.values import Place

NOTIFY_WRITER: Final = "notify"
"""Name of the journal in which failures of receivers are entered."""


class Event(StrEnum):
    """What is told. SPEC: docs/spec/webhook.md, "Events"."""

    REQUESTED = "approval.requested"
    GRANTED = "approval.granted"
    DENIED = "approval.denied"
    EXPIRED = "approval.expired"
    WITHDRAWN = "approval.withdrawn"
    CANCELLED = "approval.cancelled"
    VOID = "approval.void"
    GLASS_BROKEN = "glass.broken"
    GLASS_UNREVIEWED = "glass.unreviewed"
    GLASS_REVIEWED = "glass.reviewed"
    TEST = "notify.test"


_EVENTS: Final = tuple(event.value for event in Event if event is not Event.TEST)
_GROUPS: Final = "Only requests that ask one of these groups; all if absent."
_TOLD: Final = "Only these events; all if absent."
_TEXT: Final = (
    "Send the text of statements and their parameters too, which may hold what must not leave; else command words, "
    "target and objects."
)
_ROOTS: Final = "Root certificates for the receiver's certificate, PEM; the system's if absent."


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """A receiver of signed webhooks, in the form of Standard Webhooks: [webhook](../spec/webhook.md)."""

    name: str = setting(values.name(NAME), "Name of the receiver in commands, entries and metrics.")
    url: str = setting(values.text, "Where messages are posted: `https://...` (`http://` on loopback only).")
    secret: SecretRef = setting(
        values.reference, "What they are signed with: `whsec_` and base64 of 24 to 64 bytes; read anew for each."
    )
    older_secret: SecretRef | None = setting(
        values.reference, "Signed with too, while receivers change from it to `secret`.", default=None
    )
    tls_roots: Path | None = setting(values.path, _ROOTS, default=None)
    groups: tuple[str, ...] = setting(values.texts, _GROUPS, default=())
    events: tuple[str, ...] = setting(values.choices(*_EVENTS), _TOLD, default=())
    include_text: bool = setting(values.boolean, _TEXT, default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackSettings:
    """A channel of Slack, or of what takes its messages, by an incoming webhook."""

    name: str = setting(values.name(NAME), "Name of the receiver in commands, entries and metrics.")
    url: SecretRef = setting(
        values.reference, "Address of the incoming webhook, `https://...`: a secret, as who has it can post."
    )
    tls_roots: Path | None = setting(values.path, _ROOTS, default=None)
    groups: tuple[str, ...] = setting(values.texts, _GROUPS, default=())
    events: tuple[str, ...] = setting(values.choices(*_EVENTS), _TOLD, default=())
    include_text: bool = setting(values.boolean, _TEXT, default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamsSettings:
    """A chat or channel of Microsoft Teams, by the Workflows template that posts when a webhook request is received."""

    name: str = setting(values.name(NAME), "Name of the receiver in commands, entries and metrics.")
    url: SecretRef = setting(
        values.reference, "Address of the workflow, `https://...`: a secret, as who has it can post."
    )
    tls_roots: Path | None = setting(values.path, _ROOTS, default=None)
    groups: tuple[str, ...] = setting(values.texts, _GROUPS, default=())
    events: tuple[str, ...] = setting(values.choices(*_EVENTS), _TOLD, default=())
    include_text: bool = setting(values.boolean, _TEXT, default=False)


ReceiverSettings = WebhookSettings | SlackSettings | TeamsSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """Who is told when something waits for people: [notify](../how-to/notify.md).

    Messages link to the console where `control.url` is set.
    """

    follow: str = setting(
        values.choice("serve", "off"),
        "Whether `gatebook serve` starts the process that tells, or `gatebook notify run` is started otherwise.",
        default="serve",
    )
    alarm_s: int = setting(
        values.integer(1, 86_400),
        "Seconds that a receiver may leave a message untaken before a failure is entered.",
        default=3600,
    )
    webhooks: tuple[WebhookSettings, ...] = setting(values.tables(WebhookSettings), "", default=())
    slack: tuple[SlackSettings, ...] = setting(values.tables(SlackSettings), "", default=())
    teams: tuple[TeamsSettings, ...] = setting(values.tables(TeamsSettings), "", default=())

    @property
    def receivers(self) -> tuple[ReceiverSettings, ...]:
        """Every receiver, of whatever kind."""
        return (*self.webhooks, *self.slack, *self.teams)


def check_notify(notify: NotifySettings, place: Place) -> None:
    """Raise ConfigFault for a receiver that cannot be trusted, or a name that is there twice."""
    seen: set[str] = set()
    kinds: dict[str, tuple[ReceiverSettings, ...]] = {
        "webhook": notify.webhooks,
        "slack": notify.slack,
        "teams": notify.teams,
    }
    for kind, receivers in kinds.items():
        for index, receiver in enumerate(receivers):
            here = place.below(kind).below(index)
            if receiver.name in seen:
                raise here.below("name").fault("is there twice", "names must be unique over all receivers")
            seen.add(receiver.name)
            if isinstance(receiver, WebhookSettings) and not is_postable(receiver.url):
                hint = "`http://` is for this machine only; what is secret belongs into `secret`"
                raise here.below("url").fault("must be `https://host/path` without user or fragment", hint)
            if not isinstance(receiver, WebhookSettings) and receiver.url.scheme in {"http", "https"}:
                hint = "write `env:NAME` or `file:PATH`"
                raise here.below("url").fault("must say where the address is, which is a secret", hint)


def is_postable(url: str) -> bool:
    """Whether messages may be posted to a URL: over TLS, or on loopback. It may have a query."""
    address, _, query = url.partition("?")
    is_plain = query.isascii() and query.isprintable() and not set(query) & set(' #"<>\\')
    return len(url) <= 4096 and is_plain and is_trustworthy(address, insecure_loopback=True)
