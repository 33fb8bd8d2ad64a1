# SPDX-License-Identifier: Apache-2.0
"""While a statement waits for people: locks, cancels, clients that go, gates that die, and words that come back."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from support.approvers import Approvers
from support.held import connect, grant, held, make_tables, newest, pending, refusal, total
from support.servers import eventually
from throwaway_postgres import Postgres

WAIT = "UPDATE waits SET price = price + 1 WHERE id = 1"
Agent = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="module")
def desk(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvers]:
    folder = tmp_path_factory.mktemp("ap_wait") / "gate"
    with held(folder, server, "ap_wait", transaction_wait_s=8, wait_s=60) as desk:
        yield desk


@pytest.fixture
def agent(desk: Approvers) -> Iterator[Agent]:
    if desk.place.gate.process is None:
        desk.place.gate.serve()
    make_tables(desk.place)
    with connect(desk) as connection:
        yield connection


def locks(desk: Approvers, table: str) -> int:
    """How many locks there are on a table."""
    sql = f"SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND mode = 'RowExclusiveLock'"
    return int(desk.place.ask(sql))


def start(desk: Approvers, *commands: str) -> tuple[subprocess.Popen[str], str]:
    """Start psql with a command that waits; the process and the request."""
    known = pending(desk)
    process = desk.place.through.start_psql(*[word for command in commands for word in ("-c", command)])
    return process, newest(desk, known)


def test_pg_41_a_wait_in_a_transaction_ends_it_and_its_locks(desk: Approvers, agent: Agent) -> None:
    desk.place.ask("CREATE TABLE IF NOT EXISTS free (a int); TRUNCATE free")
    agent.execute("BEGIN")
    agent.execute("INSERT INTO free VALUES (1)")
    assert locks(desk, "free") == 1
    begun = time.monotonic()
    told = refusal(agent, WAIT)
    assert 7 < time.monotonic() - begun < 20
    assert (told["code"], told["sqlstate"]) == ("approval.pending", "42501")
    assert agent.info.transaction_status is psycopg.pq.TransactionStatus.INERROR
    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        agent.execute("SELECT 1")
    eventually(lambda: locks(desk, "free") == 0)
    assert agent.execute("COMMIT").statusmessage == "ROLLBACK"
    assert desk.place.ask("SELECT count(*) FROM free") == "0"
    # Its request can still be granted, and serves the same statement outside.
    grant(desk, str(told["request"]))
    agent.execute(WAIT.encode())
    assert desk.state(str(told["request"])) == "used"


def test_pg_41_a_denial_in_a_transaction_fails_it(desk: Approvers, agent: Agent) -> None:
    desk.place.ask("CREATE TABLE IF NOT EXISTS free (a int); TRUNCATE free")
    process, request = start(desk, "BEGIN; INSERT INTO free VALUES (1)", WAIT, "SELECT 'after'", "COMMIT")
    desk.vote(request, "ana", "--reason", "not in office hours", verb="deny")
    out, err = process.communicate(timeout=20)
    assert f"ERROR:  gatebook: approval {request} was denied: not in office hours" in err
    assert "current transaction is aborted" in err
    assert "after" not in out
    assert desk.place.ask("SELECT count(*) FROM free") == "0"
    assert total(desk.place, "waits") == 0


def test_pg_41_consent_in_a_transaction_lets_it_go_on(desk: Approvers, agent: Agent) -> None:
    known = pending(desk)
    agent.execute("BEGIN")
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(agent.execute, WAIT.encode())
        request = newest(desk, known)
        grant(desk, request)
        running.result(20)
    agent.execute("COMMIT")
    assert total(desk.place, "waits") == 1


def test_a_notice_tells_who_is_asked_and_which_request(desk: Approvers, agent: Agent) -> None:
    notices: list[str] = []
    agent.add_notice_handler(lambda diag: notices.append(f"{diag.message_primary} {diag.message_detail}"))
    known = pending(desk)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(agent.execute, WAIT.encode())
        request = newest(desk, known)
        grant(desk, request)
        running.result(20)
    (notice,) = notices
    assert notice.startswith(f"gatebook: this waits for approval by 1 of `dba`: request {request}")
    assert f'"request": "{request}"' in notice
    assert '"expires": "' in notice


def test_ctrl_c_gives_the_wait_up_as_it_would_a_query_that_runs(desk: Approvers, agent: Agent) -> None:
    process, request = start(desk, WAIT)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "Cancel request sent" in err
    assert "ERROR:  the request for approval was cancelled by its client" in err
    eventually(lambda: desk.state(request) == "cancelled")
    assert "the request is cancelled already" in desk.vote(request, "ana")
    assert total(desk.place, "waits") == 0


def test_a_cancel_by_the_driver_gives_the_wait_up(desk: Approvers, agent: Agent) -> None:
    known = pending(desk)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(refusal, agent, WAIT)
        request = newest(desk, known)
        agent.cancel_safe()
        told = running.result(20)
    assert (told["code"], told["sqlstate"]) == ("approval.cancelled", "57014")
    eventually(lambda: desk.state(request) == "cancelled")
    assert agent.execute("SELECT 1").fetchone() == (1,)


def test_a_client_that_goes_takes_its_request_with_it(desk: Approvers, agent: Agent) -> None:
    process, request = start(desk, WAIT)
    process.kill()
    process.communicate()
    eventually(lambda: desk.state(request) == "cancelled")
    assert "the request is cancelled already" in desk.vote(request, "ana")
    assert total(desk.place, "waits") == 0


def test_a_client_that_goes_while_people_consent_runs_nothing_without_it(desk: Approvers, agent: Agent) -> None:
    process, request = start(desk, WAIT)
    with ThreadPoolExecutor(1) as thread:
        voting = thread.submit(desk.vote, request, "ana")
        process.kill()
        process.communicate()
        voting.result(30)
    eventually(lambda: desk.state(request) in {"cancelled", "granted", "used"})
    ran, state = total(desk.place, "waits"), desk.state(request)
    assert ran <= 1
    assert ran == 0 or state == "used"


def test_a_gate_that_died_lets_what_people_granted_meanwhile_run(desk: Approvers, agent: Agent) -> None:
    process, request = start(desk, WAIT)
    agent.close()
    desk.place.gate.stop(signal.SIGKILL)
    process.communicate(timeout=20)
    grant(desk, request)
    desk.place.gate.serve()
    with connect(desk) as again:
        again.execute(WAIT.encode())
    assert desk.state(request) == "used"
    assert total(desk.place, "waits") == 1


def test_a_gate_that_stops_ends_what_waits_and_nothing_of_it_runs(desk: Approvers, agent: Agent) -> None:
    process, request = start(desk, WAIT)
    agent.close()
    desk.place.gate.stop()
    process.communicate(timeout=20)
    assert process.returncode != 0
    assert desk.state(request) == "cancelled"
    desk.place.gate.serve()
    assert total(desk.place, "waits") == 0


def test_a_request_of_a_gate_that_died_is_voted_on_after_its_start(desk: Approvers, agent: Agent) -> None:
    process, request = start(desk, WAIT)
    agent.close()
    desk.place.gate.stop(signal.SIGKILL)
    process.communicate(timeout=20)
    desk.place.gate.serve()
    known = pending(desk)
    assert request in known
    waiting = desk.place.through.start_psql("-c", WAIT)
    eventually(lambda: desk.show(request)["session"] != "")
    grant(desk, request)
    out, err = waiting.communicate(timeout=20)
    assert out == "UPDATE 1\n", err
    assert desk.state(request) == "used"
    assert pending(desk) == known - {request}


def test_the_session_of_a_revoked_key_waits_no_longer(desk: Approvers, agent: Agent) -> None:
    other = desk.place.gate.create_key("other")
    known = pending(desk)
    dsn = desk.place.through_with(other).dsn
    with psycopg.connect(dsn, autocommit=True) as connection, ThreadPoolExecutor(1) as thread:
        running = thread.submit(_fails, connection)
        request = newest(desk, known)
        desk.place.gate.run("key", "revoke", other.id)
        assert running.result(20)
    eventually(lambda: desk.state(request) == "cancelled")
    assert total(desk.place, "waits") == 0


def _fails(connection: Agent) -> bool:
    try:
        connection.execute(WAIT.encode())
    except psycopg.Error:
        return True
    return False


def test_other_sessions_go_on_while_many_wait(desk: Approvers, agent: Agent) -> None:
    waiting = [desk.place.through.start_psql("-c", WAIT.replace("+ 1", f"+ {n}")) for n in range(12)]
    eventually(lambda: len(pending(desk)) >= 12, within_s=30)
    begun = time.monotonic()
    for _ in range(20):
        agent.execute("SELECT 1")
    assert time.monotonic() - begun < 5
    for process in waiting:
        process.kill()
        process.communicate()
    assert total(desk.place, "waits") == 0


def test_the_book_of_all_this_verifies(desk: Approvers, agent: Agent) -> None:
    desk.place.gate.run("sessions", "list")
    report = desk.place.gate.ask("ledger", "verify", check=False)
    assert isinstance(report, dict)
    assert report["findings"] == []
