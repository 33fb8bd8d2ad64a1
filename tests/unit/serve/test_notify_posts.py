# SPDX-License-Identifier: Apache-2.0
"""Receivers of notifications: what each is sent, and what its answer means."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook
from support.asked import NOW, REQUEST
from support.receiver import CUT, Siem, siem

from gatebook.config.notify import Event, ReceiverSettings, SlackSettings, TeamsSettings, WebhookSettings
from gatebook.config.secrets import SecretRef
from gatebook.notify.events import Notice
from gatebook.notify.outbox import Message
from gatebook.serve.notify_posts import Came, Outcome, body_of, kind_of, make_post
from gatebook.serve.posting import Answer

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOTICE = Notice(Event.REQUESTED, NOW, "gate", "", REQUEST)


@pytest.fixture
def running() -> Iterator[Siem]:
    with siem() as made:
        yield made


def send(receiver: ReceiverSettings, folder: Path) -> Outcome:
    message = Message(receiver.name, NOTICE.id, is_urgent=False, made_at=NOW, body=body_of(receiver, NOTICE))

    async def work() -> Outcome:
        post = make_post(receiver, folder)
        try:
            return await post.send(message)
        finally:
            await post.close()

    return asyncio.run(work())


def pager(url: str, *, older: bool = False) -> WebhookSettings:
    older_secret = SecretRef("file", "older") if older else None
    return WebhookSettings(name="pager", url=url, secret=SecretRef("file", "secret"), older_secret=older_secret)


def test_a_webhook_is_signed_at_the_time_of_the_attempt(running: Siem, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("whsec_" + "A" * 32)
    (tmp_path / "older").write_text(WHSEC + "\n")
    assert send(pager(running.url, older=True), tmp_path) == Outcome(Came.TAKEN)
    (request,), (line,) = running.told.requests, running.told.lines
    assert request["content-type"] == "application/json"
    assert request["webhook-id"] == NOTICE.id
    for secret in (WHSEC, "whsec_" + "A" * 32):
        assert Webhook(secret).verify(line, request)["type"] == "approval.requested"


def test_a_secret_that_is_not_there_or_has_no_form_is_tried_later(running: Siem, tmp_path: Path) -> None:
    outcome = send(pager(running.url), tmp_path)
    assert (outcome.came, "cannot be read" in outcome.words) == (Came.LATER, True)
    (tmp_path / "secret").write_text("planted")
    outcome = send(pager(running.url), tmp_path)
    assert outcome.came is Came.LATER
    assert "planted" not in outcome.words
    assert running.told.requests == []


def test_chats_are_posted_to_their_secret_address(running: Siem, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(running.url + "?sig=planted")
    for kind in (SlackSettings, TeamsSettings):
        assert send(kind(name="ops", url=SecretRef("file", "url")), tmp_path).came is Came.TAKEN
    assert [request["path"] for request in running.told.requests] == ["/in?sig=planted"] * 2
    assert "webhook-signature" not in running.told.requests[0]
    assert [sorted(record) for record in running.told.kept][1] == ["attachments", "type"]


def test_an_address_that_is_not_safe_is_not_posted_to_and_not_told(running: Siem, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("http://planted.example/services")
    outcome = send(SlackSettings(name="ops", url=SecretRef("file", "url")), tmp_path)
    assert outcome == Outcome(Came.LATER, "what file:url holds is no `https://` address")
    running.told.answer = CUT
    (tmp_path / "url").write_text(running.url + "?sig=planted")
    assert "planted" not in send(SlackSettings(name="ops", url=SecretRef("file", "url")), tmp_path).words


@pytest.mark.parametrize(
    ("answer", "came", "retry_after_s"),
    [
        (Answer(200), Came.TAKEN, 0.0),
        (Answer(204), Came.TAKEN, 0.0),
        (Answer(302), Came.LATER, 0.0),
        (Answer(400), Came.REFUSED, 0.0),
        (Answer(403), Came.LATER, 0.0),
        (Answer(404), Came.LATER, 0.0),
        (Answer(410), Came.GONE, 0.0),
        (Answer(413), Came.REFUSED, 0.0),
        (Answer(429, 9.0), Came.LATER, 9.0),
        (Answer(500, 9.0), Came.LATER, 0.0),
        (Answer(503, 9.0), Came.LATER, 9.0),
    ],
)
def test_an_answer_means_taken_later_never_or_no_more(answer: Answer, came: Came, retry_after_s: float) -> None:
    from gatebook.serve.notify_posts import outcome_of

    outcome = outcome_of(answer)
    assert (outcome.came, outcome.retry_after_s) == (came, retry_after_s)
    assert (outcome.words == "") is (came is Came.TAKEN)


def test_each_kind_has_its_form_and_word() -> None:
    url = SecretRef("env", "URL")
    kinds: list[tuple[ReceiverSettings, str, str]] = [
        (pager("https://x"), "webhook", "data"),
        (SlackSettings(name="a", url=url), "slack", "blocks"),
        (TeamsSettings(name="b", url=url), "teams", "attachments"),
    ]
    for receiver, word, member in kinds:
        assert kind_of(receiver) == word
        assert member in json.loads(body_of(receiver, NOTICE))
