# SPDX-License-Identifier: Apache-2.0
"""What a client meets when something behind the gate fails or is slow, and that others do not."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import throwaway_postgres


@pytest.fixture
def alone(folder: Path) -> Iterator[Place]:
    """A server and a gate of the test's own, to be broken."""
    with throwaway_postgres() as server:
        make_database(server)
        place = make_place(folder, server)
        place.gate.serve()
        yield place
        place.gate.stop()


def test_a_target_that_is_down_is_told_and_comes_back(alone: Place) -> None:
    assert alone.through.psql("-c", "SELECT 1").stdout == "1\n"
    alone.server.stop()
    done = alone.through.psql("-c", "SELECT 1")
    assert done.returncode == 2
    assert "upstream.failed" in done.stderr
    alone.server.start()
    eventually(lambda: alone.through.psql("-c", "SELECT 2").stdout == "2\n")
    assert alone.gate.ask("ledger", "verify")["ok"] is True  # type: ignore[index]  # an object, by its reference page


def test_a_locked_catalogue_is_done_without_and_read_again(alone: Place) -> None:
    with psycopg.connect(alone.through.dsn, autocommit=True) as client:
        client.execute("CREATE TABLE seen (n int)")
        assert client.execute("SELECT count(*) FROM seen").fetchone() == (0,)
        with psycopg.connect(alone.server.url(alone.database), autocommit=False) as locker:
            locker.execute("LOCK pg_catalog.pg_class IN ACCESS EXCLUSIVE MODE")
            time.sleep(2.5)  # a poll has met the lock
            assert client.execute("SELECT 'decided'").fetchone() == ("decided",)
        assert client.execute("SELECT max(n) FROM seen").fetchone() == (None,)


def test_a_server_that_crashes_ends_its_sessions_with_a_cause(alone: Place) -> None:
    before = alone.known_sessions()
    psql = alone.through.start_psql("-c", "SELECT pg_sleep(40)")
    eventually(lambda: alone.ask("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(40)'") == "1")
    alone.server.stop(signal.SIGQUIT)
    _, error = psql.communicate(timeout=20)
    assert psql.returncode == 2
    assert error != ""
    (session,) = [one for one in alone.gate.sessions() if one["session"] not in before]
    assert session["cause"] in {"upstream closed", "upstream lost"}


def test_stopping_the_gate_lets_a_running_statement_end(alone: Place) -> None:
    psql = alone.through.start_psql("-c", "SELECT pg_sleep(2), 'finished'")
    asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(2)%' AND pid <> pg_backend_pid()"
    eventually(lambda: alone.ask(asked) != "0")
    assert alone.gate.stop() == 0
    output, _ = psql.communicate(timeout=20)
    assert output == "|finished\n"
    assert alone.gate.ask("ledger", "verify")["ok"] is True  # type: ignore[index]  # as above


def test_an_idle_session_is_told_that_the_gate_stops(alone: Place) -> None:
    with psycopg.connect(alone.through.dsn, autocommit=True) as connection:
        connection.execute("SELECT 1")
        assert alone.gate.stop() == 0
        with pytest.raises(psycopg.OperationalError, match="gate"):
            connection.execute("SELECT 1")


def test_a_second_gate_on_the_same_data_refuses_to_start(alone: Place) -> None:
    done = alone.gate.run("serve", check=False)
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "hint: " in done.stderr


def test_slow_decisions_of_one_session_do_not_delay_another(place: Place) -> None:
    """One session asks for decisions that take long, one after another; the other's kept decisions stay quick."""
    stop = threading.Event()
    asked: list[float] = []

    def flood() -> None:
        with psycopg.connect(place.through.dsn, autocommit=True) as connection:
            while not stop.is_set():
                began = time.monotonic()
                elements = ", ".join(f"{number} + 0" for number in range(15_000 + len(asked)))
                connection.execute(f"SELECT 1 WHERE 1 IN ({elements})")
                asked.append(time.monotonic() - began)

    with psycopg.connect(place.through.dsn, autocommit=True) as connection:
        connection.execute("SELECT name FROM things WHERE id = 1")
        thread = threading.Thread(target=flood)
        thread.start()
        took: list[float] = []
        end = time.monotonic() + 5
        while time.monotonic() < end:
            began = time.monotonic()
            connection.execute(f"SELECT name FROM things WHERE id = {len(took) % 1000}")
            took.append(time.monotonic() - began)
            time.sleep(0.002)
        stop.set()
        thread.join(30)
    took.sort()
    assert len(asked) >= 2, "the flood asked too little"
    assert max(asked) > 0.1, "the decisions were not slow"
    assert took[len(took) // 2] < 0.02
    assert took[int(len(took) * 0.99)] < 0.2
