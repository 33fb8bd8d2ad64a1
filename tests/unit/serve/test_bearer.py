# SPDX-License-Identifier: Apache-2.0
"""What clients are told about tokens."""

from __future__ import annotations

import json
from pathlib import Path

from gatebook.config import parse_settings
from gatebook.serve.bearer import bearer_words

CONFIG = """
[gate]
data = "data"
insecure_plaintext = true
login = "oauthbearer"
oauth_issuer = "two"
oauth_scope = "openid gate"

[evidence]
recording_key = "env:KEY"

[policy]
folder = "policies"

[[issuer]]
name = "one"
url = "https://one.example"
kind = "agent"
audience = ["gatebook"]

[[issuer]]
name = "two"
url = "https://two.example/"
kind = "person"
audience = ["gatebook"]
"""


def told(text: str) -> object:
    words = bearer_words(parse_settings(text.encode(), Path("/gate/gatebook.toml")))
    return None if words is None else json.loads(words)


def test_tells_where_a_token_can_be_had() -> None:
    assert told(CONFIG) == {
        "status": "invalid_token",
        "scope": "openid gate",
        "openid-configuration": "https://two.example/.well-known/openid-configuration",
    }


def test_tells_of_the_first_issuer_if_none_is_named() -> None:
    told_of = told(CONFIG.replace('oauth_issuer = "two"\n', "").replace('oauth_scope = "openid gate"\n', ""))
    assert told_of == {
        "status": "invalid_token",
        "scope": "openid",
        "openid-configuration": "https://one.example/.well-known/openid-configuration",
    }


def test_tells_nothing_where_clients_log_in_by_password() -> None:
    assert told(CONFIG.replace('login = "oauthbearer"\n', "")) is None
