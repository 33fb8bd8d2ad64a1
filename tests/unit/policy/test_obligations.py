# SPDX-License-Identifier: Apache-2.0
"""Annotations: what each may say, and how the terms of several policies are joined."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gatebook.model.approval import Cover, Hold, HoldMode, Requirement
from gatebook.policy.obligations import annotation_problems, hold_of, join_holds, parse_duration

ASKS = {"approval": "dba"}


def problems(**annotations: str) -> list[tuple[str, str]]:
    return [(one.reason, one.hint) for one in annotation_problems("a.cedar", 3, annotations)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("24h", 86_400), ("1s", 1), ("86400s", 86_400)],
)
def test_reads_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "0s", "05m", "5 m", "5M", "25h", "86401s", "100000s", "-5m", "5m\n", "\u0665m"]
)
def test_reads_nothing_else_as_duration(text: str) -> None:
    assert parse_duration(text) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("approvers", "1"),
        ("approvers", "9"),
        ("hold", "return"),
        ("hold", "wait"),
        ("decide", "24h"),
        ("wait", "1s"),
        ("covers", "shape"),
        ("covers", "object"),
        ("uses", "1000"),
        ("vote", "session"),
        ("unseen", "data"),
        ("record", "full"),
        ("message", "words"),
        ("hint", "words"),
        ("id", "a/b:c.d-e_f"),
    ],
)
def test_takes_what_is_enforced(name: str, value: str) -> None:
    assert problems(**(ASKS | {name: value})) == []


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("approvers", "0", "how many people, 1 to 9"),
        ("approvers", "10", "how many people, 1 to 9"),
        ("approvers", "02", "how many people, 1 to 9"),
        ("approvers", "²", "how many people, 1 to 9"),
        ("approvers", "two", "how many people, 1 to 9"),
        ("uses", "1001", "how often one approval may be used, 1 to 1000"),
        ("uses", "9" * 5000, "how often one approval may be used, 1 to 1000"),
        ("uses", "-1", "how often one approval may be used, 1 to 1000"),
        ("hold", "forever", 'either "wait" or "return"'),
        ("decide", "soon", "a time such as 90s, 5m or 1h, at most 24h"),
        ("wait", "25h", "a time such as 90s, 5m or 1h, at most 24h"),
        ("covers", "exact", 'either "shape" or "object"'),
        ("covers", "all", 'either "shape" or "object"'),
        ("vote", "signed", 'only "session": a vote without its person\'s key counts'),
        ("unseen", "all", 'only "data": data that nobody sees beforehand may be approved'),
        ("approval", "a, b", "the name of one group of people"),
        ("approval", " dba", "the name of one group of people"),
        ("approval", "x" * 129, "the name of one group of people"),
        ("record", "none", 'only @record("full") is enforced by this build'),
        ("id", "has space", "letters, digits and _ . : / - only, at most 128"),
    ],
)
def test_what_is_not_enforced_keeps_a_policy_from_loading(name: str, value: str, hint: str) -> None:
    ((reason, told),) = problems(**(ASKS | {name: value}))
    assert reason.startswith(f"annotation `@{name}` cannot say `")
    assert told == hint


def test_an_empty_annotation_is_a_problem() -> None:
    assert problems(approval="") == [("annotation `@approval` is empty", "")]


def test_a_wrong_name_is_told_with_a_near_one() -> None:
    assert problems(aproval="dba") == [("unknown annotation `@aproval`", "did you mean `@approval`?")]
    assert problems(zzz="1")[0][1].startswith("known are: @approval, @approvers, @covers, @decide,")


def test_what_comes_later_is_told_apart() -> None:
    assert problems(budget="1") == [
        (
            "annotation `@budget` cannot be enforced by this build",
            "remove it; a policy that is not enforced must not load",
        )
    ]


@pytest.mark.parametrize("name", ["approvers", "hold", "decide", "wait", "covers", "uses", "vote", "unseen"])
def test_terms_without_anybody_to_ask_are_a_problem(name: str) -> None:
    value = {"approvers": "1", "uses": "1", "hold": "wait", "covers": "shape", "vote": "session", "unseen": "data"}
    assert problems(**{name: value.get(name, "5m")}) == [
        (
            f"annotation `@{name}` says how consent is had, and nobody is asked for any",
            'name who is asked: @approval("group")',
        )
    ]


def test_a_policy_that_asks_nobody_has_no_terms() -> None:
    assert hold_of({"id": "x"}) is None


def test_terms_are_those_of_the_annotations_or_the_strictest() -> None:
    assert hold_of(ASKS) == Hold((Requirement("dba", 1),))
    said = {"approvers": "2", "hold": "return", "decide": "5m", "wait": "90s", "covers": "shape", "uses": "3"}
    assert hold_of(ASKS | said | {"vote": "session", "unseen": "data"}) == Hold(
        (Requirement("dba", 2),),
        HoldMode.RETURN,
        Cover.SHAPE,
        3,
        timedelta(minutes=5),
        timedelta(seconds=90),
        signed=False,
        unseen=True,
    )


def test_nothing_joined_asks_nobody() -> None:
    assert join_holds([]) is None


def test_joined_terms_ask_every_group_and_are_the_strictest_of_each() -> None:
    loose = Hold(
        (Requirement("ops", 1), Requirement("dba", 2)),
        HoldMode.RETURN,
        Cover.OBJECT,
        10,
        timedelta(minutes=5),
        signed=False,
        unseen=True,
    )
    strict = Hold((Requirement("dba", 1),), cover=Cover.SHAPE, uses=2, wait=timedelta(seconds=9))
    for holds in ([loose, strict], [strict, loose]):
        assert join_holds(holds) == Hold(
            (Requirement("dba", 2), Requirement("ops", 1)),
            HoldMode.RETURN,
            Cover.SHAPE,
            2,
            timedelta(minutes=5),
            timedelta(seconds=9),
            signed=True,
            unseen=False,
        )


def test_one_that_covers_nothing_else_makes_all_cover_nothing_else() -> None:
    held = join_holds([Hold((), cover=Cover.OBJECT), Hold(())])
    assert held is not None
    assert held.cover is Cover.EXACT
