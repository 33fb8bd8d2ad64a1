# SPDX-License-Identifier: Apache-2.0
"""The notary is killed again and again while entries come: no checkpoint that was ever seen is forked from the last."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.evidence import leaf
from support.notary import ORIGIN, findings, folders, verify
from support.rotation import wish
from support.witness import eventually

from gatebook.evidence.checkpoint import open_checkpoint
from gatebook.evidence.note import Verifier
from gatebook.evidence.tree import consistency_proof, verify_consistency
from gatebook.model.errors import OperatorFault
from gatebook.vault.journal import JournalWriter
from gatebook.vault.ledger import LedgerFolder

KILLS = int(os.environ.get("KILLS", "20"))
ENTRIES = 10_000
pytestmark = pytest.mark.timeout(60 + 4 * KILLS)
PROGRAM = """
import sys, datetime
from pathlib import Path
from gatebook.vault.notary import Folders
from gatebook.vault import sealer
root = Path(sys.argv[1])
sealer.PASS_S = 0.02
sealer.run_notary(
    Folders(root / "journal", root / "ledger", root / "notary"),
    origin=sys.argv[2],
    seed=bytes(32),
    now=lambda: datetime.datetime.now(datetime.UTC),
    wait=lambda seconds: "told to stop" if (root / "stop").exists() else __import__("time").sleep(seconds) or "",
    opened=lambda key: print(key, flush=True),
)
"""


def start(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(root), ORIGIN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    if not process.stdout.readline():
        _, said = process.communicate()
        pytest.fail(said)
    return process


def write(root: Path, stop: threading.Event) -> None:
    """Append entries until all are written and it is told to stop."""
    written = 0
    with JournalWriter.open(root / "journal", "gate", sync="privileged", segment_bytes=1 << 18) as journal:
        while written < ENTRIES or not stop.is_set():
            for _ in range(25):
                one = leaf("heartbeat", sessions=written, journal=0, clock="unknown")
                journal.append(one, durable=written % 50 == 0)
                written += 1
            time.sleep(0.01)


def test_au_09_a_notary_killed_while_its_key_is_changed_again_and_again_never_forks(tmp_path: Path) -> None:
    stop = threading.Event()
    writer = threading.Thread(target=write, args=(tmp_path, stop))
    writer.start()
    chance = random.Random(9)
    ledger = folders(tmp_path).ledger
    seen: list[bytes] = []
    keys: set[str] = set()
    try:
        with start(tmp_path) as process:
            process.kill()
        first = (ledger / "ledger.vkey").read_text().strip()
        for number in range(KILLS):
            with contextlib.suppress(OperatorFault):  # the one before is under way yet
                wish(tmp_path, 50 + number)
            with start(tmp_path) as process:
                time.sleep(chance.random() * 0.15)
                if number % 4 == 3:  # now and then it may finish, however slow the machine is
                    eventually(lambda: not (folders(tmp_path).notary / "rotation").exists())
                seen.append((ledger / "checkpoint").read_bytes())
                process.kill()
            keys.add((ledger / "ledger.vkey").read_text().strip())
    finally:
        stop.set()
        writer.join()
    (tmp_path / "stop").touch()
    with start(tmp_path) as process:
        assert process.wait(60) == 0
    last = (ledger / "ledger.vkey").read_text().strip()
    some = seen[:: max(1, len(seen) // 20)]  # each reads the whole book
    for key, since in [(first, seen[-1]), (first, seen[0]), *((last, one) for one in some)]:
        report = verify(tmp_path, key=key, since=since)
        assert findings(report) == []
    report = verify(tmp_path, key=last)
    assert report.checked["ledger entries"] == report.checked["entries"] >= ENTRIES
    assert report.checked["changes of the key"] >= len(keys) - 1 >= KILLS // 5


def test_au_09_a_notary_killed_at_any_moment_never_forks(tmp_path: Path) -> None:
    seen: list[bytes] = []
    stop = threading.Event()
    writer = threading.Thread(target=write, args=(tmp_path, stop))
    writer.start()
    chance = random.Random(7)
    checkpoint = folders(tmp_path).ledger / "checkpoint"
    try:
        for _ in range(KILLS):
            with start(tmp_path) as process:
                time.sleep(chance.random() * 0.3)
                seen.append(checkpoint.read_bytes())
                process.kill()
    finally:
        stop.set()
        writer.join()
    (tmp_path / "stop").touch()
    with start(tmp_path) as process:
        assert process.wait(60) == 0
    report = verify(tmp_path)
    assert findings(report) == []
    assert report.checked["ledger entries"] == report.checked["entries"] >= ENTRIES
    ledger = LedgerFolder(folders(tmp_path).ledger)
    verifier = Verifier.parse(ledger.read_vkey())
    now = open_checkpoint(ledger.read_checkpoint(), verifier)
    for note in seen:
        then = open_checkpoint(note, verifier)
        proof = consistency_proof(ledger, then.size, now.size)
        verify_consistency(then.size, then.root, now.size, now.root, proof)
    assert len(set(seen)) > KILLS // 4
