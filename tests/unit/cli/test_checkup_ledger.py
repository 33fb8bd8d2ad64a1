# SPDX-License-Identifier: Apache-2.0
"""What the doctor finds at the ledger: its notary, its lag, and who outside does not answer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.installation import Installation
from support.notary import write_entries
from support.timestamps import Authority, served
from support.witness import NOTARY
from support.witness_process import READY_S, Running

from gatebook.cli import checkup, checkup_ledger
from gatebook.cli.checkup import check_installation
from gatebook.cli.verdicts import Check, Verdict
from gatebook.vault.ledger import take_lock


def find(gate: Installation, name: str, *, offline: bool = True) -> list[Check]:
    return [check for check in check_installation(gate.config, offline=offline) if check.name == name]


@dataclass(frozen=True)
class App:
    """Reaches no target."""

    def test_target(self, config: Path, name: str) -> list[object]:
        return []


@pytest.fixture(autouse=True)
def no_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "load_application", App)
    monkeypatch.setattr(checkup_ledger, "SEALED_WITHIN_S", 0.01)


@pytest.fixture
def sealed(gate: Installation) -> Installation:
    write_entries(gate.settings.gate.data, "gate", 5)
    command = [sys.executable, "-m", "gatebook", "notary", "--until-input-ends", "--config", str(gate.config)]
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=READY_S)
    return gate


def test_one_os_user_for_gate_and_notary_is_weak(sealed: Installation) -> None:
    (check,) = find(sealed, "notary")
    assert check.verdict is Verdict.WEAK
    assert "under the gate's OS user" in check.words


def test_another_os_user_is_a_boundary_unless_the_folder_is_open(sealed: Installation) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to somebody")
    os.chown(sealed.settings.notary_path, 12_345, 12_345)
    assert find(sealed, "notary")[0].verdict is Verdict.OK
    sealed.settings.notary_path.chmod(0o755)
    assert find(sealed, "notary")[0].verdict is Verdict.WRONG


def test_a_notary_apart_that_does_not_run_is_wrong(sealed: Installation) -> None:
    with sealed.config.open("a") as file:
        file.write('\n[ledger]\nnotary = "apart"\n')
    assert find(sealed, "notary")[0].verdict is Verdict.WRONG


def test_a_ledger_that_keeps_up_is_fine(sealed: Installation) -> None:
    (check,) = find(sealed, "ledger")
    assert (check.verdict, check.words.partition(", ")[2]) == (Verdict.OK, "all that there are")


def test_a_ledger_that_is_behind_is_told(sealed: Installation) -> None:
    write_entries(sealed.settings.gate.data, "gate", 7, first=5)
    assert find(sealed, "ledger") == [Check("ledger", Verdict.WEAK, "7 entries are not sealed: no notary runs")]
    with take_lock(sealed.settings.notary_path / "lock"):
        (check,) = find(sealed, "ledger")
    assert check.verdict is Verdict.WRONG
    assert check.words.startswith("7 entries are not sealed, and the notary seals none")


def test_without_a_witness_it_says_what_that_means(sealed: Installation, tmp_path: Path) -> None:
    (check,) = find(sealed, "anchor")
    assert check.verdict is Verdict.WEAK
    assert "can make the whole book anew" in check.words
    configure_authority(sealed, Authority(tmp_path / "tsa"), "http://127.0.0.1:1/")
    assert "but for the time before the newest time stamp" in find(sealed, "anchor")[0].words


@pytest.fixture
def witness(sealed: Installation, tmp_path: Path) -> Iterator[Running]:
    key = str(sealed.run("ledger", "show", "--json").json["key"])
    made = Running(tmp_path / "witness", "--name", "witness.example/w", log=key)
    configure_witness(sealed, made)
    yield made
    if made.process.returncode is None:
        made.end()


def configure_witness(gate: Installation, witness: Running) -> None:
    with gate.config.open("a") as file:
        file.write(f'\n[[ledger.witness]]\nname = "w"\nurl = "{witness.url}"\nkey = "{witness.key}"\n')


def configure_authority(gate: Installation, authority: Authority, url: str) -> None:
    with gate.config.open("a") as file:
        file.write(f'\n[[ledger.timestamp]]\nname = "tsa"\nurl = "{url}"\nroots = "{authority.roots}"\n')


def test_a_witness_that_answers_is_fine_and_one_that_does_not_is_wrong(sealed: Installation, witness: Running) -> None:
    assert find(sealed, "witness w", offline=False)[0].verdict is Verdict.OK
    assert find(sealed, "witness w") == []
    assert find(sealed, "anchor") == []
    witness.end()
    (check,) = find(sealed, "witness w", offline=False)
    assert check.verdict is Verdict.WRONG
    assert "cannot be reached" in check.words


def test_a_witness_that_does_not_know_the_key_is_wrong(sealed: Installation, tmp_path: Path) -> None:
    stranger = Running(tmp_path / "stranger", "--name", "witness.example/s", log=NOTARY.verifier.text())
    configure_witness(sealed, stranger)
    (check,) = find(sealed, "witness w", offline=False)
    stranger.end()
    assert check.verdict is Verdict.WRONG
    assert "does not know the notary's key (404)" in check.words


def test_an_authority_that_stamps_is_fine_and_others_are_wrong(sealed: Installation, tmp_path: Path) -> None:
    tsa, other = Authority(tmp_path / "tsa"), Authority(tmp_path / "other")
    before = sealed.config.read_text()
    with served(tsa.reply) as url:
        configure_authority(sealed, tsa, url)
        (check,) = find(sealed, "time stamps tsa", offline=False)
        assert check.verdict is Verdict.OK
        sealed.config.write_text(before)
        configure_authority(sealed, other, url)
        (check,) = find(sealed, "time stamps tsa", offline=False)
        assert check.verdict is Verdict.WRONG
        assert "not signed by an authority" in check.words
    (check,) = find(sealed, "time stamps tsa", offline=False)
    assert check.verdict is Verdict.WRONG
    assert "cannot be reached" in check.words
