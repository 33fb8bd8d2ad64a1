# SPDX-License-Identifier: Apache-2.0
"""Notifications at work: what is news goes to each receiver in order, whatever another one or the process does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from support.asked import NOW, REQUEST

from gatebook.config.notify import NotifySettings, SlackSettings, WebhookSettings
from gatebook.config.secrets import SecretRef
from gatebook.model.approval import Hold, Kind, Request, Requirement, State
from gatebook.notify.outbox import Message, Outbox
from gatebook.serve import notifying
from gatebook.serve.notify_posts import Came, Outcome
from gatebook.serve.notifying import Notifier

GLASS = replace(REQUEST, id="apr_glass", kind=Kind.BREAK_GLASS, state=State.GRANTED)
DOWN = Outcome(Came.LATER, "status 500")


@dataclass
class Requests:
    """The store's part: requests and when they changed."""

    number: int = 1
    kept: dict[str, tuple[int, Request]] = field(default_factory=dict)

    def set(self, *requests: Request) -> None:
        for request in requests:
            self.number += 1
            self.kept[request.id] = (self.number, request)

    def generation(self) -> int:
        return self.number

    def find_request(self, request: str) -> Request | None:
        return self.kept[request][1] if request in self.kept else None

    def list_requests(self, states: tuple[State, ...], most: int) -> tuple[Request, ...]:
        return tuple(one for _, one in self.kept.values() if one.state in states)[:most]

    def list_changed(self, since: int) -> tuple[int, tuple[Request, ...]]:
        found = (one for at, one in self.kept.values() if (at > since if since else one.is_open))
        return self.number, tuple(found)


@dataclass
class Pager:
    """Takes what it is sent, or does what its script says first."""

    script: list[Outcome] = field(default_factory=list)
    always: Outcome | None = None
    sent: list[tuple[str, str]] = field(default_factory=list)
    tried: int = 0
    hangs: bool = False

    async def send(self, message: Message) -> Outcome:
        self.tried += 1
        if self.hangs:
            await asyncio.sleep(60)
        outcome = self.script.pop(0) if self.script else self.always or Outcome(Came.TAKEN)
        if outcome.came is Came.TAKEN:
            told = json.loads(message.body)
            self.sent.append((told.get("type", "chat"), told.get("data", {}).get("request", {}).get("request", "")))
        return outcome

    async def close(self) -> None:
        pass

    @property
    def events(self) -> list[str]:
        return [event for event, _ in self.sent]


@dataclass
class Clock:
    moment: datetime = NOW

    def __call__(self) -> datetime:
        return self.moment

    def add(self, **by: float) -> None:
        self.moment += timedelta(**by)


@dataclass
class Desk:
    """A notifier with two webhooks, `a` and `b`, and what is around it."""

    path: Path
    settings: NotifySettings
    requests: Requests = field(default_factory=Requests)
    pagers: dict[str, Pager] = field(default_factory=lambda: {"a": Pager(), "b": Pager()})
    clock: Clock = field(default_factory=Clock)
    entries: list[dict[str, str]] = field(default_factory=list)
    outbox: Outbox | None = None

    def start(self) -> Notifier:
        """A notifier as a new process would make it."""
        self.stop()
        self.outbox = Outbox.open(self.path)
        self.outbox.keep_only([(one.name, "webhook") for one in self.settings.receivers])
        return Notifier(
            "gate",
            "notify",
            self.settings,
            self.pagers,
            requests=self.requests,
            outbox=self.outbox,
            append=lambda leaf: self.entries.append(json.loads(leaf)),
            console="https://c",
            now=self.clock,
        )

    def stop(self) -> None:
        if self.outbox is not None:
            self.outbox.close()
            self.outbox = None

    def run(self, until: Callable[[], bool] = lambda: True, notifier: Notifier | None = None) -> None:
        """Run until something holds, then stop it."""

        async def work() -> None:
            stopping = asyncio.Event()
            task = asyncio.get_running_loop().create_task((notifier or self.start()).run(stopping))
            async with asyncio.timeout(20):
                while not until() and not task.done():  # noqa: ASYNC110  what is waited for is a test's own condition
                    await asyncio.sleep(0.005)
            stopping.set()
            await task

        asyncio.run(work())


