# SPDX-License-Identifier: Apache-2.0
"""pgbench through the gate: every protocol, reading and writing, leaves the same database as without a gate."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from support.servers import Place

MODES = ("simple", "extended", "prepared")
STATE = """
SELECT md5(string_agg(a::text, '|' ORDER BY aid)) FROM pgbench_accounts AS a;
SELECT md5(string_agg(t::text, '|' ORDER BY tid)) FROM pgbench_tellers AS t;
SELECT md5(string_agg(b::text, '|' ORDER BY bid)) FROM pgbench_branches AS b;
SELECT count(*), sum(delta), sum(aid), sum(tid) FROM pgbench_history;
"""


@pytest.fixture(scope="module")
def filled(place: Place) -> Place:
    """pgbench's tables, made through the gate itself: COPY in, DDL, VACUUM."""
    said = place.through.pgbench("-i", "-s", "1", "-q")
    assert "done in" in said
    assert place.ask("SELECT count(*) FROM pgbench_accounts") == "100000"
    return place


def transactions(said: str) -> tuple[int, int]:
    """Transactions processed, and failed."""
    processed = re.search(r"number of transactions actually processed: (\d+)", said)
    failed = re.search(r"number of failed transactions: (\d+)", said)
    assert processed is not None, said
    return int(processed[1]), int(failed[1]) if failed else 0


@pytest.mark.parametrize("mode", MODES)
def test_reads_run_in_every_protocol(filled: Place, mode: str) -> None:
    said = filled.through.pgbench("-S", "-n", "-c", "4", "-j", "2", "-t", "500", "-M", mode)
    assert transactions(said) == (2000, 0)


@pytest.mark.parametrize("mode", MODES)
def test_writes_with_one_seed_leave_the_same_tables_as_directly(filled: Place, mode: str) -> None:
    """One client and one seed give the same statements: through the gate and past it, from the same beginning."""
    words = ("-n", "-c", "1", "-t", "300", "-M", mode, "--random-seed=20260")
    states = []
    for way in (filled.direct, filled.through):
        filled.direct.pgbench("-i", "-s", "1", "-q")
        assert transactions(way.pgbench(*words)) == (300, 0)
        states.append(filled.ask(STATE))
    assert states[0].splitlines()[3].startswith("300|")
    assert states[1] == states[0]


@pytest.mark.parametrize("mode", MODES)
def test_many_writers_at_once_keep_the_balances_equal(filled: Place, mode: str) -> None:
    filled.direct.pgbench("-i", "-s", "1", "-q")
    said = filled.through.pgbench("-n", "-c", "8", "-j", "2", "-t", "100", "-M", mode)
    assert transactions(said) == (800, 0)
    sums = filled.ask(
        "SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers),"
        " (SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history)"
    ).split("|")
    assert sums == [sums[0]] * 4
    assert filled.ask("SELECT count(*) FROM pgbench_history") == "800"


def test_a_pipeline_of_pgbench_runs(filled: Place, tmp_path: Path) -> None:
    script = tmp_path / "pipeline.sql"
    steps = "\n".join(f"SELECT abalance FROM pgbench_accounts WHERE aid = {number};" for number in range(1, 21))
    script.write_text(f"\\startpipeline\n{steps}\n\\endpipeline\n")
    said = filled.through.pgbench("-n", "-c", "2", "-t", "50", "-M", "extended", "-f", str(script))
    assert transactions(said) == (100, 0)


def test_the_book_counts_every_transaction(filled: Place) -> None:
    before = filled.known_sessions()
    filled.through.pgbench("-S", "-n", "-c", "1", "-t", "200", "-M", "prepared")
    runs = [one for one in filled.gate.sessions() if one["session"] not in before]
    executions = 0
    for session in runs:
        told = filled.gate.ask("sessions", "show", str(session["session"]))
        assert isinstance(told, dict)
        executions += sum(
            1 for one in told["operations"] if one["via"] == "bind" and "pgbench_accounts" in one["shape"]
        )
    assert executions == 200


def test_dump_through_the_gate_equals_a_direct_dump(filled: Place) -> None:
    dumps = []
    for way in (filled.direct, filled.through):
        command = [str(filled.server.programs.server / "pg_dump"), "--no-sync", "-t", "things", "-d", way.conninfo]
        done = subprocess.run(command, env=way.environment, capture_output=True, text=True, check=False, timeout=50)
        assert done.returncode == 0, done.stderr
        dumps.append([line for line in done.stdout.splitlines() if "restrict" not in line])  # a random word per dump
    assert len(dumps[0]) > 1000
    assert dumps[1] == dumps[0]
