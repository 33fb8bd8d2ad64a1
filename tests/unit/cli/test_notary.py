# SPDX-License-Identifier: Apache-2.0
"""`gatebook notary`, `ledger show` and `receipt`: what they print, and the exit status of each end."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from support.installation import Installation
from support.notary import write_entries
from support.witness import eventually

from gatebook.evidence.cosignature import Cosigner
from gatebook.evidence.note import Signer
from gatebook.vault.journal import list_segments

READY_S = 20.0
WITNESS = Cosigner(Signer.make("witness.example/w1", bytes([7]) * 32)).key.text()


def start(gate: Installation) -> subprocess.Popen[str]:
    """Start a notary that stops when its standard input ends; it has opened when this returns."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gatebook", "notary", "--until-input-ends", "--config", str(gate.config)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("the notary seals into"), line
    return process


def finish(process: subprocess.Popen[str]) -> int:
    with process:
        assert process.stdin is not None
        process.stdin.close()
        return process.wait(READY_S)


def sealed(gate: Installation) -> None:
    write_entries(gate.settings.gate.data, "gate", 5)
    assert finish(start(gate)) == 0


def test_a_notary_seals_until_its_input_ends(gate: Installation) -> None:
    sealed(gate)
    told = gate.run("ledger", "show", "--json").json
    entries = len(gate.entries("gate")) + len(gate.entries("notary")) + len(gate.entries())
    assert (told["size"], told["not_sealed"], told["notary_lives"]) == (entries, {}, False)
    assert told["origin"] == "localhost/gate"
    assert [entry["event"] for entry in gate.entries("notary")] == ["notary.start", "notary.stop"]
    assert gate.entries("notary")[0]["key"] == told["key"]
    assert gate.run("ledger", "verify").out.splitlines()[-1] == "the book is whole"


def test_what_is_not_sealed_yet_is_shown(gate: Installation) -> None:
    sealed(gate)
    write_entries(gate.settings.gate.data, "gate", 2, first=5)
    told = gate.run("ledger", "show")
    assert "not sealed yet: gate  2" in told.out
    assert gate.run("ledger", "verify", "--json").json["checked"]["entries_not_sealed_yet"] == 2


def test_before_anything_is_sealed_it_says_so(gate: Installation) -> None:
    told = gate.run("ledger", "show")
    assert told.status == 1
    assert told.err.startswith("error: ledger.vkey cannot be read")


def test_key_and_state_are_for_their_owner_only_and_the_ledger_is_for_all(gate: Installation) -> None:
    sealed(gate)
    modes = {path.name: path.stat().st_mode & 0o777 for path in gate.settings.notary_path.iterdir()}
    assert modes == {"key": 0o600, "state": 0o600, "lock": 0o600}
    for path in gate.settings.ledger_path.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644), path


