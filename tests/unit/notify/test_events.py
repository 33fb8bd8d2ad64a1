# SPDX-License-Identifier: Apache-2.0
"""What is news of a request, once and no more, and who is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.asked import NOW, REQUEST, holding

from gatebook.config.notify import Event
from gatebook.model.approval import Kind, Requirement, State
from gatebook.notify.events import Notice, concerns, is_unreviewed, news

GLASS = replace(REQUEST, kind=Kind.BREAK_GLASS, state=State.GRANTED)


@pytest.mark.parametrize(
    ("told", "state", "event"),
    [
        (None, State.PENDING, Event.REQUESTED),
        (State.PENDING, State.PENDING, None),
        (State.PENDING, State.GRANTED, Event.GRANTED),
        (State.GRANTED, State.USED, None),
        (State.PENDING, State.USED, Event.GRANTED),
        (None, State.USED, Event.GRANTED),
        (State.PENDING, State.DENIED, Event.DENIED),
        (State.PENDING, State.EXPIRED, Event.EXPIRED),
        (State.GRANTED, State.EXPIRED, Event.EXPIRED),
        (None, State.EXPIRED, Event.EXPIRED),
        (State.GRANTED, State.WITHDRAWN, Event.WITHDRAWN),
        (State.GRANTED, State.VOID, Event.VOID),
        (State.PENDING, State.CANCELLED, Event.CANCELLED),
        (None, State.CANCELLED, None),
        (State.DENIED, State.DENIED, None),
    ],
)
def test_each_state_is_told_once(told: State | None, state: State, event: Event | None) -> None:
    assert news(told, replace(REQUEST, state=state)) is event


@pytest.mark.parametrize(
    ("told", "state", "event"),
    [
        (None, State.GRANTED, Event.GLASS_BROKEN),
        (None, State.EXPIRED, Event.GLASS_BROKEN),
        (None, State.REVIEWED, Event.GLASS_REVIEWED),
        (State.GRANTED, State.EXPIRED, None),
        (State.EXPIRED, State.REVIEWED, Event.GLASS_REVIEWED),
        (State.REVIEWED, State.REVIEWED, None),
    ],
)
def test_broken_glass_has_news_of_its_own(told: State | None, state: State, event: Event | None) -> None:
    assert news(told, replace(GLASS, state=state)) is event


def test_glass_is_unreviewed_until_somebody_reviews_it() -> None:
    assert is_unreviewed(GLASS)
    assert is_unreviewed(replace(GLASS, state=State.EXPIRED))
    assert not is_unreviewed(replace(GLASS, state=State.REVIEWED))
    assert not is_unreviewed(REQUEST)


def test_a_receiver_is_told_what_it_asks_for() -> None:
    both = holding(requirements=(Requirement("dba", 1), Requirement("ops", 1)))
    assert concerns(both, Event.DENIED, (), ())
    assert concerns(both, Event.DENIED, ("ops",), ("approval.denied",))
    assert not concerns(REQUEST, Event.DENIED, ("ops",), ())
    assert not concerns(REQUEST, Event.DENIED, (), ("approval.granted",))


def test_the_same_news_has_the_same_id_whenever_it_is_made() -> None:
    first = Notice(Event.REQUESTED, NOW, "gate", request=REQUEST)
    assert first.id == "msg_zvcjyv7q27rrscyndibjbai5k6"
    assert Notice(Event.REQUESTED, NOW + timedelta(hours=1), "gate", "https://x", REQUEST).id == first.id
    others = {
        Notice(Event.GRANTED, NOW, "gate", request=REQUEST).id,
        Notice(Event.REQUESTED, NOW, "other", request=REQUEST).id,
        Notice(Event.REQUESTED, NOW, "gate", request=replace(REQUEST, id="apr_2")).id,
        Notice(Event.GLASS_UNREVIEWED, NOW, "gate", request=REQUEST, number=1).id,
        Notice(Event.GLASS_UNREVIEWED, NOW, "gate", request=REQUEST, number=2).id,
        Notice(Event.TEST, NOW, "gate").id,
        Notice(Event.TEST, NOW + timedelta(seconds=1), "gate").id,
    }
    assert len(others | {first.id}) == 8
