# SPDX-License-Identifier: Apache-2.0
"""psycopg 3 through the gate: text, binary, pipeline, prepared statements, COPY, cursors, cancel, notifications."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from support.servers import Place, Way, eventually

ALL = "SELECT id, name, price, made, raw, tags FROM things ORDER BY id"


@pytest.fixture
def connection(place: Place) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(place.through.dsn, autocommit=True) as made:
        yield made


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_results_equal_those_of_a_direct_connection(place: Place, *, binary: bool) -> None:
    def read(way: Way) -> list[tuple[Any, ...]]:
        with psycopg.connect(way.dsn) as one, one.cursor(binary=binary) as cursor:
            return cursor.execute(ALL).fetchall()

    rows = read(place.through)
    expected = (1, "thing 1", Decimal("1.25"), date(2024, 1, 2), hashlib.md5(b"1").digest(), ["a1", None, "c"])
    assert rows[0] == expected
    assert rows == read(place.direct)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_parameters_of_every_kind_arrive(connection: psycopg.Connection[Any], *, binary: bool) -> None:
    mark = "%b" if binary else "%t"
    values = (7, "it's; DROP", Decimal("1.50"), date(2020, 2, 29), b"\x00\xff", None, ["a", None], True)
    casts = ("int8", "text", "numeric", "date", "bytea", "text", "text[]", "bool")
    sql = f"SELECT {', '.join(f'{mark}::{cast}' for cast in casts)}"
    assert connection.execute(sql, values).fetchone() == values


def test_bind_parameters_stand_in_the_book(place: Place) -> None:
    before = place.known_sessions()
    with psycopg.connect(place.through.dsn, autocommit=True) as one:
        one.execute("SELECT name FROM things WHERE id = %s", (42,)).fetchone()
    bound = [operation for operation in place.operations_since(before) if operation["via"] == "bind"]
    assert [operation["rows"] for operation in bound] == [1]
    assert bound[0]["private"]["params"] != []


def test_a_prepared_statement_runs_many_times(connection: psycopg.Connection[Any]) -> None:
    names = [
        connection.execute("SELECT name FROM things WHERE id = %s", (number,), prepare=True).fetchone()
        for number in range(1, 101)
    ]
    assert names == [(f"thing {number}",) for number in range(1, 101)]


def test_a_pipeline_answers_in_order(connection: psycopg.Connection[Any]) -> None:
    with connection.pipeline():
        cursors = [connection.execute("SELECT name FROM things WHERE id = %s", (number,)) for number in range(1, 301)]
        assert [cursor.fetchone() for cursor in cursors] == [(f"thing {number}",) for number in range(1, 301)]


def test_an_error_in_a_pipeline_aborts_what_follows_up_to_the_sync(connection: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero), connection.pipeline():  # noqa: PT012  the pipeline raises at its end
        connection.execute("SELECT 1")
        connection.execute("SELECT 1/0")
        connection.execute("SELECT 2")
    assert connection.execute("SELECT 3").fetchone() == (3,)


def test_executemany_inserts_every_row(place: Place, connection: psycopg.Connection[Any]) -> None:
    place.ask("CREATE TABLE many (x int)")
    with connection.cursor() as cursor:
        cursor.executemany("INSERT INTO many VALUES (%s)", [(number,) for number in range(500)])
    assert place.ask("SELECT count(*), sum(x) FROM many") == "500|124750"


def test_a_server_side_cursor_fetches_in_portions(place: Place) -> None:
    with psycopg.connect(place.through.dsn) as one, one.cursor(name="portions") as cursor:
        cursor.itersize = 64
        cursor.execute("SELECT id FROM things ORDER BY id")
        assert [row[0] for row in cursor] == list(range(1, 1001))


def test_copy_out_and_in_carry_a_million_bytes(place: Place, connection: psycopg.Connection[Any]) -> None:
    place.ask("CREATE TABLE blobs (id int, body text)")
    with connection.cursor() as cursor:
        with cursor.copy("COPY blobs FROM STDIN") as copy:
            for number in range(1000):
                copy.write_row((number, f"{number:04}" * 300))
        with cursor.copy("COPY (SELECT body FROM blobs ORDER BY id) TO STDOUT") as copy:
            received = b"".join(bytes(block) for block in copy)
    assert (
        hashlib.sha256(received).digest()
        == hashlib.sha256(b"".join(f"{number:04}".encode() * 300 + b"\n" for number in range(1000))).digest()
    )


def test_a_copy_in_that_the_client_gives_up_stores_nothing(place: Place, connection: psycopg.Connection[Any]) -> None:
    place.ask("CREATE TABLE given_up (x int)")

    def give_up() -> None:
        with connection.cursor() as cursor, cursor.copy("COPY given_up FROM STDIN") as copy:
            copy.write_row((1,))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        give_up()
    assert connection.execute("SELECT count(*) FROM given_up").fetchone() == (0,)


def test_a_result_of_a_hundred_megabytes_arrives_byte_for_byte(place: Place) -> None:
    sql = "COPY (SELECT md5(i::text) || repeat(chr(97 + i % 26), 4000) FROM generate_series(1, 25000) AS i) TO STDOUT"

    def digest(way: Way) -> tuple[int, str]:
        size, hashed = 0, hashlib.sha256()
        with psycopg.connect(way.dsn) as one, one.cursor() as cursor, cursor.copy(sql) as copy:
            for block in copy:
                size += len(block)
                hashed.update(block)
        return size, hashed.hexdigest()

    through = digest(place.through)
    assert through[0] == 25_000 * 4033
    assert through == digest(place.direct)


def test_a_result_of_a_million_rows_arrives_whole(connection: psycopg.Connection[Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT i, repeat('y', 60) FROM generate_series(1, 1000000) AS i")
        assert cursor.rowcount == 1_000_000
        assert sum(row[0] for row in cursor) == 500_000_500_000


def test_cancel_stops_a_running_statement(connection: psycopg.Connection[Any]) -> None:
    began = time.monotonic()
    threading.Timer(0.5, connection.cancel_safe).start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(30)")
    assert time.monotonic() - began < 10
    assert connection.execute("SELECT 1").fetchone() == (1,)


def test_notifications_cross_from_one_session_to_another(place: Place, connection: psycopg.Connection[Any]) -> None:
    connection.execute("LISTEN bell")
    with psycopg.connect(place.through.dsn, autocommit=True) as other:
        other.execute("SELECT pg_notify('bell', 'from the other')")
    (notification,) = list(connection.notifies(timeout=10, stop_after=1))
    assert (notification.channel, notification.payload) == ("bell", "from the other")


def test_savepoints_and_rollback_leave_what_they_should(place: Place) -> None:
    place.ask("CREATE TABLE points (x int)")
    with psycopg.connect(place.through.dsn) as one:
        one.execute("INSERT INTO points VALUES (1)")
        with pytest.raises(psycopg.errors.DivisionByZero), one.transaction():
            one.execute("INSERT INTO points SELECT 2 / x FROM (VALUES (1), (0)) AS v (x)")
        one.execute("INSERT INTO points VALUES (3)")
    assert place.ask("SELECT array_agg(x) FROM points") == "{1,3}"


def test_names_of_the_open_transaction_and_temporary_tables_resolve(connection: psycopg.Connection[Any]) -> None:
    with connection.transaction():
        connection.execute("CREATE TEMPORARY TABLE mine (x int)")
        connection.execute("INSERT INTO mine SELECT generate_series(1, 3)")
        assert connection.execute("SELECT sum(x) FROM mine").fetchone() == (6,)


def test_the_process_id_is_that_of_the_server(connection: psycopg.Connection[Any]) -> None:
    assert connection.execute("SELECT pg_backend_pid()").fetchone() == (connection.info.backend_pid,)


def test_a_lost_server_process_is_told_and_the_session_ends(place: Place, connection: psycopg.Connection[Any]) -> None:
    process = connection.info.backend_pid
    place.ask(f"SELECT pg_terminate_backend({process})")
    eventually(lambda: place.ask(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {process}") == "0")
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    assert connection.closed
