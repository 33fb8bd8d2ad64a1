# SPDX-License-Identifier: Apache-2.0
"""Issuers in the configuration: addresses that keys may come from, and nobody twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import ConfigFault, parse_settings
from gatebook.config.issuers import is_trustworthy

HEAD = """
[gate]
data = "data"
insecure_plaintext = true

[evidence]
recording_key = "env:KEY"

[policy]
folder = "policies"
"""
ISSUER = """
[[issuer]]
name = "idp"
url = "https://issuer.example"
kind = "agent"
audience = ["gatebook"]
"""


def parse(text: str) -> str:
    """What is wrong with a configuration, or nothing."""
    try:
        parse_settings((HEAD + text).encode(), Path("/gate/gatebook.toml"))
    except ConfigFault as fault:
        return fault.message
    return ""


def test_takes_an_issuer_with_the_defaults_of_the_standard() -> None:
    settings = parse_settings((HEAD + ISSUER).encode(), Path("/gate/gatebook.toml"))
    (issuer,) = settings.issuers
    assert issuer.types == ("at+jwt",)
    assert issuer.algorithms == ("RS256", "PS256", "ES256", "EdDSA")
    assert not issuer.one_time


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        ('algorithms = ["HS256"]', "gatebook.toml:17: `issuer[1].algorithms[1]` must be one of"),
        ('algorithms = ["none"]', "must be one of"),
        ("algorithms = []", "gatebook.toml:17: `issuer[1].algorithms` must not be empty"),
        ("types = []", "must not be empty"),
        ('keys_url = "http://issuer.example/keys"', "gatebook.toml:17: `issuer[1].keys_url` must be `https://"),
        ("require = { a = 1 }", "must be a string"),
        ("lifetime_s = 0", "must be a whole number"),
        (ISSUER.replace("idp", "two"), "`issuer[2].url` is that of another issuer"),
        (ISSUER.replace("https://issuer.example", "https://other.example"), "`issuer[2].name` is there twice"),
    ],
)
def test_names_what_is_wrong_with_an_issuer(more: str, wrong: str) -> None:
    assert wrong in parse(ISSUER + more)


def test_an_issuer_must_say_whom_its_tokens_are_for() -> None:
    assert "must name this gate" in parse(ISSUER.replace('["gatebook"]', "[]"))
    assert "needs the setting `audience`" in parse(ISSUER.replace('audience = ["gatebook"]', ""))


def test_a_listener_for_tokens_needs_an_issuer_to_send_clients_to() -> None:
    head = HEAD.replace("[gate]", '[gate]\nlogin = "oauthbearer"')
    with pytest.raises(ConfigFault, match=r"gatebook.toml:3: `gate.login` needs an `\[\[issuer\]\]`"):
        parse_settings(head.encode(), Path("/gate/gatebook.toml"))
    named = head.replace("[gate]", '[gate]\noauth_issuer = "other"') + ISSUER
    with pytest.raises(ConfigFault, match=r"`gate\.oauth_issuer` is no issuer's name"):
        parse_settings(named.encode(), Path("/gate/gatebook.toml"))
    settings = parse_settings((head + ISSUER).encode(), Path("/gate/gatebook.toml"))
    assert settings.oauth_issuer == settings.issuers[0]


def test_id_05_an_issuer_cannot_take_the_name_of_the_gates_own() -> None:
    assert "must be `https://" in parse(ISSUER.replace("https://issuer.example", "gatebook:gate"))


@pytest.mark.parametrize(
    "url",
    [
        "https://issuer.example",
        "https://issuer.example/",
        "https://issuer.example:8443/realms/a%20b",
        "https://127.0.0.1/x",
    ],
)
def test_trusts_addresses_behind_tls(url: str) -> None:
    assert is_trustworthy(url, insecure_loopback=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example",
        "http://localhost",
        "https://",
        "https:issuer.example",
        "https://user@issuer.example",
        "https://issuer.example?x=1",
        "https://issuer.example#x",
        "https://issuer.example|x",
        "https://issuer.example:port",
        "https://[::1",
        "https://isśuer.example",
        "file:///keys",
        "//issuer.example",
        "",
    ],
)
def test_trusts_no_other_addresses(url: str) -> None:
    assert not is_trustworthy(url, insecure_loopback=False)


def test_trusts_plain_http_on_loopback_only_where_that_is_asked_for_by_name() -> None:
    assert is_trustworthy("http://localhost:8080", insecure_loopback=True)
    assert is_trustworthy("http://127.0.0.1", insecure_loopback=True)
    assert not is_trustworthy("http://issuer.example", insecure_loopback=True)
    assert not is_trustworthy("http://localhost.evil.example", insecure_loopback=True)
