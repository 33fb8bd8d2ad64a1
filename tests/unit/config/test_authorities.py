# SPDX-License-Identifier: Apache-2.0
"""Certificate authorities in the configuration: none speaks for another, and none is there that nobody asks about."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import ConfigFault, Settings, parse_settings

HEAD = """
[gate]
data = "data"
tls_certificate = "server.crt"
tls_key = "file:server.key"

[evidence]
recording_key = "env:KEY"

[policy]
folder = "policies"
"""
WORKLOADS = """
[[certificate_authority]]
name = "workloads"
kind = "agent"
roots = "workloads.pem"
subject = "spiffe"
trust_domain = "prod.example"
"""
MACHINES = """
[[certificate_authority]]
name = "machines"
kind = "agent"
roots = "machines.pem"
subject = "dns"
"""
PLAIN = HEAD.replace('tls_certificate = "server.crt"\ntls_key = "file:server.key"', "insecure_plaintext = true")
BOTH = HEAD.replace("[gate]", "[gate]\ninsecure_plaintext = true")
REQUIRED = 'client_certificates = "required"'


def parse(text: str) -> Settings:
    return parse_settings(text.encode(), Path("/gate/gatebook.toml"))


def test_authorities_are_taken_with_a_bound_on_lifetimes() -> None:
    settings = parse(HEAD.replace("[gate]", f"[gate]\n{REQUIRED}") + WORKLOADS + MACHINES)
    assert [one.name for one in settings.authorities] == ["workloads", "machines"]
    assert settings.authorities[0].lifetime_s == 31_622_400
    assert settings.authorities[1].roots == Path("/gate/machines.pem")
    assert parse(HEAD).gate.client_certificates == "optional"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (HEAD.replace("[gate]", f"[gate]\n{REQUIRED}"), "gatebook.toml:3: `gate.client_certificates` needs a"),
        (BOTH.replace("[gate]", f"[gate]\n{REQUIRED}") + MACHINES, "`gate.client_certificates` is `required`, but"),
        (PLAIN + MACHINES, "`certificate_authority[1]` needs a gate with `tls_certificate`"),
        (HEAD + MACHINES + 'trust_domain = "x"', "`certificate_authority[1].trust_domain` is for `subject"),
        (HEAD + WORKLOADS.replace("prod.example", "spiffe://prod.example"), "must be 1 to 255 of"),
        (HEAD + WORKLOADS.replace('trust_domain = "prod.example"', ""), "must be 1 to 255 of"),
        (
            HEAD + WORKLOADS + WORKLOADS.replace('"workloads"', '"twin"'),
            "`certificate_authority[2].trust_domain` is that",
        ),
        (HEAD + MACHINES.replace('"dns"', '"email"'), "must be one of `spiffe`, `dns`, `cn`"),
        (HEAD + MACHINES * 2, "`certificate_authority[2].name` is there twice"),
    ],
)
def test_what_could_let_the_wrong_one_in_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(ConfigFault) as raised:
        parse(text)
    assert wrong in raised.value.message
