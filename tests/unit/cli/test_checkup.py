# SPDX-License-Identifier: Apache-2.0
"""The checks of the doctor: each finds what it is for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.certificates import Maker
from support.data_folder import put_recording
from support.evidence import recording_header
from support.installation import Installation
from support.notary import seal, write_entries

from gatebook.cli import checkup
from gatebook.cli.certificates import make_certificates
from gatebook.cli.checkup import check_installation
from gatebook.cli.verdicts import Check, Verdict
from gatebook.model.errors import OperatorFault


def find(gate: Installation, name: str) -> list[Check]:
    return [check for check in check_installation(gate.config, offline=True) if check.name == name]


def test_finds_nothing_wrong_in_a_fresh_installation(gate: Installation) -> None:
    checks = check_installation(gate.config, offline=True)
    assert [check for check in checks if check.verdict is Verdict.WRONG] == []
    assert [check.name for check in checks] == [
        "configuration",
        "policies",
        "permissions",
        "secrets",
        "recording key",
        "key separation",
        "root key",
        "notary",
        "certificate",
        "disk",
        "clock",
    ]


def rewrite(gate: Installation, old: str, new: str) -> None:
    text = gate.config.read_text()
    assert old in text
    gate.config.write_text(text.replace(old, new))


def issue(gate: Installation, host: str, now: datetime) -> None:
    (gate.folder / "server.crt").write_bytes(make_certificates("gate", [host], now).server)


def put_key_into_data(gate: Installation) -> None:
    (gate.folder / "recording.key").rename(gate.folder / "data" / "recording.key")
    rewrite(gate, '"file:recording.key"', '"file:data/recording.key"')


BREAKAGES: dict[str, tuple[Callable[[Installation], object], str, Verdict, str]] = {
    "a setting that is none": (
        lambda gate: rewrite(gate, "public_host", "public_hots"),
        "configuration",
        Verdict.WRONG,
        "did you mean `public_host`?",
    ),
    "a policy that does not load": (
        lambda gate: (gate.folder / "policies" / "bad.cedar").write_text("permit"),
        "policies",
        Verdict.WRONG,
        "bad.cedar:1",
    ),
    "no policy": (
        lambda gate: (gate.folder / "policies" / "example.cedar").unlink(),
        "policies",
        Verdict.WRONG,
        "nothing is permitted",
    ),
    "a data folder open to others": (
        lambda gate: (gate.folder / "data").chmod(0o755),
        "permissions",
        Verdict.WRONG,
        "is open to others (0755): chmod go-rwx it",
    ),
    "a secret that is not there": (
        lambda gate: rewrite(gate, "env:GATEBOOK_TEST_PASSWORD", "env:GATEBOOK_TEST_ABSENT"),
        "secrets",
        Verdict.WRONG,
        "environment variable `GATEBOOK_TEST_ABSENT` is not set",
    ),
    "a recording key of another form": (
        lambda gate: (gate.folder / "recording.key").write_text("hunter2"),
        "recording key",
        Verdict.WRONG,
        "the recording key is not 32 bytes",
    ),
    "a recording key of another time": (
        lambda gate: put_recording(gate.settings.recordings_path, recording_header()),
        "recording key",
        Verdict.WRONG,
        "was made under another key",
    ),
    "a recording key in the data folder": (
        put_key_into_data,
        "key separation",
        Verdict.WRONG,
        "lies in the data folder",
    ),
    "a certificate that has expired": (
        lambda gate: issue(gate, "x", datetime.now(UTC) - timedelta(days=400)),
        "certificate",
        Verdict.WRONG,
        "it has expired",
    ),
    "a certificate that expires soon": (
        lambda gate: issue(gate, "x", datetime.now(UTC) - timedelta(days=390)),
        "certificate",
        Verdict.WEAK,
        "good for 6 more days",
    ),
    "a certificate for another name": (
        lambda gate: rewrite(gate, 'public_host = "localhost"', 'public_host = "gate.example.org"'),
        "certificate",
        Verdict.WRONG,
        "does not name gate.example.org",
    ),
    "a certificate that is none": (
        lambda gate: (gate.folder / "server.crt").write_text("hello"),
        "certificate",
        Verdict.WRONG,
        "is no certificate with names",
    ),
    "a certificate that is not there": (
        lambda gate: (gate.folder / "server.crt").unlink(),
        "certificate",
        Verdict.WRONG,
        "no such file or directory",
    ),
    "plaintext": (
        lambda gate: rewrite(gate, "[gate]", "[gate]\ninsecure_plaintext = true"),
        "exposure",
        Verdict.WEAK,
        "keys cross the wire readable",
    ),
    "a target in plaintext": (
        lambda gate: rewrite(gate, 'tls = "disable"', 'tls = "disable"\ninsecure_plaintext = true'),
        "exposure",
        Verdict.WEAK,
        "passwords and rows cross the network readable",
    ),
    "a target whose certificate nobody checks": (
        lambda gate: rewrite(gate, 'tls = "disable"', 'tls = "require"'),
        "exposure",
        Verdict.WEAK,
        "checks no certificate",
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_finds_each_breakage(gate: Installation, breakage: str) -> None:
    change, name, verdict, words = BREAKAGES[breakage]
    change(gate)
    (check,) = find(gate, name)
    assert check.verdict is verdict
    assert words in check.words
    assert "hunter2" not in check.words


def test_knows_the_key_that_opens_the_newest_recording(gate: Installation) -> None:
    assert find(gate, "recording key")[0].words == "has its form"


def test_reads_the_password_of_the_catalogue_too(gate: Installation) -> None:
    gate.config.write_text(gate.config.read_text() + '\n[target.catalogue]\naccount = "c"\npassword = "env:ABSENT"\n')
    assert "`ABSENT` is not set" in find(gate, "secrets")[0].words


def trust(gate: Installation, pem: bytes) -> None:
    text = gate.config.read_text()
    authority = '[[certificate_authority]]\nname = "bots"\nkind = "agent"\nroots = "bots.pem"\nsubject = "dns"\n'
    gate.config.write_text(f"{text}\n{authority}")
    (gate.folder / "bots.pem").write_bytes(pem)


@pytest.mark.parametrize(
    ("days", "verdict", "words"),
    [
        (0, Verdict.OK, "1 roots, good for 328"),
        (3260, Verdict.WEAK, "1 roots, good for 24 more days"),
        (3300, Verdict.WRONG, "have expired"),
    ],
)
def test_looks_at_the_roots_of_authorities(gate: Installation, days: int, verdict: Verdict, words: str) -> None:
    trust(gate, Maker.root(now=datetime.now(UTC) - timedelta(days=days)).pem)
    (check,) = find(gate, "authority bots")
    assert check.verdict is verdict
    assert words in check.words


def test_finds_roots_that_are_none_or_not_there(gate: Installation) -> None:
    trust(gate, b"hello")
    assert "bots.pem is no PEM of certificates" in find(gate, "authority bots")[0].words
    (gate.folder / "bots.pem").unlink()
    assert "no such file or directory" in find(gate, "authorities")[0].words


def test_asks_for_no_certificate_where_none_is_used(gate: Installation) -> None:
    rewrite(gate, 'tls_certificate = "server.crt"', "insecure_plaintext = true")
    rewrite(gate, 'tls_key = "file:server.key"', "")
    assert find(gate, "certificate") == []


def test_looks_at_the_index_where_there_is_one(gate: Installation) -> None:
    assert find(gate, "index") == []
    write_entries(gate.settings.gate.data, "gate", 2)
    size = seal(gate.settings.gate.data)
    assert gate.run("index", "update").status == 0
    assert find(gate, "index") == [Check("index", Verdict.OK, f"{size} entries of the ledger can be searched")]
    gate.settings.index_path.write_bytes(b"garbage" * 1000)
    (found,) = find(gate, "index")
    assert found.verdict is Verdict.WEAK
    assert "gatebook index rebuild" in found.words


def test_finds_a_full_disk(gate: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 20))
    (check,) = find(gate, "disk")
    assert check.verdict is Verdict.WRONG
    assert check.words == "1 MiB free, 256 needed: a gate on a full disk refuses everything"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_finds_files_of_another_user(gate: Installation) -> None:
    os.chown(gate.folder / "data", 12_345, 12_345)
    (check,) = find(gate, "permissions")
    assert check.verdict is Verdict.WEAK
    assert "belongs to another user" in check.words


@pytest.mark.parametrize(("state", "verdict"), [(None, Verdict.WEAK), (5, Verdict.WEAK), (0, Verdict.OK)])
def test_tells_the_state_of_the_clock(
    gate: Installation, monkeypatch: pytest.MonkeyPatch, state: int | None, verdict: Verdict
) -> None:
    monkeypatch.setattr(checkup, "clock_state", lambda: state)
    assert find(gate, "clock")[0].verdict is verdict


@dataclass(frozen=True)
class Step:
    name: str
    passed: bool
    words: str


class App:
    """Reaches one target, and not another."""

    def test_target(self, config: Path, name: str) -> list[Step]:
        assert config.is_absolute()
        if name == "shop":
            return [Step("login", passed=True, words="fine"), Step("catalogue", passed=False, words="no")]
        raise OperatorFault("nothing there", "start it")


def test_reaches_for_every_target(gate: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "load_application", App)
    text = gate.config.read_text()
    gate.config.write_text(text + text[text.rindex("[[target]]") :].replace('"shop"', '"other"', 1))
    checks = check_installation(gate.config, offline=False)[-3:]
    assert checks == [
        Check("target shop", Verdict.OK, "login: fine"),
        Check("target shop", Verdict.WRONG, "catalogue: no"),
        Check("target other", Verdict.WRONG, "nothing there: start it"),
    ]


def test_ap_07_a_policy_that_asks_more_people_than_could_vote_is_wrong(gate: Installation) -> None:
    asks = '@id("held") @approval("dba") @vote("session") permit (principal, action, resource);\n'
    (gate.folder / "policies" / "held.cedar").write_text(asks)
    (check,) = (one for one in find(gate, "policies") if one.verdict is Verdict.WRONG)
    assert "held.cedar:1: the policy `held` asks for 1 of group `dba`, and nobody there could vote" in check.words
    assert gate.run("person", "add", "ana", "--group", "dba").status == 0
    assert [one.verdict for one in find(gate, "approvers")] == [Verdict.OK]
    gate.settings.store_path.unlink()
    assert [one.verdict for one in find(gate, "approvers")] == [Verdict.WEAK]
