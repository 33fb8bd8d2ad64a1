# SPDX-License-Identifier: Apache-2.0
"""The catalogue of a real PostgreSQL, and the facts of a real session, are what the gate believes them to be."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from gatebook.model.operation import ObjectKind, ObjectRef
from gatebook.protocols.postgres.catalogue import STARTUP, Catalogue, CatalogueFault, parse_answer
from gatebook.protocols.postgres.facts import FACTS_QUERY, FactsFault, parse_facts
from gatebook.protocols.postgres.functions import KNOWN_SAFE, QUIET

Rows = Sequence[Sequence[bytes | None]]
Run = Callable[[str, str, str], Awaitable[Rows]]


def _binaries() -> Path | None:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    found = installed[-1] if installed else Path(on_path) if on_path else None
    return found.parent if found else None


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A throwaway server; its connection string."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed here")
    folder = Path(tempfile.mkdtemp(prefix="gatebook-catalogue-"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uid = gid = None
    if os.geteuid() == 0:  # initdb refuses root
        entry = pwd.getpwnam("postgres")
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        uid, gid = entry.pw_uid, entry.pw_gid

    def run(*command: str) -> None:
        quiet = subprocess.DEVNULL
        subprocess.run(command, check=True, stdout=quiet, stderr=quiet, user=uid, group=gid, cwd=folder)

    data = str(folder / "data")
    run(str(binaries / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8")
    options = f"-p {port} -k {folder} -c fsync=off -c listen_addresses="
    run(str(binaries / "pg_ctl"), "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    yield f"host={folder} port={port} user=postgres dbname=postgres"
    run(str(binaries / "pg_ctl"), "-D", data, "-m", "immediate", "-w", "stop")
    shutil.rmtree(folder, ignore_errors=True)


def _rows(connection: psycopg.Connection, sql: str, *parameters: str) -> Rows:
    result = connection.pgconn.exec_params(sql.encode(), [parameter.encode() for parameter in parameters] or None)
    assert result.status == psycopg.pq.ExecStatus.TUPLES_OK, result.error_message
    return [[result.get_value(row, column) for column in range(result.nfields)] for row in range(result.ntuples)]


@pytest.fixture
def owner(server: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS public CASCADE")
        connection.execute("DROP SCHEMA IF EXISTS audit CASCADE")
        connection.execute("CREATE SCHEMA public")
        yield connection


@pytest.fixture
def run(server: str) -> Iterator[Run]:
    options = " ".join(f"-c {name}={value}" for name, value in STARTUP if name != "client_encoding")
    with psycopg.connect(server, autocommit=True, options=options, client_encoding="UTF8") as connection:

        async def _run(sql: str, *parameters: str) -> Rows:
            return _rows(connection, sql, *parameters)

        yield _run


def _refresh(catalogue: Catalogue, run: Run) -> bool:
    return asyncio.run(catalogue.refresh(run))


def test_sees_relations_with_columns_in_order_and_kinds(owner: psycopg.Connection, run: Run) -> None:
    owner.execute("CREATE TABLE orders (id serial, gone int, total numeric); ALTER TABLE orders DROP COLUMN gone")
    owner.execute("CREATE VIEW totals AS SELECT total FROM orders")
    catalogue = Catalogue()
    assert _refresh(catalogue, run)
    public = catalogue.view.schemas["public"]
    assert {name: relation.kind for name, relation in public.relations.items()} == {
        "orders": "table",
        "orders_id_seq": "sequence",
        "totals": "view",
    }
    assert public.relations["orders"].columns == ("id", "total")
    ref = ObjectRef(ObjectKind.RELATION, ("shop", "postgres", "public", "totals"))
    assert catalogue.view.kind_of(ref) == "view"
    assert catalogue.view.kind_of(ObjectRef(ObjectKind.RELATION, ("shop", "postgres", "public", "x"))) == "unknown"


def test_sees_functions_operators_types_and_casts_of_users(owner: psycopg.Connection, run: Run) -> None:
    owner.execute("CREATE FUNCTION f(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    owner.execute("CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = f)")
    owner.execute("CREATE TYPE mood AS ENUM ('ok')")
    owner.execute("CREATE FUNCTION m(int) RETURNS mood LANGUAGE sql AS 'SELECT NULL::mood'")
    owner.execute("CREATE CAST (int AS mood) WITH FUNCTION m(int)")
    catalogue = Catalogue()
    _refresh(catalogue, run)
    public = catalogue.view.schemas["public"]
    assert public.functions == {"f", "m"}
    assert public.operators == {"###"}
    assert public.types == {"mood": "e", "_mood": "b"}
    assert catalogue.view.casts == {("public", "mood")}
    assert catalogue.view.planted_functions == frozenset()


def test_what_is_put_into_pg_catalog_is_marked(owner: psycopg.Connection, run: Run) -> None:
    owner.execute("SET allow_system_table_mods = on")
    owner.execute("CREATE FUNCTION pg_catalog.upper(int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    try:
        catalogue = Catalogue()
        _refresh(catalogue, run)
        assert catalogue.view.planted_functions == {"upper"}
    finally:
        owner.execute("DROP FUNCTION pg_catalog.upper(int)")


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE fresh (id int)",
        "DROP TABLE old",
        "ALTER TABLE old RENAME TO other",
        "ALTER TABLE old RENAME COLUMN id TO nr",
        "ALTER TABLE old ADD COLUMN note text",
        "ALTER TABLE old DROP COLUMN id",
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA audit",
        "CREATE TYPE mood AS ENUM ('ok')",
        "ALTER TABLE old SET SCHEMA pg_catalog",
        "DROP TABLE old; CREATE TABLE old (nr int)",
        "CREATE SCHEMA audit; ALTER TABLE old SET SCHEMA audit; ALTER SCHEMA audit RENAME TO audits",
        "CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)",
        "DROP SCHEMA public CASCADE",
    ],
)
def test_notices_every_change_of_a_name(owner: psycopg.Connection, run: Run, change: str) -> None:
    owner.execute("CREATE TABLE old (id int)")
    catalogue = Catalogue()
    _refresh(catalogue, run)
    assert not _refresh(catalogue, run)
    owner.execute("SET allow_system_table_mods = on")
    owner.execute(change)
    assert _refresh(catalogue, run)
    assert not _refresh(catalogue, run)
    # What was read change by change is what is read at once.
    afresh = Catalogue()
    _refresh(afresh, run)
    assert replace(catalogue.view, revision=1) == afresh.view
    owner.execute("DROP TABLE IF EXISTS pg_catalog.old")


def test_what_a_transaction_did_that_was_open_while_it_was_read_is_seen_later(
    server: str, owner: psycopg.Connection, run: Run
) -> None:
    owner.execute("CREATE TABLE old (id int)")
    catalogue = Catalogue()
    with psycopg.connect(server) as open_one:
        open_one.execute("CREATE TABLE early (id int); ALTER TABLE old RENAME COLUMN id TO nr")
        owner.execute("CREATE TABLE late (id int)")
        _refresh(catalogue, run)
        assert set(catalogue.view.schemas["public"].relations) == {"old", "late"}
        owner.execute("CREATE TABLE later (id int)")
        assert _refresh(catalogue, run)
        open_one.commit()
    assert _refresh(catalogue, run)
    relations = catalogue.view.schemas["public"].relations
    assert set(relations) == {"old", "late", "later", "early"}
    assert relations["old"].columns == ("nr",)


def test_a_catalogue_that_is_read_from_the_start_again_and_is_the_same_is_no_change(
    owner: psycopg.Connection, run: Run
) -> None:
    owner.execute("CREATE TABLE old (id int)")
    catalogue = Catalogue()
    _refresh(catalogue, run)
    catalogue.forget()
    assert not _refresh(catalogue, run)
    owner.execute("DROP TABLE old")
    catalogue.forget()
    assert _refresh(catalogue, run)


def test_refuses_a_catalogue_that_does_not_hold_what_it_counts() -> None:
    part = '{"count":1,"oids":[],"rows":[]}'
    kinds = "".join(f',"{kind}":{part}' for kind in ("relations", "functions", "operators", "types"))
    answer = '{"path":"pg_catalog","horizon":700,"schemas":[],"casts":[]' + kinds + "}"

    async def run(_sql: str, *_parameters: str) -> Rows:
        return [[answer.encode()]]

    with pytest.raises(CatalogueFault, match="counts"):
        _refresh(Catalogue(), run)


def test_temporary_objects_and_data_are_no_change(owner: psycopg.Connection, run: Run) -> None:
    owner.execute("CREATE TABLE old (id int)")
    catalogue = Catalogue()
    _refresh(catalogue, run)
    owner.execute("CREATE TEMPORARY TABLE mine (id int)")
    owner.execute("INSERT INTO old VALUES (1)")
    owner.execute("VACUUM ANALYZE old")
    assert not _refresh(catalogue, run)


def test_refuses_a_catalogue_read_under_another_path(owner: psycopg.Connection) -> None:
    async def run(sql: str, *parameters: str) -> Rows:
        return _rows(owner, sql, *parameters)

    with pytest.raises(CatalogueFault, match="search_path"):
        _refresh(Catalogue(), run)


def test_refuses_an_answer_of_another_form() -> None:
    for answer in (b"", b"[]", b"{}", b'{"path":1}'):
        with pytest.raises(CatalogueFault):
            parse_answer(answer)


def test_refuses_an_answer_beyond_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.protocols.postgres.catalogue.VIEW_BYTES", 3)
    with pytest.raises(CatalogueFault, match="larger"):
        parse_answer(b"{}  ")


@pytest.mark.parametrize("rows", [[], [[]], [[None]], [[b"1", b"2"]], [[b"1"], [b"2"]]])
def test_refuses_anything_but_one_value(rows: Rows) -> None:
    async def run(_sql: str, *_parameters: str) -> Rows:
        return rows

    with pytest.raises(CatalogueFault, match="one value"):
        _refresh(Catalogue(), run)


def test_only_relations_have_a_kind() -> None:
    assert Catalogue().view.kind_of(ObjectRef(ObjectKind.DATABASE, ("shop", "postgres"))) == "unknown"


def test_facts_tell_how_names_resolve_in_this_session(owner: psycopg.Connection) -> None:
    owner.execute("CREATE SCHEMA audit; SET search_path = audit, nowhere, public")
    owner.execute("CREATE TEMPORARY TABLE mine (id int, note text)")
    facts = parse_facts(_rows(owner, FACTS_QUERY)[0])
    assert facts.schemas == ("pg_temp", "pg_catalog", "audit", "public")
    assert facts.creation_schema == "audit"
    assert facts.session_user == "postgres"
    assert facts.temp_relations["mine"].columns == ("id", "note")
    assert facts.standard_conforming_strings


def test_asking_for_the_facts_does_not_make_the_temporary_schema(owner: psycopg.Connection) -> None:
    for path in ("pg_temp, public", '"pg_temp"'):
        owner.execute(f"SET search_path = {path}")
        with pytest.raises(FactsFault, match="not there yet"):
            parse_facts(_rows(owner, FACTS_QUERY)[0])
        assert _rows(owner, "SELECT pg_my_temp_schema()") == [[b"0"]]
    owner.execute("CREATE TABLE mine (id int)")
    assert parse_facts(_rows(owner, FACTS_QUERY)[0]).creation_schema == "pg_temp"


def test_no_object_of_the_session_can_stand_in_for_the_facts(owner: psycopg.Connection) -> None:
    owner.execute(
        "CREATE FUNCTION public.current_schemas(boolean) RETURNS name[] LANGUAGE sql AS 'SELECT NULL::name[]'"
    )
    owner.execute("CREATE FUNCTION public.lie(oid, oid) RETURNS boolean LANGUAGE sql AS 'SELECT false'")
    owner.execute("CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.lie)")
    owner.execute("CREATE TEMPORARY TABLE pg_class (relname name, oid oid)")
    owner.execute("SET search_path = public, pg_temp, pg_catalog")
    facts = parse_facts(_rows(owner, FACTS_QUERY)[0])
    assert facts.schemas == ("public", "pg_temp", "pg_catalog")
    assert list(facts.temp_relations) == ["pg_class"]


def test_every_function_listed_as_known_is_the_servers_own(owner: psycopg.Connection) -> None:
    sql = "SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND provolatile = 'v'"
    volatile = {name for (name,) in owner.execute(sql).fetchall()}
    harmless = KNOWN_SAFE & volatile
    assert harmless <= {
        "clock_timestamp", "current_query", "gen_random_uuid", "pg_database_size", "pg_indexes_size",
        "pg_is_in_recovery", "pg_relation_size", "pg_table_size", "pg_total_relation_size", "random", "setseed",
        "timeofday",
    }  # fmt: skip
    assert KNOWN_SAFE.isdisjoint(QUIET)
    assert KNOWN_SAFE.isdisjoint({"set_config", "query_to_xml", "pg_read_file", "lo_import", "nextval", "ts_stat"})
