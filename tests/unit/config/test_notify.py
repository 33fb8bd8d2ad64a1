# SPDX-License-Identifier: Apache-2.0
"""Notifications in the configuration: receivers that can be trusted, names that are free, addresses that are secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import ConfigFault, SecretRef, Settings, parse_settings
from gatebook.config.notify import is_postable

HEAD = """
[gate]
name = "gate"
data = "data"
insecure_plaintext = true

[evidence]
recording_key = "env:KEY"

[policy]
folder = "policies"
"""
WEBHOOK = '[[notify.webhook]]\nname = "pager"\nurl = "https://pager.example/in"\nsecret = "file:pager.secret"\n'


def parsed(text: str) -> Settings:
    return parse_settings((HEAD + text).encode(), Path("/gate/gatebook.toml"))


def fault(text: str) -> str:
    with pytest.raises(ConfigFault) as caught:
        parsed(text)
    return caught.value.message


def test_receivers_of_each_kind_are_read_with_their_defaults() -> None:
    notify = parsed(
        WEBHOOK
        + '[[notify.slack]]\nname = "ops"\nurl = "env:SLACK_URL"\ngroups = ["dba"]\nevents = ["glass.broken"]\n'
        + '[[notify.teams]]\nname = "team"\nurl = "env:TEAMS_URL"\ninclude_text = true\n'
    ).notify
    assert [one.name for one in notify.receivers] == ["pager", "ops", "team"]
    (pager,), (ops,), (team,) = notify.webhooks, notify.slack, notify.teams
    assert (pager.url, pager.secret) == ("https://pager.example/in", SecretRef("file", "pager.secret"))
    assert (pager.older_secret, pager.groups, pager.events, pager.include_text) == (None, (), (), False)
    assert (ops.url, ops.groups, ops.events) == (SecretRef("env", "SLACK_URL"), ("dba",), ("glass.broken",))
    assert team.include_text
    assert (notify.follow, notify.alarm_s) == ("serve", 3600)


def test_nothing_is_told_by_default() -> None:
    assert parsed("").notify.receivers == ()


def test_the_address_of_a_chat_is_a_secret_that_cannot_stand_in_the_file() -> None:
    told = fault('[[notify.slack]]\nname = "ops"\nurl = "https://hooks.slack.example/services/T0/B0/key"\n')
    assert "must say where the address is" in told
    assert "services" not in told


@pytest.mark.parametrize(
    "url", ["http://pager.example/in", "pager.example", "ftp://pager.example", "https://u:p@pager.example"]
)
def test_webhooks_go_over_tls_or_to_this_machine(url: str) -> None:
    assert "`notify.webhook[1].url` must be `https://host/path`" in fault(
        WEBHOOK.replace("https://pager.example/in", url)
    )
    assert not is_postable(url)


@pytest.mark.parametrize("url", ["https://pager.example/in?sig=a%20b&v=1", "http://127.0.0.1:9/in", "http://[::1]:9"])
def test_an_address_may_have_a_query(url: str) -> None:
    assert is_postable(url)
    assert parsed(WEBHOOK.replace("https://pager.example/in", url)).notify.webhooks[0].url == url


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/?x=a b",
        "https://a.example/?x#y",
        "https://a.example/?x=\r\n",
        "https://a.example/" + "x" * 4096,
    ],
)
def test_an_address_that_could_be_read_two_ways_is_refused(url: str) -> None:
    assert not is_postable(url)


def test_names_are_unique_over_all_kinds() -> None:
    assert "is there twice" in fault(WEBHOOK + '[[notify.teams]]\nname = "pager"\nurl = "env:URL"\n')


def test_an_event_that_is_not_there_is_refused() -> None:
    assert "must be one of `approval.requested`" in fault(WEBHOOK + 'events = ["approval.used"]\n')


def test_no_gate_is_called_as_the_journal_of_notifications() -> None:
    with pytest.raises(ConfigFault, match="is the name of the journal of"):
        parse_settings(HEAD.replace('"gate"', '"notify"').encode(), Path("/gate/gatebook.toml"))
