# SPDX-License-Identifier: Apache-2.0
"""The notary is killed again and again while it removes segments: each that is gone is told, and no part is lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from support.notary import ORIGIN
from support.removal import OPERATIONS, removals, segments, session_entries, unaccounted, verify

from gatebook.vault.journal import JournalWriter

KILLS = int(os.environ.get("KILLS", "20"))
SESSIONS = 150
PROGRAM = """
import sys, datetime
from pathlib import Path
from gatebook.vault.notary import Folders
from gatebook.vault.recordings import Recordings
from gatebook.vault import sealer
root = Path(sys.argv[1])
sealer.PASS_S = 0.005
sealer.LEAST_STEP_S = 0.002
sealer.run_notary(
    Folders(root / "journal", root / "ledger", root / "notary"),
    origin=sys.argv[2],
    seed=bytes(32),
    now=lambda: datetime.datetime.now(datetime.UTC),
    wait=lambda seconds: "told to stop" if (root / "stop").exists() else __import__("time").sleep(seconds) or "",
    opened=lambda key: print(key, flush=True),
    removal=sealer.RemovalPlan(Recordings(root / "recordings"), 0),
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
    """Write sessions, three at a time, until all are written and it is told to stop."""
    written = 0
    with JournalWriter.open(root / "journal", "gate", sync="privileged", segment_bytes=1 << 14) as journal:
        while written < SESSIONS or not stop.is_set():
            three = [session_entries(root, f"s_{number:06}") for number in range(written, written + 3)]
            for entries in zip(*three, strict=True):
                for plain, sealed in entries:
                    journal.append(plain, sealed, durable=False)
            written += 3
            time.sleep(0.04 if written < SESSIONS else 0.2)
    (root / "written").write_text(str(written))


@pytest.mark.timeout(60 + 4 * KILLS)
def test_au_08_a_notary_killed_at_any_moment_of_a_removal_loses_nothing(tmp_path: Path) -> None:
    stop = threading.Event()
    writer = threading.Thread(target=write, args=(tmp_path, stop))
    writer.start()
    chance = random.Random(11)
    removed = [0]
    try:
        for kill in range(KILLS):
            with start(tmp_path) as process:
                time.sleep(chance.random() * 0.6)
                process.kill()
            assert unaccounted(tmp_path) == []
            removed.append(len(removals(tmp_path)))
            if kill % 5:
                continue
            report = verify(tmp_path)
            lasting = [one for one in report.findings if one.name != "journal_torn"]  # its writer is at it
            assert lasting == []
    finally:
        stop.set()
        writer.join()
    (tmp_path / "stop").touch()
    with start(tmp_path) as process:
        assert process.wait(60) == 0
    report = verify(tmp_path)
    assert report.ok, report.findings
    assert report.checked["private parts opened"] == int((tmp_path / "written").read_text()) * OPERATIONS
    assert len(set(removed)) > KILLS // 8
    assert segments(tmp_path)[0] > 1
