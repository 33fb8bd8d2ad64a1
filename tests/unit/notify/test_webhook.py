# SPDX-License-Identifier: Apache-2.0
"""Signed webhooks: the signature as the libraries of Standard Webhooks check it, and a body of what may leave."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from support.asked import NOW, REQUEST, vote

from gatebook.config.notify import Event
from gatebook.model.approval import Kind
from gatebook.model.secret import Secret
from gatebook.notify import webhook
from gatebook.notify.events import Notice
from gatebook.notify.webhook import SecretFault, body_of, headers_of, parse_secret, sign

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NOTICE = Notice(Event.REQUESTED, NOW, "gate", "https://console.example/approvals/apr_1", REQUEST)


def body(notice: Notice = NOTICE, *, include_text: bool = False) -> dict[str, Any]:
    return dict(json.loads(body_of(notice, include_text=include_text)))


def test_the_signature_is_that_of_the_published_example() -> None:
    made = sign([parse_secret(Secret(WHSEC))], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_library_of_standard_webhooks_verifies_what_is_sent() -> None:
    content = body_of(NOTICE)
    keys = [parse_secret(Secret(OTHER)), parse_secret(Secret(WHSEC))]
    headers = headers_of(keys, NOTICE.id, int(time.time()), content)
    for secret in (WHSEC, OTHER):  # while a secret is changed, both are good
        assert Webhook(secret).verify(content, headers) == json.loads(content)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(bytes(32)).decode()).verify(content, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(WHSEC).verify(content.replace(b"apr_1", b"apr_2"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(WHSEC).verify(content, headers | {"webhook-id": "msg_other"})
    with pytest.raises(WebhookVerificationError):
        Webhook(WHSEC).verify(content, headers_of(keys, NOTICE.id, int(time.time()) - 600, content))


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ=", "whsec_!!!!", "whsec_" + "A" * 100, "whsec_A"],
)
def test_a_secret_of_another_form_is_refused_and_not_told(secret: str) -> None:
    with pytest.raises(SecretFault) as caught:
        parse_secret(Secret(secret))
    assert "c2hvcnQ" not in caught.value.message
    assert "MfKQ9" not in caught.value.message


def test_a_body_says_what_is_asked_and_no_text() -> None:
    told = body()
    assert (told["type"], told["timestamp"]) == ("approval.requested", "2026-11-25T12:00:00.000001Z")
    assert told["data"].keys() == {"gate", "link", "request", "verbs", "objects"}
    assert told["data"]["objects"] == [["update", "Relation:shop.db.public.things"]]
    assert told["data"]["verbs"] == ["UPDATE"]
    assert told["data"]["link"] == "https://console.example/approvals/apr_1"
    assert told["data"]["request"]["who"] == {"iss": "gatebook:gate", "sub": "bot"}
    assert told["data"]["request"]["state"] == "pending"
    assert b"SET price" not in body_of(NOTICE)


def test_text_is_told_where_it_is_asked_for() -> None:
    told = body(include_text=True)["data"]
    assert (told["text"], told["params"]) == ("UPDATE things SET price = $1", [{"text": "7"}, {"null": True}])


def test_a_role_has_minutes_and_a_reminder_its_number() -> None:
    role = replace(REQUEST, kind=Kind.BREAK_GLASS, shown='{"role":"fix"}', minutes=15, votes=(vote(),))
    told = body(Notice(Event.GLASS_UNREVIEWED, NOW, "gate", "", role, 3), include_text=True)["data"]
    assert (told["minutes"], told["number"], told["verbs"], told["objects"]) == (15, 3, [], [])
    assert "link" not in told
    assert "text" not in told
    assert told["request"]["votes"][0]["reason"] == "my words"


def test_a_test_is_about_nothing() -> None:
    assert body(Notice(Event.TEST, NOW, "gate", "https://console.example"))["data"] == {
        "gate": "gate",
        "link": "https://console.example",
    }


def test_what_does_not_fit_is_cut_and_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    many = json.dumps(
        {"accesses": [["read", f"Relation:t{i}", ""] for i in range(150)], "verbs": ["SELECT"], "text": "x"}
    )
    told = body(replace(NOTICE, request=replace(REQUEST, shown=many)), include_text=True)["data"]
    assert (len(told["objects"]), told["cut"], told["text"]) == (100, True, "x")
    monkeypatch.setattr(webhook, "MAX_BODY_BYTES", 1000)
    assert "text" not in body(replace(NOTICE, request=replace(REQUEST, shown=many)), include_text=True)["data"]
