# SPDX-License-Identifier: Apache-2.0
"""Vaults for recording keys in the configuration: what is refused, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import ConfigFault, SecretRef, Settings, parse_settings

HEAD = """\
[gate]
data = "data"
insecure_plaintext = true

[policy]
folder = "policies"

[evidence]
"""
VAULT = """
[[evidence.vault]]
name = "main"
url = "https://vault.example:8200"
key = "recordings"
token = "file:vault.token"
"""


def parse(keys: str, vault: str = VAULT) -> Settings:
    return parse_settings((HEAD + keys + vault).encode(), Path("gatebook.toml"))


def test_reads_a_vault_and_older_keys() -> None:
    evidence = parse('recording_key = "vault:main"\nolder_recording_keys = ["file:old.key", "env:OLDER"]').evidence
    assert evidence.recording_key == SecretRef("vault", "main")
    assert evidence.older_recording_keys == (SecretRef("file", "old.key"), SecretRef("env", "OLDER"))
    (vault,) = evidence.vaults
    assert (vault.name, vault.mount, vault.namespace, vault.tls_roots) == ("main", "transit", "", None)


@pytest.mark.parametrize(
    ("keys", "vault", "words"),
    [
        ('recording_key = "vault:other"', VAULT, "`evidence.recording_key` names no vault that is configured"),
        ('recording_key = "vault:main"', "", "`evidence.recording_key` names no vault that is configured"),
        (
            'recording_key = "env:A"\nolder_recording_keys = ["vault:other"]',
            VAULT,
            "`evidence.older_recording_keys[1]` names no vault that is configured",
        ),
        ('recording_key = "env:A"\nolder_recording_keys = ["env:A"]', VAULT, "is the current `recording_key`"),
        ('recording_key = "env:A"\nolder_recording_keys = "env:A"', VAULT, "must be an array of references"),
        ('recording_key = "env:A"\nolder_recording_keys = ["0011"]', VAULT, "never be the secret itself"),
        ('recording_key = "env:A"', VAULT.replace("https", "http"), "must be `https://host:port`"),
        ('recording_key = "env:A"', VAULT.replace("vault.example", "user@vault"), "must be `https://host:port`"),
        ('recording_key = "env:A"', VAULT.replace("file:vault.token", "vault:main"), "cannot be in a vault itself"),
        ('recording_key = "env:A"', VAULT.replace('"recordings"', '"../sys"'), "must be 1 to 200 of"),
        ('recording_key = "env:A"', VAULT + 'mount = "a//b"\n', "must be 1 to 200 of"),
        ('recording_key = "env:A"', VAULT + VAULT, "is there twice"),
    ],
)
def test_refuses(keys: str, vault: str, words: str) -> None:
    with pytest.raises(ConfigFault) as caught:
        parse(keys, vault)
    assert words in caught.value.message


def test_takes_an_agent_on_loopback() -> None:
    agent = VAULT.replace("https://vault.example:8200", "http://127.0.0.1:8100") + "insecure_loopback = true\n"
    assert parse('recording_key = "vault:main"', agent).evidence.vaults[0].insecure_loopback
