# SPDX-License-Identifier: Apache-2.0
"""The indexer killed at any moment, and its index deleted beneath it: what is there is right, or is made anew."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.installation import Installation, install
from support.notary import seal, write_entries

ENTRIES = 8_000
KILLS = 6
MOST_KILLS = 60  # where the machine is quick, most come too late


@pytest.fixture
def gate(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Installation:
    monkeypatch.setenv("GATEBOOK_TEST_PASSWORD", "hunter2")
    gate = install(tmp_path / "gate", capsys)
    write_entries(gate.settings.gate.data, "gate", ENTRIES)
    seal(gate.settings.gate.data)
    return gate


def kill_while_it_works(gate: Installation, after_s: float) -> None:
    command = [sys.executable, "-m", "gatebook", "index", "follow", "--until-input-ends", "--config", str(gate.config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 20
        while not gate.settings.index_path.exists() and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(after_s)
        process.kill()


def test_whenever_it_is_killed_the_index_is_right_as_far_as_it_goes(gate: Installation) -> None:
    chance = random.Random(os.environ.get("SEED", "7"))
    reached: set[int] = set()
    for number in range(MOST_KILLS):
        if number >= KILLS and len(reached) > 1:
            break
        kill_while_it_works(gate, chance.uniform(0, 0.5))
        shown = gate.run("index", "show", "--json")
        if shown.status == 0:
            reached.add(shown.json["indexed"])
        else:
            assert gate.settings.index_path.stat().st_size == 0, shown.err  # killed before there was anything in it
        if number % 3 == 2:
            for end in ("", "-wal", "-shm"):
                Path(f"{gate.settings.index_path}{end}").unlink(missing_ok=True)
    assert len(reached) > 1, "it was killed at different places"
    assert gate.run("index", "update").status == 0
    told = gate.run("search", "--event", "heartbeat", "--last", "5000", "--prove", "--json").json
    assert (len(told["hits"]), told["more"], told["behind"]["entries"]) == (5_000, True, 0)
    assert [hit["leaf"]["sessions"] for hit in told["hits"]] == list(range(ENTRIES - 5_000, ENTRIES))
