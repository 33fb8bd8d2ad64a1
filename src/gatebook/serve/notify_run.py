# SPDX-License-Identifier: Apache-2.0
"""Composes notifications: the store, the queue, the journal and the receivers; and runs them on a loop of their own."""

from __future__ import annotations

import asyncio

from gatebook.config import ConfigFault, Settings
from gatebook.config.notify import NOTIFY_WRITER, Event, ReceiverSettings
from gatebook.model.errors import OperatorFault, quoted
from gatebook.notify.events import Notice
from gatebook.notify.outbox import Message, Outbox
from gatebook.serve.ending import stop_when_told
from gatebook.serve.export_run import LOCK_WAIT_S
from gatebook.serve.fresh import now
from gatebook.serve.notify_posts import Came, HttpPost, Outcome, body_of, kind_of, make_post
from gatebook.serve.notifying import Notifier
from gatebook.store.sqlite import open_store
from gatebook.vault.journal import JournalWriter


def run_notify(settings: Settings, *, until_input_ends: bool) -> None:
    """Tell of requests until SIGINT or SIGTERM, or the end of standard input. OperatorFault.

    The journal is the lock: one process at a time.
    """
    receivers = settings.notify.receivers
    posts = {one.name: make_post(one, settings.path.parent) for one in receivers}
    with JournalWriter.open(settings.journal_path, NOTIFY_WRITER, sync="every", wait_s=LOCK_WAIT_S) as journal:
        store = open_store(settings.store_path)
        try:
            outbox = Outbox.open(settings.outbox_path)
            try:
                outbox.keep_only([(one.name, kind_of(one)) for one in receivers])
                notifier = Notifier(
                    settings.gate.name,
                    NOTIFY_WRITER,
                    settings.notify,
                    posts,
                    requests=store,
                    outbox=outbox,
                    append=journal.append,
                    console=settings.control.url,
                    now=now,
                )
                asyncio.run(_run(notifier, posts, until_input_ends=until_input_ends))
            finally:
                outbox.close()
        finally:
            store.close()


def test_receiver(settings: Settings, name: str) -> None:
    """Send a receiver a test message, and send to it again where it had answered with 410.

    OperatorFault where it does not take it.
    """
    receiver = _find(settings, name)
    notice = Notice(Event.TEST, now(), settings.gate.name, settings.control.url)
    message = Message(receiver.name, notice.id, is_urgent=False, made_at=notice.at, body=body_of(receiver, notice))
    outcome = asyncio.run(_once(make_post(receiver, settings.path.parent), message))
    if outcome.came is not Came.TAKEN:
        hint = "see its address and secret in `[notify]`, and what the receiver says"
        raise OperatorFault(f"{quoted(name)} has not taken it: {outcome.words}", hint)
    if settings.outbox_path.exists():
        outbox = Outbox.open(settings.outbox_path)
        try:
            outbox.back(name)
        finally:
            outbox.close()


def _find(settings: Settings, name: str) -> ReceiverSettings:
    for one in settings.notify.receivers:
        if one.name == name:
            return one
    known = ", ".join(f"`{one.name}`" for one in settings.notify.receivers)
    hint = f"known: {known}" if known else "add a `[[notify.webhook]]`, `[[notify.slack]]` or `[[notify.teams]]`"
    raise ConfigFault(f"there is no receiver {quoted(name)}", hint)


async def _run(notifier: Notifier, posts: dict[str, HttpPost], *, until_input_ends: bool) -> None:
    stopping = stop_when_told(until_input_ends=until_input_ends)
    try:
        await notifier.run(stopping)
    finally:
        for post in posts.values():
            await post.close()


async def _once(post: HttpPost, message: Message) -> Outcome:
    try:
        return await post.send(message)
    finally:
        await post.close()
