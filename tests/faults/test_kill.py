# SPDX-License-Identifier: Apache-2.0
"""The gate is killed under load, twenty times: what the server executed stands in the journal, and the gate resumes.

`make test-faults KILLS=200` kills more often, in rounds of twenty with a gate of their own each.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from support.marks import TABLE, executed, intended, start_marking
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

KILLS = 20
ROUNDS = range(max(1, int(os.environ.get("KILLS", KILLS)) // KILLS))
BUSY = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND datname = current_database()"


@pytest.fixture(params=ROUNDS)
def marked(request: pytest.FixtureRequest, server: Postgres, folder: Path) -> Iterator[Place]:
    name = f"killed_{request.param}"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.set("evidence", segment_bytes=1 << 20)  # so that kills meet new segments too
    place.ask(TABLE)
    yield place
    place.gate.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_au_08_every_executed_statement_has_its_intent_after_each_kill(marked: Place, tmp_path: Path) -> None:
    chance = random.Random(marked.database)
    before = 0
    for kill in range(KILLS):
        marked.gate.serve()
        load = start_marking(marked, tmp_path, mode=("simple", "extended", "prepared")[kill % 3], seed=kill + 1)
        eventually(lambda: len(executed(marked)) > before)  # noqa: B023  asked in this round only
        time.sleep(chance.uniform(0.02, 0.4))
        marked.gate.stop(signal.SIGKILL)
        load.communicate(timeout=30)
        eventually(lambda: marked.ask(BUSY) == "0")
        done, written = executed(marked), intended(marked)
        assert len(done) > before
        assert done - written == set(), f"kill {kill}: executed without intent"
        before = len(done)
    marked.gate.serve()
    assert marked.through.psql("-c", "SELECT 'it resumed'").stdout == "it resumed\n"
    assert marked.gate.stop() == 0
    report = cast("dict[str, object]", marked.gate.ask("ledger", "verify", check=False))
    assert report["findings"] == []
    assert report["ok"] is True
    assert marked.gate.ask("sessions", "list") != []
    assert all(session["cause"] for session in marked.gate.sessions())
