# SPDX-License-Identifier: Apache-2.0
"""`gatebook witness`: a witness of its own, asked by `gatebook notary`, killed and started again."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.installation import Installation, command
from support.notary import write_entries
from support.witness import NOTARY, eventually
from support.witness_process import READY_S, Running


@pytest.fixture
def running(tmp_path: Path, gate: Installation) -> Iterator[Running]:
    """A witness of the gate's ledger."""
    run_notary(gate)
    key = gate.run("ledger", "show", "--json").json["key"]
    made = Running(tmp_path / "witness", "--name", "witness.example/w", log=key)
    with gate.config.open("a") as file:
        file.write(f'\n[[ledger.witness]]\nname = "w"\nurl = "{made.url}"\nkey = "{made.key}"\n')
    yield made
    if made.process.returncode is None:
        made.end(signal.SIGKILL)


def run_notary(gate: Installation) -> str:
    """Let a notary seal what is there; what it told."""
    done = subprocess.run(
        [sys.executable, "-m", "gatebook", "notary", "--until-input-ends", "--config", str(gate.config)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=READY_S,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def shown(gate: Installation) -> dict[str, Any]:
    shown: dict[str, Any] = gate.run("ledger", "show", "--json").json
    return shown


def test_a_notary_and_its_witness_as_they_are_run(gate: Installation, running: Running, tmp_path: Path) -> None:
    write_entries(gate.settings.gate.data, "gate", 5)
    run_notary(gate)
    told = shown(gate)
    assert told["witnesses"]["w"]["size"] == told["witnessed"] == told["size"]
    assert re.search(r"witness w +has cosigned \d+ entries, \d+ s ago", gate.run("ledger", "show").out)
    good = gate.run("ledger", "verify", "--witness", running.key, "--cosigned-within", "600")
    assert good.status == 0, good.out
    assert f"{told['size']:>9}  entries witnessed" in good.out
    copy = ("--ledger", str(gate.settings.ledger_path), "--key", told["key"], "--witness", running.key)
    assert gate.run("ledger", "verify", *copy, "--quorum", "1").status == 0

    running.end(signal.SIGKILL)
    again = Running(tmp_path / "witness", log=told["key"], port=running.port)
    write_entries(gate.settings.gate.data, "gate", 5, first=5)
    run_notary(gate)
    assert shown(gate)["witnessed"] == shown(gate)["size"] > told["size"]
    assert again.key == running.key
    assert again.end() == 0


def test_a_witness_that_is_down_stops_nothing(gate: Installation, running: Running) -> None:
    run_notary(gate)
    before = shown(gate)["size"]
    running.end()
    write_entries(gate.settings.gate.data, "gate", 5)
    run_notary(gate)
    told = shown(gate)
    assert told["size"] > before
    assert told["witnessed"] == before
    assert gate.run("ledger", "verify", "--witness", running.key).status == 0


def test_another_witness_s_key_is_not_satisfied(gate: Installation, running: Running, tmp_path: Path) -> None:
    run_notary(gate)
    other = Running(tmp_path / "other", "--name", "witness.example/other")
    other.end()
    told = gate.run("ledger", "verify", "--witness", running.key, "--witness", other.key)
    assert told.status == 1
    assert "1 of the 2 witnesses that are needed have cosigned" in told.out
    assert gate.run("ledger", "verify", "--witness", running.key, "--witness", other.key, "--quorum", "1").status == 0


def test_a_ledger_that_was_put_back_is_entered_by_the_notary(gate: Installation, running: Running) -> None:
    run_notary(gate)
    data = gate.settings.gate.data
    for folder in (data / "ledger", data / "journal"):  # the key is kept, as one who has stolen it would have it
        shutil.rmtree(folder)
    (data / "notary" / "state").unlink()
    process = subprocess.Popen(
        [sys.executable, "-m", "gatebook", "notary", "--until-input-ends", "--config", str(gate.config)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        eventually(lambda: any(entry["event"] == "failure" for entry in gate.entries("notary")))
        assert process.stdin is not None
        process.stdin.close()
    (failure, *_) = [entry for entry in gate.entries("notary") if entry["event"] == "failure"]
    assert str(failure["what"]).startswith("witness `w` has seen a ledger of")


def test_wrong_use_says_what_is_right(gate: Installation, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = ("witness", "--folder", str(tmp_path / "w"))
    assert "needs a name" in command(capsys, *folder, "--log", NOTARY.verifier.text()).err
    assert "not the form" in command(capsys, *folder, "--name", "w", "--log", "x").err
    assert command(capsys, *folder).status == 2
    (tmp_path / "file").write_text("")
    told = command(
        capsys, "witness", "--folder", str(tmp_path / "file/w"), "--name", "w", "--log", NOTARY.verifier.text()
    )
    assert "folder cannot be used" in told.err
    for words in (("--quorum", "1"), ("--cosigned-within", "9"), ("--witness", "x", "--quorum", "2")):
        assert gate.run("ledger", "verify", *words).status == 2
