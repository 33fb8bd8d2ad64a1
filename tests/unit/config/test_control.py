# SPDX-License-Identifier: Apache-2.0
"""The console in the configuration: addresses that browsers trust, and providers that say who somebody is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import ConfigFault, ControlSettings, parse_settings

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
[[control.issuer]]
name = "idp"
url = "https://issuer.example"
client_id = "gatebook-console"
"""
TLS = 'tls_certificate = "a.crt"\ntls_key = "file:a.key"\n'


def read(text: str) -> ControlSettings:
    return parse_settings((HEAD + text).encode(), Path("/gate/gatebook.toml")).control


def wrong(text: str) -> str:
    """What is wrong with a configuration, or nothing."""
    try:
        read(text)
    except ConfigFault as fault:
        return fault.message
    return ""


def test_is_on_this_machine_where_nothing_is_said() -> None:
    control = read("")
    assert (control.host, control.port, control.origin) == ("127.0.0.1", 5480, "http://localhost:5480")
    assert (control.rp_id, control.is_https, control.issuers) == ("localhost", False, ())


def test_has_its_address_from_its_port() -> None:
    assert read("[control]\nport = 6001\n").origin == "http://localhost:6001"


def test_passkeys_are_made_for_the_host_of_its_address() -> None:
    control = read(f'[control]\nhost = "0.0.0.0"\nurl = "https://console.example.com:8443"\n{TLS}')
    assert (control.rp_id, control.is_https) == ("console.example.com", True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('url = "console.example.com"', "must be scheme, host name"),
        (f'url = "https://console.example.com/path"\n{TLS}', "must be scheme, host name"),
        (f'url = "https://somebody@console.example.com"\n{TLS}', "must be scheme, host name"),
        (f'url = "https://Console.example.com"\n{TLS}', "must be scheme, host name"),
        (f'url = "https://console.example.com:443"\n{TLS}', "names the port that browsers leave out"),
        ('url = "https://console.example.com:port"', "is no address"),
        ('url = "ftp://localhost"', "must be scheme, host name"),
        ('url = "http://console.example.com"', "is for `localhost` only"),
        ('url = "http://127.0.0.1:5480"', "is for `localhost` only"),
        ('url = "https://console.example.com"', "needs `tls_certificate` and `tls_key`"),
        (f'url = "http://localhost:5480"\n{TLS}', "is for listening on loopback without a certificate"),
        ('host = "0.0.0.0"', "is for listening on loopback without a certificate"),
        ('url = "https://a.example"\nhost = "0.0.0.0"\ninsecure_behind_proxy = true', "is for listening on loopback"),
        (f'url = "https://a.example"\ninsecure_behind_proxy = true\n{TLS}', "is for listening on loopback"),
        ('url = "https://a.example"\ntls_certificate = "a.crt"', "needs both"),
        ("session_s = 1", "from 60 to"),
        ("sesion_s = 600", "is not a setting"),
    ],
)
def test_refuses_what_browsers_or_people_should_not_meet(text: str, words: str) -> None:
    assert words in wrong(f"[control]\n{text}\n")


def test_stands_behind_a_proxy_of_this_machine_by_a_dangerous_name() -> None:
    assert wrong('[control]\nurl = "https://a.example"\ninsecure_behind_proxy = true\n') == ""


def test_takes_a_provider_with_the_defaults_of_the_standard() -> None:
    (issuer,) = read(ISSUER).issuers
    assert (issuer.scopes, issuer.client_secret) == (("openid",), None)
    assert issuer.algorithms == ("RS256", "PS256", "ES256", "EdDSA")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ISSUER.replace("https:", "http:"), "must be `https://host/path`"),
        (ISSUER + ISSUER.replace('"idp"', '"other"'), "is that of another issuer"),
        (ISSUER + ISSUER.replace("issuer.example", "other.example"), "is there twice"),
        (ISSUER + 'scopes = ["profile"]', "must hold `openid`"),
        (ISSUER + 'scopes = ["openid", "a b"]', "must be scopes of OAuth"),
        (ISSUER + "algorithms = []", "must not be empty"),
        (ISSUER + 'client_secret = "of the console"', "must say where the secret is"),
    ],
)
def test_refuses_a_provider_that_cannot_be_trusted(text: str, words: str) -> None:
    assert words in wrong(text)


def test_no_gate_has_the_name_of_its_journal() -> None:
    head = HEAD.replace("[gate]", '[gate]\nname = "control"')
    with pytest.raises(ConfigFault, match="the journal of the console"):
        parse_settings(head.encode(), Path("/gate/gatebook.toml"))
