# SPDX-License-Identifier: Apache-2.0
"""Messages for Workflows of Microsoft Teams: an Adaptive Card 1.4 whose button is a link.

Source: Microsoft, "Create incoming webhooks with Workflows", "Adaptive Cards schema 1.4" (2025). Bound there: 28 KB for
a message. Facts are `TextRun`, in which markup has no effect; a `TextBlock` would read Markdown.
"""

from __future__ import annotations

import re
from typing import Final

from gatebook.evidence.entry import Value, encode_canonical
from gatebook.notify.events import Notice
from gatebook.notify.words import tell

CONTENT_TYPE: Final = "application/vnd.microsoft.card.adaptive"
SCHEMA: Final = "http://adaptivecards.io/schemas/adaptive-card.json"
BUTTON: Final = "Open in the console"
_TAG: Final = re.compile(r"<(?=[A-Za-z/!?])")


def body_of(notice: Notice, *, include_text: bool = False) -> bytes:
    """Return the body of a notice."""
    told = tell(notice, include_text=include_text)
    title: dict[str, Value] = {"type": "TextBlock", "text": told.title, "size": "Large", "weight": "Bolder"}
    title["wrap"] = True
    if notice.is_urgent:
        title["color"] = "Attention"
    facts: list[Value] = [_fact(name, value) for name, value in told.facts]
    card: dict[str, Value] = {
        "$schema": SCHEMA,
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": told.title,
        "body": [title, *facts],
    }
    if notice.link:
        card["actions"] = [{"type": "Action.OpenUrl", "title": BUTTON, "url": notice.link}]
    return encode_canonical({"type": "message", "attachments": [{"contentType": CONTENT_TYPE, "content": card}]})


def escape(text: str) -> str:
    """Return text in which no reader finds the beginning of a tag, such as `<at>`."""
    return _TAG.sub("< ", text)


def _fact(name: str, value: str) -> Value:
    runs: list[Value] = [
        {"type": "TextRun", "text": f"{name}: ", "weight": "Bolder"},
        {"type": "TextRun", "text": escape(value)},
    ]
    return {"type": "RichTextBlock", "inlines": runs}
