# SPDX-License-Identifier: Apache-2.0
"""Messages for Slack's incoming webhooks: `text` and Block Kit, everything as `plain_text`, a button that is a link.

Source: Slack, "Sending messages using incoming webhooks", "Reference: Block Kit" (2025). Bounds there: header 150
characters, a field of a section 2,000, ten fields, a text of a section 3,000.
"""

from __future__ import annotations

import re
from typing import Final

from gatebook.evidence.entry import Value, encode_canonical
from gatebook.notify.events import Notice
from gatebook.notify.words import Telling, tell

FIELDS: Final = 10
FIELD_CHARACTERS: Final = 2000
BUTTON: Final = "Open in the console"
_CUT_ENTITY: Final = re.compile(r"&[a-z]{0,3}$")


def body_of(notice: Notice, *, include_text: bool = False) -> bytes:
    """Return the body of a notice."""
    told = tell(notice, include_text=include_text)
    fields: list[Value] = [_plain(f"{name}: {value}") for name, value in told.facts]
    sections: list[dict[str, Value]] = [
        {"type": "section", "fields": fields[begin : begin + FIELDS]} for begin in range(0, len(fields), FIELDS)
    ]
    if notice.link:
        sections[0]["accessory"] = {"type": "button", "text": _plain(BUTTON), "url": notice.link}
    header: Value = {"type": "header", "text": _plain(told.title)}
    return encode_canonical(
        {
            "text": _summary(told),
            "mrkdwn": False,
            "unfurl_links": False,
            "unfurl_media": False,
            "blocks": [header, *sections],
        }
    )


def escape(text: str) -> str:
    """Return text in which Slack finds no mention, link or entity: it takes only `<...>` and `&...;` for such."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _summary(told: Telling) -> str:
    """What a notification of a telephone shows."""
    facts = dict(told.facts)
    where = facts.get("where", f"gate {facts['gate']}")
    return escape(f"{told.title}: {where}" + (f", request {facts['request']}" if "request" in facts else ""))


def _plain(text: str) -> dict[str, Value]:
    whole = _CUT_ENTITY.sub("", escape(text)[:FIELD_CHARACTERS])
    return {"type": "plain_text", "text": whole, "emoji": False}
