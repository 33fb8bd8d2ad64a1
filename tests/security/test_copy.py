# SPDX-License-Identifier: Apache-2.0
"""COPY as a way around the policy or the book, and statements that clients put together themselves."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

from gatebook.vault.journal import Faults, JournalReader

POLICY = """
@id("everything") permit (principal, action, resource);
@id("no-wages") forbid (principal, action, resource in Relation::"work.copied.public.wages");
"""
FORMATS = ("text", "csv", "binary")


@pytest.fixture(scope="module")
def copied(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    make_database(server, "copied")
    place = make_place(tmp_path_factory.mktemp("copied") / "gate", server, "copied", policies={"c.cedar": POLICY})
    place.ask("CREATE TABLE wages (name text, wage int); INSERT INTO wages VALUES ('Ada', 4711)")
    place.ask("CREATE TABLE open (x int, y text); INSERT INTO open SELECT i, 'row ' || i FROM generate_series(1, 5) i")
    place.gate.serve()
    yield place
    place.gate.stop()


@pytest.fixture
def connection(copied: Place) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(copied.through.dsn, autocommit=True) as made:
        yield made


def newest(place: Place, event: str) -> dict[str, Any]:
    folder = place.gate.data / "journal" / "gatebook"

    def found() -> list[dict[str, Any]]:
        leaves = [json.loads(record.leaf) for record in JournalReader(folder, Faults()).read()]
        return [leaf for leaf in leaves if leaf["event"] == event]

    return eventually(found)[-1]


def copy_data(piece: bytes) -> bytes:
    """The CopyData message that carries a piece."""
    return b"d" + struct.pack(">I", len(piece) + 4) + piece


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("what", ["wages", "(SELECT * FROM wages)", "(SELECT o.x FROM open o JOIN wages w ON true)"])
def test_pg_03_copy_out_of_what_may_not_be_read_is_refused_in_every_form(
    connection: psycopg.Connection[Any], form: str, what: str
) -> None:
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        connection.cursor().copy(f"COPY {what} TO STDOUT (FORMAT {form})") as copy,
    ):
        copy.read()
    assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("form", FORMATS)
def test_pg_03_bytes_that_were_copied_out_are_counted_and_hashed(
    copied: Place, connection: psycopg.Connection[Any], form: str
) -> None:
    with connection.cursor().copy(f"COPY open TO STDOUT (FORMAT {form})") as copy:
        messages = b"".join(copy_data(bytes(piece)) for piece in copy)
    connection.execute("SELECT 1")  # an outcome is written before the next statement runs
    folder = copied.gate.data / "journal" / "gatebook"
    effects = [
        leaf["effect"]
        for record in JournalReader(folder, Faults()).read()
        if (leaf := json.loads(record.leaf))["event"] == "operation.outcome"
    ]
    effect = [effect for effect in effects if effect.get("tag") == "COPY 5" and "received_bytes" not in effect][-1]
    assert effect["bytes"] == len(messages)
    assert effect["result"] == f"sha256:{hashlib.sha256(messages).hexdigest()}"


def test_pg_04_copy_in_to_what_may_not_be_written_is_refused_and_nothing_is_stored(
    copied: Place, connection: psycopg.Connection[Any]
) -> None:
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        connection.cursor().copy("COPY wages FROM STDIN") as copy,
    ):
        copy.write(b"Eve\t1\n")
    assert newest(copied, "operation.refused")["action"]["verb"] == "COPY"
    assert copied.ask("SELECT string_agg(name, ' ') FROM wages") == "Ada"


def test_pg_04_data_that_was_copied_in_is_counted_and_hashed(
    copied: Place, connection: psycopg.Connection[Any]
) -> None:
    data = b"".join(b"%d\tnew %d\n" % (number, number) for number in range(1000))
    with connection.cursor().copy("COPY open FROM STDIN") as copy:
        copy.write(data)
    connection.execute("DELETE FROM open WHERE y LIKE 'new %'")
    folder = copied.gate.data / "journal" / "gatebook"
    effects = [
        leaf["effect"]
        for record in JournalReader(folder, Faults()).read()
        if (leaf := json.loads(record.leaf))["event"] == "operation.outcome"
    ]
    (effect,) = [effect for effect in effects if effect.get("tag") == "COPY 1000"]
    assert effect["received_bytes"] == len(copy_data(data))
    assert effect["received_sha256"] == f"sha256:{hashlib.sha256(copy_data(data)).hexdigest()}"


@pytest.mark.parametrize(
    ("sql", "value", "answer"),
    [
        ("SELECT 42 -%s", -1, 43),
        ("SELECT 42 - %s -- and no more", -1, 43),
        ("SELECT length(%s)", "it's \\ -- /* $1", 15),
        ("SELECT (%s)::text = '-1'", -1, True),
    ],
)
def test_pg_14_what_a_client_puts_together_itself_means_what_it_does_directly(
    copied: Place, sql: str, value: object, answer: object
) -> None:
    for way in (copied.direct, copied.through):
        with psycopg.connect(way.dsn, cursor_factory=psycopg.ClientCursor) as connection:
            assert connection.execute(sql, (value,)).fetchone() == (answer,)


def test_pg_14_the_statement_that_stands_for_a_refused_one_holds_nothing_of_it(
    copied: Place, connection: psycopg.Connection[Any]
) -> None:
    with connection.transaction(force_rollback=True), pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT wage /* 'marked by me' */ FROM wages")
    log = copied.server.log_path.read_text(errors="replace")
    assert "gatebook refused operation s_" in log
    assert "marked by me" not in log
