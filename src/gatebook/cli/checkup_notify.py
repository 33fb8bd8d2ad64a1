# SPDX-License-Identifier: Apache-2.0
"""What the doctor says of notifications: whether people can be told at all, and whether receivers take messages."""

from __future__ import annotations

from collections.abc import Iterator

from gatebook.cli.output import show_time
from gatebook.cli.verdicts import Check, Verdict
from gatebook.config import SecretRef, Secrets, Settings
from gatebook.config.notify import Event, WebhookSettings, is_postable
from gatebook.notify.outbox import read_standings
from gatebook.notify.webhook import parse_secret


def check_notify(settings: Settings) -> Iterator[Check]:
    """Look at receivers, their secrets and their queue, and at roles of whose breaking nobody would be told."""
    notify = settings.notify
    secrets = Secrets.beside(settings.path.parent)
    for receiver in notify.receivers:
        name = f"notify {receiver.name}"
        if isinstance(receiver, WebhookSettings):
            for reference in (receiver.secret, receiver.older_secret):
                if reference is not None:
                    parse_secret(secrets.read(reference))
        elif not is_postable(secrets.read(receiver.url).reveal().decode("latin-1")):
            yield Check(name, Verdict.WRONG, f"what {receiver.url} holds is no `https://` address")
            continue
        (standing,) = read_standings(settings.outbox_path, [receiver.name])
        if standing.gone_at is not None:
            words = "it answered with status 410: nothing is sent until `gatebook notify test` reaches it"
            yield Check(name, Verdict.WRONG, words)
        elif standing.error:
            words = f"{standing.waiting:,} messages wait since {show_time(standing.waiting_since)}: {standing.error}"
            yield Check(name, Verdict.WRONG if standing.alarm_at else Verdict.WEAK, words)
        else:
            yield Check(name, Verdict.OK, f"{standing.waiting:,} messages wait")
    if notify.receivers and not settings.control.url:
        yield Check("notify", Verdict.WEAK, "`control.url` is not set: messages have no link")
    yield from _check_glass(settings)


def notify_secrets(settings: Settings) -> list[SecretRef | None]:
    """Return the references of all receivers."""
    references: list[SecretRef | None] = []
    for receiver in settings.notify.receivers:
        if isinstance(receiver, WebhookSettings):
            references += [receiver.secret, receiver.older_secret]
        else:
            references.append(receiver.url)
    return references


def _check_glass(settings: Settings) -> Iterator[Check]:
    for target in settings.targets:
        for role in target.roles:
            if role.break_glass and not any(
                (not one.groups or role.approvers in one.groups)
                and (not one.events or Event.GLASS_BROKEN.value in one.events)
                for one in settings.notify.receivers
            ):
                words = f"nobody is told when glass is broken for {role.name} at {target.name}: add a receiver for it"
                yield Check("notify", Verdict.WEAK, words)
