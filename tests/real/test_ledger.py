# SPDX-License-Identifier: Apache-2.0
"""The notary beside a real gate: what a client did is sealed in a second, proven alone, never signed once changed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_gate import Gate, gatebook
from throwaway_postgres import Postgres


@pytest.fixture
def place(server: Postgres, folder: Path) -> Iterator[Place]:
    name = f"ledger_{os.getpid()}_{abs(hash(folder)) % 10**8}"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.serve()
    eventually((place.gate.data / "ledger" / "checkpoint").exists)
    yield place
    place.gate.stop()


def standing(gate: Gate) -> dict[str, Any]:
    return cast("dict[str, Any]", gate.ask("ledger", "show"))


def verified(gate: Gate, *words: str) -> dict[str, Any]:
    return cast("dict[str, Any]", gate.ask("ledger", "verify", *words, check=False))


def operation_of(place: Place, sql: str) -> str:
    before = place.known_sessions()
    place.through.psql("-c", sql)
    return str(place.operations_since(before)[-1]["operation"])


def notary_of(gate: Gate) -> int:
    """Process id of the notary that a gate has started."""
    assert gate.process is not None
    children = Path(f"/proc/{gate.process.pid}/task/{gate.process.pid}/children").read_text().split()
    found = [int(one) for one in children if b"notary" in Path(f"/proc/{one}/cmdline").read_bytes()]
    return found[0] if found else 0


def test_what_a_client_did_is_sealed_within_a_second(place: Place) -> None:
    eventually(lambda: standing(place.gate)["notary_lives"])
    place.through.psql("-c", "SELECT 1")
    time.sleep(1.2)
    assert standing(place.gate)["not_sealed"] == {}
    size = standing(place.gate)["size"]
    report = verified(place.gate)
    assert report["ok"], report["findings"]
    assert report["checked"]["ledger_entries"] >= size > 5


def test_a_gate_that_stops_leaves_nothing_unsealed(place: Place) -> None:
    place.through.psql("-c", "SELECT 1")
    place.gate.stop()
    told = standing(place.gate)
    assert (told["not_sealed"], told["notary_lives"]) == ({}, False)
    report = verified(place.gate)
    assert report["ok"], report["findings"]
    assert report["checked"]["ledger_entries"] == report["checked"]["entries"] == told["size"]


def test_an_operation_and_its_outcome_are_proven_alone(place: Place, tmp_path: Path) -> None:
    operation = operation_of(place, "SELECT 'proof'")
    key = standing(place.gate)["key"]
    eventually(lambda: standing(place.gate)["not_sealed"] == {})
    for name, words in (("intent", ()), ("outcome", ("--outcome",))):
        file = tmp_path / f"{name}.tlog-proof"
        place.gate.run("receipt", "make", operation, *words, "-o", str(file))
        done = _verify(file, key)
        assert done.returncode == 0, done.stderr
        entry = json.loads(json.loads(done.stdout)["entry"])
        assert (entry["event"], entry["operation"]) == (f"operation.{name}", operation)
        data = bytearray(file.read_bytes())
        data[data.index(b"extra ") + 30] ^= 1
        file.write_bytes(data)
        assert _verify(file, key).returncode == 1


def _verify(file: Path, key: str) -> subprocess.CompletedProcess[str]:
    command = [gatebook(), "receipt", "verify", str(file), "--key", key, "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_outsider_verifies_a_copy_of_the_ledger_with_key_and_older_checkpoint(place: Place, tmp_path: Path) -> None:
    eventually(lambda: standing(place.gate)["size"] > 3)
    kept = tmp_path / "checkpoint"
    kept.write_bytes((place.gate.data / "ledger" / "checkpoint").read_bytes())
    key = standing(place.gate)["key"]
    place.through.psql("-c", "SELECT 1")
    place.gate.stop()
    command = [gatebook(), "ledger", "verify", "--ledger", str(place.gate.data / "ledger"), "--key", key, "--json"]
    done = subprocess.run([*command, "--since", str(kept)], capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    assert report["ok"], report
    assert report["checked"]["older_checkpoints"] == 1


def test_a_killed_notary_is_started_again_and_the_book_says_so(place: Place) -> None:
    first = eventually(lambda: notary_of(place.gate))
    eventually((place.gate.data / "ledger" / "checkpoint").exists)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: notary_of(place.gate) not in {0, first})
    place.through.psql("-c", "SELECT 1")
    place.gate.stop()
    report = verified(place.gate)
    assert report["ok"], report["findings"]
    assert b"the notary died with status -9" in b"".join(
        path.read_bytes() for path in (place.gate.data / "journal").glob("*/*.seg")
    )


def test_a_notary_ends_with_its_gate_however_that_ends_and_seals_what_is_there(place: Place) -> None:
    notary = eventually(lambda: notary_of(place.gate))
    eventually((place.gate.data / "ledger" / "checkpoint").exists)
    place.through.psql("-c", "SELECT 1")
    place.gate.stop(signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{notary}").exists())
    assert standing(place.gate)["not_sealed"] == {}
    place.gate.serve()
    place.through.psql("-c", "SELECT 1")
    place.gate.stop()
    report = verified(place.gate)
    assert report["ok"], report["findings"]


def test_the_notary_s_key_is_changed_beside_a_gate_at_work_and_the_old_one_leads_on(place: Place) -> None:
    eventually(lambda: standing(place.gate)["notary_lives"])
    place.through.psql("-c", "SELECT 'before'")
    old = standing(place.gate)["key"]
    new = place.gate.run("notary", "rotate-key", "--reason", "yearly").stdout.strip()
    assert standing(place.gate)["key"] == new != old
    place.through.psql("-c", "SELECT 'after'")
    eventually(lambda: standing(place.gate)["not_sealed"] == {})
    place.gate.stop()
    for key in (old, new):
        report = verified(place.gate, "--key", key)
        assert report["ok"], report["findings"]
        assert report["checked"]["changes_of_the_key"] == 1


def test_au_02_a_notary_signs_nothing_more_once_a_journal_was_cut(place: Place) -> None:
    place.through.psql("-c", "SELECT 1")
    place.gate.stop()
    checkpoint = place.gate.data / "ledger" / "checkpoint"
    before = checkpoint.read_bytes()
    (segment, *_) = sorted((place.gate.data / "journal" / "gatebook").glob("*.seg"))
    os.truncate(segment, segment.stat().st_size - 100)
    place.gate.serve()
    place.through.psql("-c", "SELECT 2")
    eventually(lambda: "evidence is not what it sealed" in place.gate.log.read_text())
    place.gate.stop()
    assert checkpoint.read_bytes() == before
    names = {finding["name"] for finding in verified(place.gate)["findings"]}
    assert names & {"journal_differs", "journal_shorter"}
    done = place.gate.run("notary", check=False)
    assert done.returncode == 3
    assert "nothing is sealed any more" in done.stderr
