# SPDX-License-Identifier: Apache-2.0
"""Notifications at work: requests are followed, what is news is queued for each receiver, and sent until it is taken.

SPEC: docs/spec/webhook.md. A process of its own: whatever a receiver does holds up neither the gate nor another
receiver. What is queued, and how far requests were followed, changes in one transaction.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from gatebook.config.notify import Event, NotifySettings, ReceiverSettings, SlackSettings, TeamsSettings
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.model.approval import Request, State
from gatebook.notify.events import REMIND_EVERY, Notice, concerns, is_unreviewed, news
from gatebook.notify.outbox import Message, Outbox, Told
from gatebook.serve.notify_posts import Came, Outcome, Post, body_of

POLL_S: Final = 0.5  # between looks at the store
WATCH_S: Final = 1.0  # between looks at how long messages wait
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 600.0
LAST_S: Final = 5.0  # LIMIT: for sending what is queued, when it is told to stop
REFUSALS: Final = 5  # of one message, by its content
KEPT: Final = timedelta(hours=24)
KEPT_FOR_CHATS: Final = timedelta(hours=4)  # nobody scrolls back for what is over since long
GIVEN_UP_EVERY: Final = timedelta(hours=1)  # LIMIT: entries about what is given up, of one receiver
OLD_GLASS: Final = 1000  # LIMIT: broken glass of before the first start, that is told at it
DUE: Final = 100  # LIMIT: reminders in one look

_OVER: Final = (State.EXPIRED, State.CANCELLED, State.VOID)
_log = structlog.get_logger("gatebook.notify")


class Requests(Protocol):
    """What of the store is needed here; the duties are those of `gatebook.store.base`."""

    def generation(self) -> int:
        """Return a number that grows with each change."""

    def find_request(self, request: str) -> Request | None:
        """Return a request."""

    def list_requests(self, states: tuple[State, ...], most: int) -> tuple[Request, ...]:
        """Return requests in these states."""

    def list_changed(self, since: int) -> tuple[int, tuple[Request, ...]]:
        """Return requests changed since, and a new number."""


@dataclass(slots=True)
class _Line:
    """What one receiver's sender and the rest share."""

    settings: ReceiverSettings
    post: Post
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    wait_s: float = 0.0
    left_alone: bool = False  # by `retry-after`: nothing is tried before
    given_up: int = 0
    entered_at: datetime | None = None