def test_evidence_that_changed_ends_it_with_three_and_an_entry(gate: Installation) -> None:
    sealed(gate)
    (segment,) = list((gate.settings.journal_path / "gate").glob("*.seg"))
    os.truncate(segment, 200)
    process = subprocess.run(
        [sys.executable, "-m", "gatebook", "notary", "--config", str(gate.config)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=READY_S,
    )
    assert process.returncode == 3
    assert "error: journal_changed: gate/1" in process.stderr
    failure = gate.entries("notary")[-1]
    assert (failure["event"], failure["action"]) == ("failure", "nothing is sealed any more")


def test_segments_are_removed_where_the_configuration_says_so(gate: Installation) -> None:
    write_entries(gate.settings.gate.data, "gate", 900)
    folder = gate.settings.journal_path / "gate"
    before = list_segments(folder)
    assert finish(start(gate)) == 0
    assert list_segments(folder) == before  # a day has not passed
    gate.config.write_text(gate.config.read_text() + '\n[ledger]\nremove_segments_after_s = "never"\n')
    assert finish(start(gate)) == 0
    assert list_segments(folder) == before
    gate.config.write_text(gate.config.read_text().replace('"never"', "0"))
    process = start(gate)
    deadline = time.monotonic() + READY_S
    while list_segments(folder) != before[-1:]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert finish(process) == 0
    assert gate.run("ledger", "show", "--json").json["removed"] == {"gate": before[-1] - 1}
    assert f"removed from the journal: gate  {before[-1] - 1}" in gate.run("ledger", "show").out
    told = [entry for entry in gate.entries("notary") if entry["event"] == "journal.removed"]
    assert [(entry["journal"], entry["first"]) for entry in told] == [("gate", first) for first in before[:-1]]
    assert gate.run("ledger", "verify").out.splitlines()[-1] == "the book is whole"


def test_another_origin_is_another_ledger(gate: Installation) -> None:
    sealed(gate)
    gate.config.write_text(gate.config.read_text() + '\n[ledger]\norigin = "other.example/x"\n')
    told = gate.run("notary")
    assert told.status == 1
    assert "the ledger's origin is `localhost/gate`" in told.err


def test_a_receipt_is_made_and_verified(gate: Installation, tmp_path: Path) -> None:
    sealed(gate)
    file = tmp_path / "entry.tlog-proof"
    assert gate.run("receipt", "make", "2", "-o", str(file)).status == 0
    key = gate.run("ledger", "show", "--json").json["key"]
    assert file.read_text() == gate.run("receipt", "make", "2").out
    good = _verify(file, key)
    assert good.returncode == 0, good.stderr
    assert "good, by the key of localhost/gate" in good.stdout
    other = key.replace("localhost", "localhosu")
    assert _verify(file, other).returncode == 1
    file.write_text(file.read_text().replace("index 2", "index 3"))
    assert "error: " in _verify(file, key).stderr


def _verify(file: Path, key: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gatebook", "receipt", "verify", str(file), "--key", key]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_receipt_of_nothing_says_why(gate: Installation) -> None:
    sealed(gate)
    for wanted, words in (("999", "the first is 0"), ("s_x.1", "no such entry"), ("a b", "neither an entry's number")):
        told = gate.run("receipt", "make", wanted)
        assert told.status == 1
        assert words in told.err


def key_of(gate: Installation) -> str:
    return str(gate.run("ledger", "show", "--json").json["key"])


def test_the_key_is_changed_without_a_notary_that_runs(gate: Installation) -> None:
    sealed(gate)
    old = key_of(gate)
    told = gate.run("notary", "rotate-key", "--reason", "yearly")
    new = key_of(gate)
    assert (told.status, told.out) == (0, f"{new}\n")
    assert told.err == "the notary signs with a new key; keep a copy of it elsewhere\n"
    entry = next(one for one in gate.entries("notary") if one["event"] == "notary.key")
    assert (entry["old"], entry["key"], entry["reason"]) == (old, new, "yearly")
    assert gate.run("ledger", "verify", "--key", old).status == 0
    assert gate.run("ledger", "verify", "--key", new).status == 0


def test_a_notary_that_runs_changes_its_key_and_goes_on(gate: Installation, tmp_path: Path) -> None:
    write_entries(gate.settings.gate.data, "gate", 5)
    process = start(gate)
    prepared = gate.run("notary", "rotate-key", "--prepare").out.strip()
    old = key_of(gate)
    receipt = tmp_path / "before.tlog-proof"
    eventually(lambda: gate.run("ledger", "show", "--json").json["size"] > 5)
    gate.run("receipt", "make", "2", "-o", str(receipt))
    assert gate.run("notary", "rotate-key", "--reason", "yearly").status == 0
    assert key_of(gate) == prepared != old
    write_entries(gate.settings.gate.data, "gate", 5, first=5)
    assert finish(process) == 0
    assert gate.run("ledger", "verify", "--key", old).status == 0
    after = tmp_path / "after.tlog-proof"
    gate.run("receipt", "make", "2", "-o", str(after))
    assert [_verify(file, key).returncode for file in (receipt, after) for key in (old, prepared)] == [0, 1, 1, 0]


def test_a_change_of_key_needs_a_reason_and_a_key(gate: Installation) -> None:
    assert gate.run("notary", "rotate-key").status == 2
    told = gate.run("notary", "rotate-key", "--reason", "yearly")
    assert told.status == 1
    assert "error: the notary has no key yet" in told.err


def test_a_gate_that_refuses_without_witnesses_wants_them_told_the_key_before(gate: Installation) -> None:
    sealed(gate)
    with gate.config.open("a") as file:
        file.write(
            '\n[ledger]\nwitness_policy = "refuse"\n[[ledger.witness]]\nname = "w"\nurl = "http://127.0.0.1:1"\n'
        )
        file.write(f'key = "{WITNESS}"\n')
    told = gate.run("notary", "rotate-key", "--reason", "yearly")
    assert told.status == 1
    assert "first `--prepare` it" in told.err
    prepared = gate.run("notary", "rotate-key", "--prepare").out.strip()
    assert gate.run("notary", "rotate-key", "--reason", "yearly").out.strip() == prepared


def test_an_authority_whose_roots_cannot_be_read_stops_nothing(gate: Installation) -> None:
    with gate.config.open("a") as file:
        file.write('\n[[ledger.timestamp]]\nname = "tsa"\nurl = "http://tsa.example"\nroots = "none.pem"\n')
    write_entries(gate.settings.gate.data, "gate", 5)
    done = subprocess.run(
        [sys.executable, "-m", "gatebook", "notary", "--until-input-ends", "--config", str(gate.config)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=READY_S,
    )
    assert done.returncode == 0
    assert "the time-stamp authority tsa has roots that cannot be read" in done.stderr
    assert gate.run("ledger", "show", "--json").json["not_sealed"] == {}
