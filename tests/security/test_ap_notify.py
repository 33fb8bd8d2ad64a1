# SPDX-License-Identifier: Apache-2.0
"""Messages to chats and webhooks under whoever asks with hostile words: nothing acts, and nothing that comes back does.

The console and votes have tests of their own; here it is what leaves.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.asked import NOW, PRINCIPAL, REQUEST
from support.receiver import siem

from gatebook.config.notify import Event, SlackSettings, TeamsSettings, WebhookSettings
from gatebook.config.secrets import SecretRef
from gatebook.model.approval import Request
from gatebook.model.principal import Subject
from gatebook.notify import slack, teams, webhook
from gatebook.notify.events import Notice
from gatebook.notify.outbox import Message
from gatebook.serve.notify_posts import Came, make_post

LINK = "https://console.example/approvals/apr_1"
ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (
    "<!channel> <@U012AB3CD> <#C1> <!subteam^S1> <!here|here>",
    "<https://evil.example|Open in the console>",
    "[Open in the console](https://evil.example/approve)",
    "![x](https://evil.example/pixel.png) <at>everybody</at> <img src=x>",
    "*bold* _it_ ~no~ `code` ``` fence ``` > quote\n# head\n* list",
    "harmless\u202e;SGNIHT ELBAT PORD\u202c",
    "line one\nrequest: apr_forged\r\napprovers: nobody",
    "a\u200bb\ufeff\u2066c\x1b[31m\x00",
    "&lt;!channel&gt; &amp; &#60;",
    "https://evil.example/" + "x" * 10_000,
    ":rotating_light: @channel @here @everyone",
)


def hostile(words: str) -> Request:
    """A request in which everything that its asker may choose is hostile."""
    shown = {
        "accesses": [["update", f"Relation:{words}", ""]] * 9,
        "params": [{"text": words}],
        "text": words,
        "verbs": ["UPDATE"],
    }
    principal = replace(PRINCIPAL, subject=Subject("https://idp.example", words), owner=Subject(words, words))
    return replace(REQUEST, principal=principal, reason=words, why=words, shown=json.dumps(shown))


def strings(value: object) -> Iterator[str]:
    """Every string of a message."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from strings(one)


def of_slack(words: str) -> dict[str, Any]:
    return dict(
        json.loads(slack.body_of(Notice(Event.REQUESTED, NOW, "gate", LINK, hostile(words)), include_text=True))
    )


def of_teams(words: str) -> dict[str, Any]:
    return dict(
        json.loads(teams.body_of(Notice(Event.REQUESTED, NOW, "gate", LINK, hostile(words)), include_text=True))
    )


@pytest.mark.parametrize("words", HOSTILE)
def test_ap_09_nothing_that_an_agent_says_acts_in_slack(words: str) -> None:
    told = of_slack(words)
    for text in strings(told):
        assert "<" not in text
        assert ">" not in text
        assert re.fullmatch(r"(?:[^&]|&(?:amp|lt|gt);)*", text)
        assert text.isprintable()
        assert len(text) <= 2000
        if text != LINK:
            assert "://" not in text
    kinds = {block["text"]["type"] for block in told["blocks"] if "text" in block}
    kinds |= {field["type"] for block in told["blocks"] for field in block.get("fields", [])}
    assert kinds == {"plain_text"}
    assert told["mrkdwn"] is False
    assert [text for text in strings(told) if text.startswith("request: ")] == ["request: apr_1"]


@pytest.mark.parametrize("words", HOSTILE)
def test_ap_09_nothing_that_an_agent_says_acts_in_teams(words: str) -> None:
    (attachment,) = of_teams(words)["attachments"]
    card = attachment["content"]
    blocks = [block for block in card["body"] if block["type"] != "RichTextBlock"]
    assert [block["text"] for block in blocks] == ["Approval is needed"]  # what Markdown is read in has our words only
    assert set(card) == {"$schema", "type", "version", "fallbackText", "body", "actions"}  # no `msteams.entities`
    for text in strings(card["body"]):
        assert text.isprintable()
        assert "](" not in text
        assert "://" not in text
        assert not re.search(r"<[A-Za-z/!]", text)
        assert len(text) <= 2000
    assert card["actions"] == [{"type": "Action.OpenUrl", "title": "Open in the console", "url": LINK}]


def test_ap_09_what_is_cut_says_so_and_all_of_it_is_behind_the_link() -> None:
    words = "SELECT 1;" * 5000
    for told in (of_slack(words), of_teams(words)):
        texts = list(strings(told))
        assert any("(44,700 more characters)" in text for text in texts)
        assert LINK in texts
        assert any("11111111" in text for text in texts)  # the digest's first digits, to compare there


@pytest.mark.parametrize("words", HOSTILE)
def test_ap_09_a_webhook_has_the_words_as_data_and_forges_no_member(words: str) -> None:
    notice = Notice(Event.REQUESTED, NOW, "gate", LINK, hostile(words))
    told = json.loads(webhook.body_of(notice, include_text=True))
    assert (told["type"], told["data"]["link"], told["data"]["request"]["request"]) == (
        "approval.requested",
        LINK,
        "apr_1",
    )
    assert told["data"]["text"] == words
    assert b"\n" not in webhook.body_of(notice, include_text=True)


def test_ap_09_statements_stay_inside_where_nobody_asked_for_them() -> None:
    planted = hostile("planted-literal")
    planted = replace(
        planted, principal=PRINCIPAL, reason="", why="", shown=planted.shown.replace("Relation:planted-literal", "t")
    )
    notice = Notice(Event.REQUESTED, NOW, "gate", LINK, planted)
    for body in (webhook.body_of(notice), slack.body_of(notice), teams.body_of(notice)):
        assert b"planted-literal" not in body
    url = SecretRef("env", "URL")
    assert not WebhookSettings(name="a", url="https://x", secret=url).include_text
    assert not SlackSettings(name="a", url=url).include_text
    assert not TeamsSettings(name="a", url=url).include_text


def test_ap_09_there_is_nothing_to_call_back() -> None:
    servers = {
        "start_server",
        "create_server",
        "start_http_server",
        "HTTPServer",
        "ThreadingHTTPServer",
        "listen",
        "bind",
    }
    parts = [*(ROOT / "src/gatebook/notify").glob("*.py"), *(ROOT / "src/gatebook/serve").glob("notif*.py")]
    parts.append(ROOT / "src/gatebook/serve/posting.py")
    assert len(parts) >= 10
    for path in parts:
        names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        names |= {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert not names & servers, path.name


def test_ap_09_an_answer_leads_nowhere(tmp_path: Path) -> None:
    async def send() -> Came:
        post = make_post(SlackSettings(name="ops", url=SecretRef("file", "url")), tmp_path)
        try:
            return (await post.send(Message("ops", "msg_1", is_urgent=False, made_at=NOW, body=b"{}"))).came
        finally:
            await post.close()

    with siem() as receiver:
        (tmp_path / "url").write_text(receiver.url)
        receiver.told.answer = 302  # to an address that nobody configured
        assert asyncio.run(send()) is Came.LATER
        assert [request["path"] for request in receiver.told.requests] == ["/in"]
