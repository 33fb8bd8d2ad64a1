# SPDX-License-Identifier: Apache-2.0
"""Rewrapping is killed at any moment: every key file opens, none that was erased comes back, the next run ends it."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from support.data_folder import put_recording
from support.evidence import KEK, RECORDING_KEY, recording_header

from gatebook.model.secret import Secret
from gatebook.vault.keys import parse_key, parse_key_file
from gatebook.vault.keystore import KeyRing
from gatebook.vault.recordings import Recordings
from gatebook.vault.rewrap import BESIDE, rewrap

NEW = "22" * 32
FILES, KILLS = 400, 12
PROGRAMME = f"""
from pathlib import Path
from gatebook.model.secret import Secret
from gatebook.vault.keys import parse_key
from gatebook.vault.keystore import KeyRing
from gatebook.vault.recordings import Recordings
from gatebook.vault.rewrap import rewrap
ring = KeyRing(parse_key(Secret("{NEW}")), (parse_key(Secret("{KEK.hex()}")),))
print("begun", flush=True)
rewrap(Recordings(Path.cwd(), ring), ring, lambda count: print(count, flush=True))
"""


def test_a_killed_run_leaves_every_file_whole_and_erased_ones_gone(tmp_path: Path) -> None:
    sessions = [f"s_{number:04}" for number in range(FILES)]
    for session in sessions:
        put_recording(tmp_path, recording_header(session), session)
    ring = KeyRing(parse_key(Secret(NEW)), (parse_key(Secret(KEK.hex())),))
    recordings = Recordings(tmp_path, ring)
    chance = random.Random(7)
    erased: set[str] = set()
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen([sys.executable, "-c", PROGRAMME], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        for session in chance.sample(sessions, 5):
            recordings.path_of(session).with_suffix(".key").unlink(missing_ok=True)
            erased.add(session)
        time.sleep(chance.uniform(0, 0.03))
        process.kill()
        killed += process.wait() != 0
        process.stdout.close()
        for session in sessions:
            key = recordings.recording_key(session)
            assert key == (None if session in erased else Secret(RECORDING_KEY)), session
    assert killed >= KILLS // 2
    done = rewrap(recordings, ring)
    assert (done.rewrapped + done.current, done.failed) == (FILES - len(erased), 0)
    assert list(tmp_path.glob(f"*/{BESIDE}*")) == []
    for session in set(sessions) - erased:
        head = recordings.path_of(session).with_suffix(".key").read_bytes()
        assert parse_key_file(session, head).kek == ring.id
