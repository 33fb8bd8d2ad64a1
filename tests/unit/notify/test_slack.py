# SPDX-License-Identifier: Apache-2.0
"""Messages for Slack: the documented form, within its bounds, and nothing in it that Slack would act on."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from support.asked import NOW, REQUEST

from gatebook.config.notify import Event
from gatebook.notify.events import Notice
from gatebook.notify.slack import body_of, escape

LINK = "https://console.example/approvals/apr_1"


def sent(notice: Notice, *, include_text: bool = False) -> dict[str, Any]:
    return dict(json.loads(body_of(notice, include_text=include_text)))


def test_a_message_has_a_header_facts_and_a_button_that_is_a_link() -> None:
    told = sent(Notice(Event.REQUESTED, NOW, "gate", LINK, REQUEST))
    assert told["text"] == "Approval is needed: shop/db as writer, request apr_1"
    assert (told["mrkdwn"], told["unfurl_links"], told["unfurl_media"]) == (False, False, False)
    header, first, *rest = told["blocks"]
    assert header == {"type": "header", "text": {"type": "plain_text", "text": "Approval is needed", "emoji": False}}
    assert first["accessory"] == {
        "type": "button",
        "text": {"type": "plain_text", "text": "Open in the console", "emoji": False},
        "url": LINK,
    }
    sections = [first, *rest]
    assert all(section["type"] == "section" and 1 <= len(section["fields"]) <= 10 for section in sections)
    texts = [field["text"] for section in sections for field in section["fields"]]
    assert {field["type"] for section in sections for field in section["fields"]} == {"plain_text"}
    assert "where: shop/db as writer" in texts
    assert "digest: 11111111" in texts


def test_a_message_without_a_link_has_no_button() -> None:
    told = sent(Notice(Event.TEST, NOW, "gate"))
    assert "accessory" not in told["blocks"][1]
    assert told["text"] == "Test: messages of this gate arrive here: gate gate"


def test_what_slack_takes_for_commands_is_escaped() -> None:
    assert escape("<!channel> <@U1> a&b") == "&lt;!channel&gt; &lt;@U1&gt; a&amp;b"


def test_bounds_of_slack_hold_whatever_is_asked() -> None:
    shown = json.dumps({"accesses": [["read", "<" * 5000, ""]] * 100, "text": "<&>" * 20_000, "verbs": ["<"] * 100})
    told = sent(
        Notice(Event.REQUESTED, NOW, "gate", LINK, replace(REQUEST, shown=shown, reason="&" * 1024)), include_text=True
    )
    texts = [field["text"] for block in told["blocks"][1:] for field in block["fields"]]
    assert max(map(len, texts)) <= 2000
    assert not any("<" in text or ">" in text for text in texts)
    assert not any(text.rsplit("&", 1)[-1] in {"", "a", "am", "amp", "l", "lt", "g", "gt"} for text in texts)
