# SPDX-License-Identifier: Apache-2.0
"""The settings of the ledger: its name, witnesses and time-stamp authorities."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import ConfigFault, parse_settings

PATH = Path("/etc/gatebook/gatebook.toml")
GATE = """
[gate]
data = "data"
tls_certificate = "server.crt"
tls_key = "file:server.key"

[evidence]
recording_key = "file:recording.key"

[policy]
folder = "policies"
"""
TIMESTAMP = """
[[ledger.timestamp]]
name = "tsa"
url = "http://tsa.example/tsr"
roots = "tsa.pem"
"""
WITNESS = """
[[ledger.witness]]
name = "audit"
url = "https://witness.example/w1"
key = "witness.example/w1+0a1b2c3d+BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""


def test_reads_witnesses() -> None:
    settings = parse_settings((GATE + "[ledger]\nwitness_quorum = 1\n" + WITNESS).encode(), PATH)
    (witness,) = settings.ledger.witnesses
    assert (witness.name, witness.url) == ("audit", "https://witness.example/w1")
    assert settings.ledger.witness_quorum == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ledger]\nwitness_quorum = 2\n" + WITNESS, "is more than the 1 that are configured"),
        (WITNESS.replace("https:", "ftp:"), "is no URL of a witness"),
        (WITNESS.replace("https://witness.example/w1", "https://user@witness.example"), "is no URL of a witness"),
        (WITNESS.replace("+BA", "+AA"), "is no witness's key"),
        (WITNESS + WITNESS, "is there twice"),
        (WITNESS + WITNESS.replace('"audit"', '"other"'), "is there twice"),
    ],
)
def test_refuses_witnesses_that_are_none(text: str, words: str) -> None:
    assert words in fault(GATE + text).message


def fault(text: str) -> ConfigFault:
    with pytest.raises(ConfigFault) as caught:
        parse_settings(text.encode(), PATH)
    return caught.value


def test_reads_time_stamp_authorities() -> None:
    more = TIMESTAMP.replace('"tsa"', '"other"') + 'policy = "1.2.3.4.1"\n'
    settings = parse_settings((GATE + "[ledger]\ntimestamp_every_s = 60\n" + TIMESTAMP + more).encode(), PATH)
    one, other = settings.ledger.timestamps
    assert (one.url, one.roots, one.policy) == ("http://tsa.example/tsr", Path("/etc/gatebook/tsa.pem"), "")
    assert (other.name, other.policy) == ("other", "1.2.3.4.1")
    assert settings.ledger.timestamp_every_s == 60


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TIMESTAMP.replace("http:", "file:"), "is no URL of an authority"),
        (TIMESTAMP.replace("tsa.example", "user:word@tsa.example"), "is no URL of an authority"),
        (TIMESTAMP + 'policy = "one.two"\n', "is no OID"),
        (TIMESTAMP + 'policy = "1.2.03"\n', "is no OID"),
        (TIMESTAMP + TIMESTAMP, "is there twice"),
        ("[ledger]\ntimestamp_every_s = 1\n" + TIMESTAMP, "must be a whole number from 10"),
    ],
)
def test_refuses_authorities_that_cannot_be_asked(text: str, words: str) -> None:
    assert words in fault(GATE + text).message


@pytest.mark.parametrize("origin", ["two words", "a+b", "x" * 256])
def test_refuses_an_origin_that_no_key_can_have(origin: str) -> None:
    assert "is no name of a ledger" in fault(f'{GATE}[ledger]\norigin = "{origin}"\n').message


REFUSE = '[ledger]\nwitness_policy = "refuse"\n'


def test_reads_that_a_gate_refuses_without_witnesses() -> None:
    settings = parse_settings((GATE + REFUSE + "witness_grace_s = 120\n" + WITNESS).encode(), PATH)
    assert (settings.ledger.witness_policy, settings.ledger.witness_grace_s) == ("refuse", 120)
    assert parse_settings(GATE.encode(), PATH).ledger.witness_policy == "alarm"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (REFUSE, "is `refuse`, but nobody cosigns"),
        (REFUSE + "witness_grace_s = 119\n" + WITNESS, "must be at least 120, twice `evidence.heartbeat_s`"),
        ('[ledger]\nwitness_policy = "close"\n' + WITNESS, "must be one of `alarm`, `refuse`"),
    ],
)
def test_refuses_a_refusal_that_would_never_end(text: str, words: str) -> None:
    assert words in fault(GATE + text).message
