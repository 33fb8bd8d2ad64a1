# SPDX-License-Identifier: Apache-2.0
"""What people in a chat are told: few words, made harmless, cut with the number that was left out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.asked import NOW, REQUEST, vote

from gatebook.config.notify import Event
from gatebook.model.approval import Kind, State
from gatebook.notify.events import Notice
from gatebook.notify.words import tame, tell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines", "two\\nlines"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200bb\u00a0c", "a\\u200bb\\xa0c"),
        ("see https://evil.example/x", "see https[:]//evil.example/x"),
        ("[our console](https://evil.example)", "[our console] (https[:]//evil.example)"),
        ("\x1b[2J", "\\x1b[2J"),
    ],
)
def test_words_of_whoever_asks_have_no_effect(text: str, shown: str) -> None:
    assert tame(text, 100) == shown


def test_long_words_are_cut_and_that_is_told() -> None:
    assert tame("x" * 12_345, 10) == "xxxxxxxxxx… (12,335 more characters)"
    assert tame("\u202e" * 100, 20) == "\\u202e\\u202e\\u202e… (97 more characters)"
    assert tame("x" * 10, 10) == "x" * 10


def test_an_operation_is_told_without_its_text() -> None:
    told = tell(Notice(Event.REQUESTED, NOW, "gate", request=replace(REQUEST, votes=(vote(),))))
    assert told.title == "Approval is needed"
    assert dict(told.facts) == {
        "gate": "gate",
        "who asks": "gatebook:gate|bot",
        "on behalf of": "gatebook:gate|robin",
        "where": "shop/db as writer",
        "does": "UPDATE",
        "touches": "update Relation:shop.db.public.things",
        "approvers": "1 of dba",
        "votes": "ana approve",
        "state": "pending",
        "until": "2026-11-25 12:05:00 UTC",
        "request": "apr_1",
        "digest": "11111111",
    }


def test_text_is_told_where_it_is_asked_for() -> None:
    facts = dict(tell(Notice(Event.REQUESTED, NOW, "gate", request=REQUEST), include_text=True).facts)
    assert (facts["statement"], facts["parameters"]) == ("UPDATE things SET price = $1", "7, NULL")


def test_a_role_is_told_with_its_minutes_and_what_its_asker_says() -> None:
    glass = replace(REQUEST, kind=Kind.BREAK_GLASS, shown="{}", database="", minutes=5, state=State.EXPIRED)
    told = tell(
        Notice(Event.GLASS_UNREVIEWED, NOW, "gate", request=replace(glass, reason="down", why="over"), number=2)
    )
    assert told.title == "GLASS BROKEN, and nobody has reviewed it (reminder 2)"
    facts = dict(told.facts)
    assert facts["does"] == "role writer for 5 minutes"
    assert facts["where"] == "shop as writer"
    assert (facts["why"], facts["who asks says (not checked)"]) == ("over", "down")
    assert "until" not in facts


def test_of_many_objects_five_are_named() -> None:
    shown = json.dumps({"accesses": [["read", f"Relation:t{i}", ""] for i in range(7)]})
    facts = dict(tell(Notice(Event.DENIED, NOW, "gate", request=replace(REQUEST, shown=shown))).facts)
    assert facts["touches"].startswith("read Relation:t0, ")
    assert facts["touches"].endswith("read Relation:t4, 2 more")


def test_every_event_has_a_title() -> None:
    titles = {tell(Notice(event, NOW, "gate")).title for event in Event}
    assert len(titles) == len(Event)