def webhook(name: str, **more: object) -> WebhookSettings:
    return WebhookSettings(name=name, url="https://x", secret=SecretRef("env", "X"), **more)  # type: ignore[arg-type]  # named by a test


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(notifying, "POLL_S", 0.01)
    monkeypatch.setattr(notifying, "WATCH_S", 0.01)
    monkeypatch.setattr(notifying, "LAST_S", 0.3)
    monkeypatch.setattr(notifying, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(notifying, "LONGEST_WAIT_S", 0.05)
    made = Desk(tmp_path / "outbox.db", NotifySettings(webhooks=(webhook("a"), webhook("b"))))
    yield made
    made.stop()


def test_what_waits_is_told_to_all_and_then_how_it_ended(desk: Desk) -> None:
    desk.requests.set(REQUEST)
    notifier = desk.start()

    def goes_on() -> bool:
        if desk.pagers["a"].events == ["approval.requested"]:
            desk.requests.set(replace(REQUEST, state=State.GRANTED))
        return len(desk.pagers["a"].sent) == 2

    desk.run(goes_on, notifier)
    for pager in desk.pagers.values():
        assert pager.sent == [("approval.requested", "apr_1"), ("approval.granted", "apr_1")]
    assert desk.entries == []


def test_what_is_queued_when_it_is_told_to_stop_is_sent(desk: Desk) -> None:
    desk.requests.set(*(replace(REQUEST, id=f"apr_{number}") for number in range(20)))
    desk.run()
    assert [about for _, about in desk.pagers["a"].sent] == [f"apr_{number}" for number in range(20)]


def test_a_restart_doubles_and_loses_nothing(desk: Desk) -> None:
    desk.requests.set(REQUEST, replace(REQUEST, id="apr_2"))
    desk.pagers["b"].always = DOWN
    desk.run(lambda: len(desk.pagers["a"].sent) == 2)
    # while it does not run, one ends and one comes
    desk.requests.set(replace(REQUEST, state=State.DENIED), replace(REQUEST, id="apr_3"))
    desk.pagers["b"].always = None
    desk.run(lambda: len(desk.pagers["b"].sent) == 4)
    expected = [
        ("approval.requested", "apr_1"),
        ("approval.requested", "apr_2"),
        ("approval.denied", "apr_1"),
        ("approval.requested", "apr_3"),
    ]
    assert desk.pagers["a"].sent == desk.pagers["b"].sent == expected


def test_ends_are_told_that_came_while_the_first_start_had_nothing_to_tell(desk: Desk) -> None:
    desk.run()
    desk.requests.set(replace(REQUEST, state=State.EXPIRED))
    desk.run(lambda: bool(desk.pagers["a"].sent))
    assert desk.pagers["a"].events == ["approval.expired"]


def test_a_store_that_was_put_back_is_followed_from_its_beginning(desk: Desk) -> None:
    desk.requests.number = 100
    desk.requests.set(REQUEST)
    desk.run(lambda: bool(desk.pagers["a"].sent))
    desk.requests.number = 1
    desk.requests.set(replace(REQUEST, id="apr_new"))
    desk.run(lambda: len(desk.pagers["a"].sent) == 2)
    assert desk.pagers["a"].sent[-1] == ("approval.requested", "apr_new")


def test_a_receiver_that_hangs_holds_no_other_up(desk: Desk) -> None:
    desk.pagers["a"].hangs = True
    desk.requests.set(REQUEST)
    desk.run(lambda: bool(desk.pagers["b"].sent))
    assert (desk.pagers["a"].tried, desk.pagers["a"].sent) == (1, [])


def test_what_is_not_taken_is_tried_again_in_order(desk: Desk) -> None:
    desk.pagers["a"].script = [DOWN, DOWN, DOWN]
    desk.requests.set(REQUEST, replace(REQUEST, id="apr_2"))
    desk.run(lambda: len(desk.pagers["a"].sent) == 2)
    assert [about for _, about in desk.pagers["a"].sent] == ["apr_1", "apr_2"]
    assert desk.pagers["a"].tried == 5


def test_groups_and_events_choose_what_a_receiver_is_told(desk: Desk) -> None:
    desk.settings = NotifySettings(webhooks=(webhook("a", groups=("ops",)), webhook("b", events=("approval.denied",))))
    ops = replace(REQUEST, id="apr_ops", hold=Hold((Requirement("ops", 1),)))
    desk.requests.set(REQUEST, ops)
    notifier = desk.start()
    notifier.look()
    desk.requests.set(replace(REQUEST, state=State.DENIED))
    desk.run(lambda: bool(desk.pagers["a"].sent and desk.pagers["b"].sent), notifier)
    assert desk.pagers["a"].sent == [("approval.requested", "apr_ops")]
    assert desk.pagers["b"].sent == [("approval.denied", "apr_1")]


def test_broken_glass_is_told_first_and_each_quarter_of_an_hour_until_it_is_reviewed(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.requests.set(REQUEST, GLASS)
    notifier = desk.start()
    notifier.look()
    for state in (State.GRANTED, State.EXPIRED):
        desk.requests.set(replace(GLASS, state=state))
        desk.clock.add(minutes=14.9)
        notifier.look()
        desk.clock.add(minutes=0.2)
        notifier.look()
        notifier.look()
    desk.run(lambda: len(desk.pagers["a"].sent) == 3, notifier)
    # the first reminder was still waiting when the second came
    assert desk.pagers["a"].events == ["glass.broken", "glass.unreviewed", "approval.requested"]
    notifier = desk.start()
    desk.clock.add(minutes=16)
    desk.run(lambda: len(desk.pagers["a"].sent) == 4, notifier)
    assert desk.pagers["a"].events[-1] == "glass.unreviewed"
    desk.requests.set(replace(GLASS, state=State.REVIEWED))
    desk.clock.add(hours=1)
    desk.run(lambda: len(desk.pagers["a"].sent) == 5)
    desk.clock.add(hours=1)
    desk.run()
    assert desk.pagers["a"].events[-1] == "glass.reviewed"
    assert capsys.readouterr().out.count("glass is broken and not reviewed") == 3


def test_glass_that_was_broken_before_the_first_start_is_told(desk: Desk) -> None:
    desk.requests.set(replace(GLASS, state=State.EXPIRED), replace(REQUEST, state=State.EXPIRED))
    desk.run(lambda: bool(desk.pagers["a"].sent))
    assert desk.pagers["a"].sent == [("glass.broken", "apr_glass")]


def test_broken_glass_does_not_wait_for_the_next_try_unless_the_receiver_said_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifying, "FIRST_WAIT_S", 30.0)
    monkeypatch.setattr(notifying, "LONGEST_WAIT_S", 30.0)
    desk.pagers["a"].script = [DOWN]
    desk.pagers["b"].script = [Outcome(Came.LATER, "status 429", 30.0)]
    desk.requests.set(REQUEST)
    notifier = desk.start()

    def goes_on() -> bool:
        if desk.pagers["a"].tried and desk.pagers["b"].tried and GLASS.id not in desk.requests.kept:
            desk.requests.set(GLASS)
        return len(desk.pagers["a"].sent) == 2

    desk.run(goes_on, notifier)
    assert desk.pagers["a"].events == ["glass.broken", "approval.requested"]
    assert desk.pagers["b"].tried == 1


def test_a_receiver_that_says_when_is_left_alone_until_then(desk: Desk) -> None:
    desk.pagers["a"].script = [Outcome(Came.LATER, "status 429", 0.5)]
    desk.requests.set(REQUEST)
    loop_time: list[float] = []

    def goes_on() -> bool:
        if desk.pagers["a"].tried == 1 and not loop_time:
            loop_time.append(asyncio.get_running_loop().time())
        return bool(desk.pagers["a"].sent)

    desk.run(goes_on)
    assert desk.pagers["a"].tried == 2


def test_a_receiver_that_is_gone_is_sent_nothing_more_and_the_book_says_so(desk: Desk) -> None:
    desk.pagers["a"].always = Outcome(Came.GONE, "the receiver answers with status 410")
    desk.requests.set(REQUEST, replace(REQUEST, id="apr_2"))
    desk.run(lambda: bool(desk.entries) and len(desk.pagers["b"].sent) == 2)
    desk.requests.set(replace(REQUEST, id="apr_3"))
    desk.pagers["a"].always = None
    desk.run(lambda: len(desk.pagers["b"].sent) == 3)
    assert desk.pagers["a"].tried == 1
    (entry,) = desk.entries
    assert (entry["event"], entry["writer"]) == ("failure", "notify")
    assert entry["what"] == "notify a: it answers with status 410: it wants no messages; 2 are given up"


def test_a_message_that_is_refused_again_and_again_makes_room_for_the_next(desk: Desk) -> None:
    desk.pagers["a"].script = [Outcome(Came.REFUSED, "the receiver answers with status 400")] * 5
    desk.requests.set(REQUEST, replace(REQUEST, id="apr_2"))
    desk.run(lambda: bool(desk.pagers["a"].sent))
    assert desk.pagers["a"].sent == [("approval.requested", "apr_2")]
    assert [entry["what"] for entry in desk.entries] == ["notify a: 1 messages are given up"]


def test_who_takes_nothing_for_an_hour_is_in_the_book_once_and_again_when_that_is_over(desk: Desk) -> None:
    desk.pagers["a"].always = DOWN
    desk.requests.set(REQUEST)
    notifier = desk.start()
    desk.run(lambda: bool(desk.pagers["a"].tried), notifier)
    desk.clock.add(seconds=3599)
    notifier = desk.start()
    notifier.watch()
    assert desk.entries == []
    desk.clock.add(seconds=2)
    notifier.watch()
    notifier.watch()
    desk.start().watch()  # nor does another process enter it again
    assert [entry["what"] for entry in desk.entries] == [
        "notify a: it has taken nothing for more than 3600 s: status 500"
    ]
    desk.pagers["a"].always = None
    desk.clock.add(seconds=1)
    desk.run(lambda: len(desk.entries) == 2)
    assert desk.entries[-1]["what"] == "notify a: it takes messages again"


def test_what_is_too_old_is_given_up_sooner_for_chats_and_entered_once_an_hour(desk: Desk) -> None:
    desk.settings = NotifySettings(
        webhooks=(webhook("a"),), slack=(SlackSettings(name="b", url=SecretRef("env", "X")),)
    )
    desk.requests.set(REQUEST, replace(REQUEST, id="apr_2"))
    notifier = desk.start()
    notifier.look()
    desk.clock.add(hours=4, minutes=1)
    notifier.watch()
    desk.requests.set(replace(REQUEST, id="apr_3"))
    notifier.look()
    desk.clock.add(hours=20)
    notifier.watch()
    given_up = [entry["what"] for entry in desk.entries if "given up" in entry["what"]]
    assert given_up == [
        "notify b: 2 messages are given up",
        "notify a: 2 messages are given up",
        "notify b: 1 messages are given up",
    ]


def test_a_queue_that_is_full_loses_the_oldest_and_says_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.notify.outbox.MAX_WAITING", 2)
    desk.requests.set(*(replace(REQUEST, id=f"apr_{number}") for number in range(5)))
    notifier = desk.start()
    notifier.look()
    notifier.watch()
    assert [entry["what"] for entry in desk.entries] == [
        "notify a: 3 messages are given up",
        "notify b: 3 messages are given up",
    ]


def test_a_fault_of_the_queue_ends_the_process(desk: Desk) -> None:
    desk.requests.set(REQUEST)
    notifier = desk.start()
    desk.stop()
    with pytest.raises(Exception, match="closed"):
        desk.run(lambda: False, notifier)
