# SPDX-License-Identifier: Apache-2.0
"""Replication through the gate with PostgreSQL's own tools: refused unless a policy permits it by name."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers import ACCOUNT, Place, Way, eventually, make_database, make_place
from throwaway_postgres import Postgres, throwaway_postgres

ORDINARY = """
@id("all-but-administration")
permit (principal, action in [Action::"read", Action::"write", Action::"connect"], resource);
"""


@pytest.fixture(scope="module")
def streaming() -> Iterator[Postgres]:
    settings = {"wal_level": "logical", "max_wal_senders": "10", "max_replication_slots": "10"}
    with throwaway_postgres(tls=True, settings=settings) as server:
        make_database(server)
        server.psql(f"ALTER ROLE {ACCOUNT} REPLICATION")
        server.psql("CREATE TABLE things (id int)", "work")
        yield server


@pytest.fixture
def place(folder: Path, streaming: Postgres) -> Iterator[Place]:
    made = make_place(folder, streaming)
    made.gate.serve()
    yield made
    made.gate.stop()


def run(way: Way, tool: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [way.server.programs.client(tool), "-d", way.conninfo, *words]
    return subprocess.run(command, env=way.environment, capture_output=True, text=True, check=False, timeout=60)


def test_logical_changes_are_streamed_as_they_are_past_the_gate(place: Place) -> None:
    for way, slot in ((place.direct, "past"), (place.through, "through")):
        made = run(way, "pg_recvlogical", "--slot", slot, "--create-slot", "-P", "test_decoding")
        assert (made.returncode, made.stderr) == (0, "")
    place.ask("INSERT INTO things SELECT generate_series(1, 1000)")
    end = place.ask("SELECT pg_current_wal_insert_lsn()")
    place.ask("INSERT INTO things VALUES (0)")
    told = [
        run(way, "pg_recvlogical", "--slot", slot, "--start", "--endpos", end, "-f", "-")
        for way, slot in ((place.direct, "past"), (place.through, "through"))
    ]
    assert [done.returncode for done in told] == [0, 0]
    assert told[0].stdout == told[1].stdout
    assert told[1].stdout.count("INSERT:") == 1000


def test_a_base_backup_is_taken_and_its_bytes_are_in_the_book(place: Place, tmp_path: Path) -> None:
    before = place.known_sessions()
    done = run(place.through, "pg_basebackup", "-D", str(tmp_path / "backup"), "-X", "fetch", "-c", "fast")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "backup" / "PG_VERSION").exists()
    fresh = [session for session in place.gate.sessions() if session["session"] not in before]
    told = [place.gate.ask("sessions", "show", str(session["session"]), "--purpose", "test") for session in fresh]
    backups = [one for one in told if "BASE_BACKUP" in json.dumps(one)]
    assert len(backups) == 1
    assert backups[0]["counts"]["client_bytes_out"] > 1_000_000  # type: ignore[index]  # JSON


def test_the_log_is_received(place: Place, tmp_path: Path) -> None:
    end = place.ask("SELECT pg_current_wal_lsn()")
    done = run(place.through, "pg_receivewal", "-D", str(tmp_path), "--endpos", end, "--no-loop")
    assert done.returncode == 0
    assert list(tmp_path.glob("*.partial"))


def test_pg_18_replication_is_refused_unless_a_policy_permits_it(folder: Path, streaming: Postgres) -> None:
    place = make_place(folder, streaming, policies={"ordinary.cedar": ORDINARY})
    place.gate.serve()
    try:
        assert place.through.psql("-c", "SELECT 1").stdout == "1\n"
        for word in ("database", "true"):
            done = place.through_with(replication=word).psql("-c", "IDENTIFY_SYSTEM")
            assert done.returncode == 2
            assert "no policy lets this identity connect here with these options" in done.stderr
            assert "replicate" in done.stderr
        assert eventually(lambda: place.ask("SELECT count(*) FROM pg_stat_replication")) == "0"
    finally:
        place.gate.stop()
