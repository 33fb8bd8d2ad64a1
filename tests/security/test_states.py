# SPDX-License-Identifier: Apache-2.0
"""What a session leaves behind: for the next one, in an open transaction, and in a portal that is resumed."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from support import pgwire
from support.raw import RawClient, kinds, refusal
from support.servers import TARGET, Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

POLICY = """
@id("everything") permit (principal, action, resource);
@id("no-drops") forbid (principal, action == Action::"drop", resource);
"""
LOCKED = "SELECT count(*) FROM pg_locks WHERE relation = 'held'::regclass AND mode = 'AccessExclusiveLock'"


@pytest.fixture(scope="module")
def brief(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gate that ends whoever is idle for two seconds."""
    make_database(server, "brief")
    place = make_place(tmp_path_factory.mktemp("brief") / "gate", server, "brief", policies={"brief.cedar": POLICY})
    place.gate.set("limits", idle_s=2)
    place.ask("CREATE TABLE held (x int); INSERT INTO held SELECT generate_series(1, 5)")
    place.gate.serve()
    yield place
    place.gate.stop()


@pytest.fixture
def client(brief: Place) -> Iterator[RawClient]:
    with RawClient(brief.gate.port, brief.gate.root) as made:
        yield made.start_tls().log_in("helper", brief.key.token, TARGET)


def test_pg_35_a_portal_that_is_resumed_is_counted_execution_by_execution(brief: Place, client: RawClient) -> None:
    before = brief.known_sessions() - {brief.gate.sessions()[-1]["session"]}
    answer = client.ask(
        pgwire.parse("SELECT x FROM held"),
        pgwire.bind(),
        pgwire.execute(rows=2),
        pgwire.execute(rows=2),
        pgwire.execute(),
        pgwire.SYNC,
    )
    assert kinds(answer) == "12DDsDDsDCZ"
    client.send(pgwire.TERMINATE)
    operations = brief.operations_since(before)
    bound = [one for one in operations if one["via"] == "bind"]
    assert [(one["verb"], one["status"], one["rows"]) for one in bound] == [("SELECT", "done", 5)]


def test_pg_40_a_session_finds_nothing_of_the_one_before(brief: Place) -> None:
    with psycopg.connect(brief.through.dsn, autocommit=True) as first:
        process = first.execute("SELECT pg_backend_pid()").fetchone()
        first.execute("CREATE TEMP TABLE mine (x int); SET work_mem = '77MB'; PREPARE mine AS SELECT 1")
        first.execute("SELECT pg_advisory_lock(42)")
    with psycopg.connect(brief.through.dsn, autocommit=True) as second:
        assert second.execute("SELECT pg_backend_pid()").fetchone() != process
        assert second.execute("SHOW work_mem").fetchone() != ("77MB",)
        with pytest.raises(psycopg.errors.UndefinedTable):
            second.execute("SELECT * FROM mine")
        with pytest.raises(psycopg.errors.InvalidSqlStatementName):
            second.execute("EXECUTE mine")
        eventually(lambda: brief.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == "0")


def test_pg_41_a_refusal_in_a_block_fails_the_block_and_its_locks_go_with_the_idle_session(
    brief: Place, client: RawClient
) -> None:
    client.ask(pgwire.query("BEGIN"))
    client.ask(pgwire.query("LOCK TABLE held"))
    assert brief.ask(LOCKED) == "1"
    answer = client.ask(pgwire.query("DROP TABLE held"))
    assert refusal(answer)["C"] == "42501"
    assert answer[-1] == ("Z", b"E")
    eventually(lambda: brief.ask(LOCKED) == "0")  # the server drops them with the failed block
    answer = client.read_to_end()
    assert refusal(answer)["C"] == "57P01"
    cause = eventually(lambda: brief.gate.sessions()[-1]["cause"])
    assert cause == "idle"


def test_pg_41_the_locks_of_an_open_block_are_released_when_its_client_falls_silent(
    brief: Place, client: RawClient
) -> None:
    client.ask(pgwire.query("BEGIN; LOCK TABLE held"))
    assert brief.ask(LOCKED) == "1"
    assert refusal(client.read_to_end())["C"] == "57P01"
    eventually(lambda: brief.ask(LOCKED) == "0")
