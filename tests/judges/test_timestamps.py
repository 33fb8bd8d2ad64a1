# SPDX-License-Identifier: Apache-2.0
"""A stranger's judge of time stamps: stock `openssl ts -verify` takes what a notary keeps, and nothing changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.installation import Installation, install
from support.notary import write_entries
from support.timestamps import POLICY, YEAR, Authority, served, stock_verify
from support.witness import eventually

from gatebook.vault.ledger import LedgerFolder

READY_S = 20.0


@pytest.fixture
def gate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.delenv("GATEBOOK_CONFIG", raising=False)
    return install(tmp_path / "gate", capsys)


@pytest.fixture
def tsa(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tsa")


def stamped(gate: Installation, tsa: Authority, url: str) -> tuple[Path, Path]:
    """Run a notary until it has a checkpoint stamped; what was stamped, and the stamp."""
    with gate.config.open("a") as file:
        file.write(f'\n[[ledger.timestamp]]\nname = "tsa"\nurl = "{url}"\nroots = "{tsa.roots}"\npolicy = "{POLICY}"\n')
    write_entries(gate.settings.gate.data, "gate", 300)
    command = [sys.executable, "-m", "gatebook", "notary", "--until-input-ends", "--config", str(gate.config)]
    ledger = LedgerFolder(gate.settings.ledger_path)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        eventually(lambda: bool(ledger.stamped_sizes()))
        eventually(lambda: gate.entries("notary")[-1]["event"] == "checkpoint.stamped")
        process.stdin.close()
        assert process.wait(READY_S) == 0
    (size,) = ledger.stamped_sizes()
    return ledger.stamp_paths(size)


def test_openssl_takes_the_stamp_that_a_running_notary_keeps_and_so_do_we(gate: Installation, tsa: Authority) -> None:
    with served(tsa.reply) as url:
        note, response = stamped(gate, tsa, url)
    assert stock_verify(note, response, tsa.roots) == "OK"
    entry = next(one for one in gate.entries("notary") if one["event"] == "checkpoint.stamped")
    assert (entry["size"], entry["authority"], entry["serial"]) == (int(note.name), "tsa", "2")
    told = gate.run("ledger", "verify", "--timestamp-roots", str(tsa.roots), "--json").json
    assert told["ok"], told["findings"]
    assert told["proven"] == {"time": entry["stamped"], "size": int(note.name)}
    assert gate.run("ledger", "show", "--json").json["stamped"] == int(note.name)
    assert f"entries time-stamped  {int(note.name)}" in gate.run("ledger", "show").out
    shown = gate.run("ledger", "verify", "--timestamp-roots", str(tsa.roots)).out
    assert f"proven by a time stamp: {int(note.name):,} entries were there at " in shown


@pytest.mark.parametrize("file", [0, 1])
def test_openssl_and_we_refuse_what_was_changed(gate: Installation, tsa: Authority, file: int) -> None:
    with served(tsa.reply) as url:
        paths = stamped(gate, tsa, url)
    content = paths[file].read_bytes()
    paths[file].write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    assert stock_verify(*paths, tsa.roots) != "OK"
    told = gate.run("ledger", "verify", "--timestamp-roots", str(tsa.roots), "--json").json
    assert [one["name"] for one in told["findings"]] == [["timestamp_imprint"], ["timestamp_signature"]][file]


def test_openssl_and_we_refuse_another_authority(gate: Installation, tsa: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other")
    with served(tsa.reply) as url:
        paths = stamped(gate, tsa, url)
    assert stock_verify(*paths, other.roots) != "OK"
    told = gate.run("ledger", "verify", "--timestamp-roots", str(other.roots), "--json").json
    assert [one["name"] for one in told["findings"]] == ["timestamp_signature"]


def test_an_expired_authority_is_not_kept(gate: Installation, tmp_path: Path) -> None:
    expired = Authority(tmp_path / "expired", valid=(-YEAR, -YEAR / 2))
    asked: list[bytes] = []

    def answer(query: bytes) -> bytes:
        asked.append(query)
        return expired.reply(query)

    with served(answer) as url, gate.config.open("a") as file:
        file.write(f'\n[[ledger.timestamp]]\nname = "tsa"\nurl = "{url}"\nroots = "{expired.roots}"\n')
        file.close()
        command = [sys.executable, "-m", "gatebook", "notary", "--until-input-ends", "--config", str(gate.config)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            eventually(lambda: len(asked) > 1)  # asked again: the first answer was none
            process.stdin.close()
            assert process.wait(READY_S) == 0
    assert LedgerFolder(gate.settings.ledger_path).stamped_sizes() == []
