# SPDX-License-Identifier: Apache-2.0
"""Recordings: what they take on the disk with and without results, and how fast they are verified."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from throwaway_gate import Gate
from throwaway_postgres import Programs
from variants import Variant

from gatebook.cli.common import recordings_of
from gatebook.config import load_settings

SETTLE_S = 3.0
READS = 20  # of the whole table
SCRIPTS = {
    "no row": "SELECT abalance FROM pgbench_accounts WHERE aid = -1;\n",
    "20 rows": "\\set first random(1, 99000)\n"
    "SELECT aid, md5(aid::text) FROM pgbench_accounts WHERE aid BETWEEN :first AND :first + 19;\n",
}
_PROCESSED = re.compile(r"transactions actually processed: (\d+)")
Figures = Iterator[tuple[str, float, str]]


def measure_recordings(programs: Programs, variant: Variant, gate: Gate, seconds: int) -> Figures:
    """Load a gate that serves, with scripts and with whole tables; it has stopped behind the last figure."""
    folder = gate.data / "recordings"
    for name, script in SCRIPTS.items():
        before = _size(folder)
        count = _run(programs, variant, script, seconds)
        time.sleep(SETTLE_S)
        yield f"size of a million statements with {name}, recordings", (_size(folder) - before) / count, "MB"
    known = set(_sessions(folder))
    words = ["-c", "SELECT aid, md5(aid::text) FROM pgbench_accounts"] * READS  # hardly to be compressed
    command = [programs.client("psql"), "-qAtX", "-o", "/dev/null", variant.connection(tls=False), *words]
    subprocess.run(command, env=_environment(programs, variant), check=True)
    gate.stop()
    yield "verifying recordings", _verify(gate, set(_sessions(folder)) - known), "MB/s"


def _verify(gate: Gate, sessions: set[str]) -> float:
    """Megabytes of frames, as recorded, that are hashed, opened and unpacked in a second."""
    recordings = recordings_of(load_settings(gate.config), need_key=True)
    began, plain = time.monotonic(), 0
    for session in sessions:
        opener = recordings.opener(session)
        assert opener is not None
        for chunk in recordings.chunks(session):
            opener.open(chunk)
            plain += chunk.plain_bytes
    return plain / 1e6 / (time.monotonic() - began)


def _run(programs: Programs, variant: Variant, script: str, seconds: int) -> int:
    """Run a script with four clients; statements that ran."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        file.write(script)
        file.flush()
        words = ["-n", "-M", "simple", "-c", "4", "-T", str(seconds), "-f", file.name, variant.connection(tls=False)]
        done = subprocess.run(
            [programs.client("pgbench"), *words],
            env=_environment(programs, variant),
            capture_output=True,
            text=True,
            check=True,
        )
    found = _PROCESSED.search(done.stdout)
    assert found is not None, done.stdout
    return int(found[1])


def _environment(programs: Programs, variant: Variant) -> dict[str, str]:
    return {"PGPASSWORD": variant.password, **programs.environment()}


def _sessions(folder: Path) -> Iterator[str]:
    return (path.stem for path in folder.glob("*/*.rec"))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.rec"))
