# SPDX-License-Identifier: Apache-2.0
"""What a selection takes: whole sessions and the logins around them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from support.evidence import NOW, end, leaf, moment, session_leaf
from support.record import whole

from gatebook.evidence.bundle_entries import BundleFault
from gatebook.evidence.bundle_selection import Selection, Selector
from gatebook.evidence.entry import EntryFault, decode_leaf


def session(name: str, agent: str, target: str, seconds: float, length: float | None = None) -> list[bytes]:
    who: dict[str, Any] = {"identity": {"agent": {"sub": agent}}, "where": {"target": target}}
    words: dict[str, Any] = {"recording": {}, "upstream": {}, "parameters": {}, "time": moment(seconds)}
    login = leaf("authn", time=moment(seconds - 1), admitted=name, target=target, **who)
    entries = [login, session_leaf("session.start", 0, name, **who, **words)]
    entries.append(leaf("recording.chunk", session=name, time=moment(seconds)))
    if length is not None:
        entries.append(end(1, name).replace(moment().encode(), moment(seconds + length).encode()))
    return entries


ALL = [
    *session("s_1", "one", "shop", 0, 10),
    *session("s_2", "two", "shop", 100),
    *session("s_3", "one", "work", 200, 10),
    leaf("authn", time=moment(50), result="refused", identity={"person": {"sub": "one"}}, target="shop"),
    leaf("authn", time=moment(50), result="refused", target="work"),
    leaf("heartbeat", time=moment(55)),
    leaf("evidence.viewed", time=moment(500), session="s_1"),
]


def taken(selection: Selection, entries: Sequence[bytes] = ALL) -> list[int]:
    leaves = [decode_leaf(entry) for entry in entries]
    selector = Selector(selection)
    for one in leaves:
        selector.learn(one)
    return [place for place, one in enumerate(leaves) if selector.wants(one)]


def at(seconds: float) -> Any:  # noqa: ANN401  a moment
    return NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("selection", "places"),
    [
        (Selection(sessions=("s_1",)), [0, 1, 2, 3, 14]),
        (Selection(sessions=("s_1", "s_2", "s_9")), [0, 1, 2, 3, 4, 5, 6, 14]),
        (Selection(agent="one"), [0, 1, 2, 3, 7, 8, 9, 10, 11, 14]),
        (Selection(agent="one", target="work"), [7, 8, 9, 10]),
        (Selection(target="work"), [7, 8, 9, 10, 12]),
        (Selection(target="shop", end=at(60)), [0, 1, 2, 3, 11, 14]),
        (Selection(begin=at(11), end=at(101)), [4, 5, 6, 11, 12, 13]),
        (Selection(begin=at(150)), [4, 5, 6, 7, 8, 9, 10]),
        (Selection(begin=at(10), end=at(50)), [0, 1, 2, 3, 14]),
        (Selection(sessions=("s_1",), agent="two"), []),
    ],
)
def test_takes_whole_sessions_and_what_is_around_them(selection: Selection, places: list[int]) -> None:
    assert taken(selection) == places


def test_is_written_and_read_the_same() -> None:
    whole = Selection(("s_1", "s_2"), "one", "shop", at(0), at(1.5))
    assert Selection.from_value(whole.to_value()) == whole
    assert whole.to_value() == {
        "sessions": ["s_1", "s_2"],
        "agent": "one",
        "target": "shop",
        "from": moment(0),
        "to": moment(1.5),
    }
    assert Selection().is_empty()


@pytest.mark.parametrize(
    "value",
    [{}, 7, {"sessions": []}, {"sessions": "s_1"}, {"agent": ""}, {"agent": 7}, {"from": "noon"}, {"x": 1}, {"to": 7}],
)
def test_refuses_another_form(value: object) -> None:
    with pytest.raises(BundleFault) as fault:
        Selection.from_value(value)
    assert fault.value.finding == "bundle_manifest"


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(EntryFault):
        taken(Selection(begin=at(0)), [leaf("heartbeat", time="noon")])


def approved(selection: Selection) -> list[str]:
    """What is taken of an approved operation between sessions that have nothing to do with it, by name."""
    own = [session_leaf("session.start", 0, "s_1", **START, time=moment(9)), end(9, "s_1")]
    named = {"start": decode_leaf(own[0])} | whole() | {"end": decode_leaf(own[1])}
    other = enumerate(session("s_3", "one", "work", 200))
    leaves = named | {f"other {number}": decode_leaf(one) for number, one in other}
    selector = Selector(selection)
    for one in leaves.values():
        selector.learn(one)
    return [name for name, one in leaves.items() if selector.wants(one)]


START: dict[str, Any] = {"identity": {"agent": {"sub": "bot"}}, "recording": {}, "upstream": {}, "parameters": {}}
OF_SESSION = ["start", "held", "intent", "end"]
OF_REQUEST = ["requested", "ana", "bo", "granted", "used"]
OF_PEOPLE = [f"person {number}" for number in (0, 1, 2, 3, 6, 7)]  # not of cy, who has nothing to do with it


def test_what_was_approved_goes_along_with_votes_and_keys_of_whatever_time() -> None:
    for selection in (Selection(sessions=("s_1",)), Selection(agent="bot"), Selection(approval="apr_1")):
        assert sorted(approved(selection)) == sorted(OF_SESSION + OF_REQUEST + OF_PEOPLE)


def test_a_request_of_a_time_is_taken_whole_without_its_session() -> None:
    taken_then = approved(Selection(begin=at(21), end=at(22.5)))
    assert sorted(taken_then) == sorted(OF_REQUEST + OF_PEOPLE)
    before = approved(Selection(begin=at(0), end=at(5)))
    assert set(before) == {f"person {number}" for number in range(8)}


def test_an_approval_that_no_session_names_takes_none() -> None:
    assert approved(Selection(approval="apr_2")) == []
    assert approved(Selection(approval="apr_1", agent="one")) == [*OF_PEOPLE, *OF_REQUEST]
    assert Selection.from_value({"approval": "apr_1"}).to_value() == {"approval": "apr_1"}
