# SPDX-License-Identifier: Apache-2.0
"""Messages for Microsoft Teams: an Adaptive Card in which only our own words may have a form."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from support.asked import NOW, REQUEST

from gatebook.config.notify import Event
from gatebook.notify.events import Notice
from gatebook.notify.teams import body_of, escape

LINK = "https://console.example/approvals/apr_1"


def card(notice: Notice, *, include_text: bool = False) -> dict[str, Any]:
    told = json.loads(body_of(notice, include_text=include_text))
    assert told["type"] == "message"
    (attachment,) = told["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    return dict(attachment["content"])


def test_a_card_has_a_title_facts_and_an_action_that_is_a_link() -> None:
    told = card(Notice(Event.REQUESTED, NOW, "gate", LINK, REQUEST))
    assert (told["type"], told["version"]) == ("AdaptiveCard", "1.4")
    assert told["actions"] == [{"type": "Action.OpenUrl", "title": "Open in the console", "url": LINK}]
    title, *facts = told["body"]
    assert (title["type"], title["text"]) == ("TextBlock", "Approval is needed")
    assert "color" not in title
    assert {fact["type"] for fact in facts} == {"RichTextBlock"}
    runs = [[run["text"] for run in fact["inlines"]] for fact in facts]
    assert ["who asks: ", "gatebook:gate|bot"] in runs
    assert {run["type"] for fact in facts for run in fact["inlines"]} == {"TextRun"}


def test_broken_glass_stands_out_and_a_card_without_link_has_no_action() -> None:
    told = card(Notice(Event.GLASS_BROKEN, NOW, "gate", "", REQUEST))
    assert told["body"][0]["color"] == "Attention"
    assert "actions" not in told


def test_what_could_begin_a_tag_does_not() -> None:
    assert escape("<at>all</at> 1<2 <!--") == "< at>all< /at> 1<2 < !--"


def test_a_card_is_below_the_bound_of_teams_whatever_is_asked() -> None:
    shown = json.dumps({"accesses": [["read", "<" * 5000, ""]] * 100, "text": "\u202e" * 20_000, "verbs": ["<"] * 100})
    notice = Notice(Event.REQUESTED, NOW, "gate", LINK, replace(REQUEST, shown=shown, reason="é" * 1024))
    assert len(body_of(notice, include_text=True)) < 28 << 10