class Notifier:
    """All receivers of a gate; `console` is the console's address, empty for none. Called on one event loop."""

    def __init__(
        self,
        gate: str,
        writer: str,
        settings: NotifySettings,
        posts: Mapping[str, Post],
        *,
        requests: Requests,
        outbox: Outbox,
        append: Callable[[bytes], object],
        console: str,
        now: Callable[[], datetime],
    ) -> None:
        self._gate = gate
        self._writer = writer
        self._settings = settings
        self._lines = {one.name: _Line(one, posts[one.name]) for one in settings.receivers}
        self._requests = requests
        self._outbox = outbox
        self._append = append
        self._console = console
        self._now = now
        self._seen = outbox.seen()
        self._is_first = self._seen == 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Tell until it is told to stop, and what is queued then. OutboxFault, StoreFault, JournalUnwritable."""
        loop = asyncio.get_running_loop()
        stopped = loop.create_task(stopping.wait())
        senders = [loop.create_task(self._send(line)) for line in self._lines.values()]
        watched = loop.time()
        try:
            while not stopped.done():
                self.look()
                if loop.time() >= watched:
                    self.watch()
                    watched = loop.time() + WATCH_S
                await asyncio.wait({stopped, *senders}, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
                _raise_of(senders)
            self.look()
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_S):
                    while self._flows():
                        await asyncio.sleep(POLL_S / 10)
                        _raise_of(senders)
        finally:
            for task in (stopped, *senders):
                task.cancel()
            await asyncio.gather(stopped, *senders, return_exceptions=True)
        self._enter_given_up(at_once=True)

    def look(self) -> None:
        """Queue what is news, and the reminders that are due."""
        requests = self._requests
        if requests.generation() < self._seen:  # another store was put in its place
            self._seen = 0
        seen, changed = requests.list_changed(self._seen)
        is_first = self._is_first
        if is_first:
            over = requests.list_requests(_OVER, OLD_GLASS)
            changed = (*changed, *(request for request in over if is_unreviewed(request)))
            self._is_first = False
        told: list[Told] = []
        notices: list[Notice] = []
        for request in changed:
            self._take(request, told, notices)
        self._remind({one.request for one in told}, told, notices)
        if told or is_first:
            self._queue(seen, told, notices)
        self._seen = seen

    def watch(self) -> None:
        """Give up what is too old, and enter which receivers take nothing."""
        moment = self._now()
        for name, line in self._lines.items():
            kept = KEPT_FOR_CHATS if isinstance(line.settings, SlackSettings | TeamsSettings) else KEPT
            line.given_up += self._outbox.drop_older(name, moment - kept)
            standing = self._outbox.standing(name)
            late = timedelta(seconds=self._settings.alarm_s)
            if standing.alarm_at is None:
                if standing.waiting_since is not None and moment - standing.waiting_since > late:
                    why = standing.error or "it is slow"
                    self._enter(
                        f"notify {name}: it has taken nothing for more than {self._settings.alarm_s} s: {why}",
                        "it is tried again",
                    )
                    self._outbox.alarm(name, moment)
            elif standing.taken_at is not None and standing.taken_at > standing.alarm_at and not standing.error:
                self._enter(f"notify {name}: it takes messages again", "the alarm is over")
                self._outbox.alarm(name, None)
        self._enter_given_up(at_once=False)

    # ── from requests to messages ───────────────────────────────────────────────────────────────

    def _take(self, request: Request, told: list[Told], notices: list[Notice]) -> None:
        before = self._outbox.find_told(request.id)
        event = news(before.state if before else None, request)
        moment = self._now()
        if event is not None:
            notices.append(self._notice(event, request, moment))
        if before is not None and before.state is request.state:
            return
        remind_at = None
        if is_unreviewed(request):
            remind_at = before.remind_at if before else moment + REMIND_EVERY
        told.append(Told(request.id, request.state, before.number if before else 0, remind_at))

    def _remind(self, changed: set[str], told: list[Told], notices: list[Notice]) -> None:
        moment = self._now()
        for one in self._outbox.due(moment, DUE):
            if one.request in changed:
                continue  # the next look has it
            request = self._requests.find_request(one.request)
            if request is None or not is_unreviewed(request):
                told.append(Told(one.request, one.state, one.number))
                continue
            number = one.number + 1
            notices.append(self._notice(Event.GLASS_UNREVIEWED, request, moment, number))
            told.append(Told(one.request, one.state, number, moment + REMIND_EVERY))

    def _notice(self, event: Event, request: Request, moment: datetime, number: int = 0) -> Notice:
        link = f"{self._console}/approvals/{request.id}" if self._console else ""
        notice = Notice(event, moment, self._gate, link, request, number)
        if notice.is_urgent:
            _log.error(
                "glass is broken and not reviewed" if number else "glass is broken",
                request=request.id,
                target=request.target,
                role=request.role,
                by=repr(str(request.principal.subject)),
                reminder=number,
            )
        return notice

    def _queue(self, seen: int, told: Sequence[Told], notices: Sequence[Notice]) -> None:
        messages = [
            self._message(line.settings, notice)
            for notice in notices
            for name, line in self._lines.items()
            if notice.request is not None
            and concerns(notice.request, notice.event, line.settings.groups, line.settings.events)
            and self._outbox.standing(name).gone_at is None
        ]
        for name, lost in self._outbox.put(seen, told, messages).items():
            self._lines[name].given_up += lost
        for message in messages:
            line = self._lines[message.receiver]
            if line.wait_s == 0 or (message.is_urgent and not line.left_alone):
                line.hurry.set()

    def _message(self, receiver: ReceiverSettings, notice: Notice) -> Message:
        about = notice.request.id if notice.request else ""
        is_reminder = notice.event is Event.GLASS_UNREVIEWED
        return Message(
            receiver=receiver.name,
            id=notice.id,
            is_urgent=notice.is_urgent,
            made_at=notice.at,
            body=body_of(receiver, notice),
            reminds=about if is_reminder else "",
            outdates=about if is_reminder or notice.event is Event.GLASS_REVIEWED else "",
        )

    # ── to receivers ────────────────────────────────────────────────────────────────────────────

    async def _send(self, line: _Line) -> None:
        """Send one receiver's messages, in order, for ever."""
        name = line.settings.name
        refusals, refused = 0, ""
        while True:
            line.hurry.clear()
            message = self._outbox.first(name)
            if message is None:
                line.wait_s = 0.0
                await line.hurry.wait()
                continue
            outcome = await line.post.send(message)
            if outcome.came is Came.REFUSED:
                refusals = refusals + 1 if refused == message.id else 1
                refused = message.id
            if self._settle(line, message, outcome, refusals):
                line.wait_s = 0.0
                continue
            await self._pause(line, outcome)

    def _settle(self, line: _Line, message: Message, outcome: Outcome, refusals: int) -> bool:
        """Keep what came of an attempt; whether the next message may follow at once."""
        name, moment = line.settings.name, self._now()
        if outcome.came is Came.TAKEN:
            if line.wait_s:
                _log.info("the receiver takes messages again", receiver=name)
            self._outbox.taken(message, moment)
            return True
        if not line.wait_s:
            _log.warning("the receiver has not taken a message", receiver=name, fault=outcome.words)
        self._outbox.failed(name, outcome.words, moment)
        if outcome.came is Came.GONE:
            lost = self._outbox.gone(name, moment)
            what = f"notify {name}: it answers with status 410: it wants no messages; {lost} are given up"
            self._enter(what, "nothing is sent to it until `gatebook notify test` reaches it")
            return True
        if outcome.came is Came.REFUSED and refusals >= REFUSALS:
            self._outbox.drop(message)
            line.given_up += 1
            return True
        return False

    async def _pause(self, line: _Line, outcome: Outcome) -> None:
        line.wait_s = min(max(2 * line.wait_s, FIRST_WAIT_S), LONGEST_WAIT_S)
        # Up to a half less, so that several do not come at once.
        seconds = line.wait_s * random.uniform(0.5, 1.0)  # noqa: S311  no secret
        if outcome.retry_after_s:
            line.left_alone = True
            await asyncio.sleep(max(seconds, outcome.retry_after_s))
            line.left_alone = False
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await line.hurry.wait()

    def _flows(self) -> bool:
        """Whether anything waits for a receiver that takes messages."""
        return any(not line.wait_s and self._outbox.first(name) is not None for name, line in self._lines.items())

    # ── the book ────────────────────────────────────────────────────────────────────────────────

    def _enter_given_up(self, *, at_once: bool) -> None:
        moment = self._now()
        for name, line in self._lines.items():
            is_due = at_once or line.entered_at is None or moment - line.entered_at >= GIVEN_UP_EVERY
            if line.given_up and is_due:
                self._enter(f"notify {name}: {line.given_up} messages are given up", "who waits was not told by it")
                line.given_up, line.entered_at = 0, moment

    def _enter(self, what: str, action: str) -> None:
        _log.warning(what, action=action)
        self._append(builders.failure(Stamp(self._writer, self._now()), what=what, action=action))


def _raise_of(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            task.result()
