# SPDX-License-Identifier: Apache-2.0
"""Attacks by meaning: each hidden statement, name or effect is found, under the demo's policies and in its words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gatebook.model.decision import Decision, Result
from gatebook.model.operation import Statement
from gatebook.model.principal import Principal, PrincipalKind, Subject
from gatebook.policy import load
from gatebook.protocols.postgres.facts import SessionFacts

Read = Callable[..., list[Statement]]
Judge = Callable[..., Decision]

DEMO = Path(__file__).parents[4] / "examples/demo/policies/shop.cedar"
BOT = Subject("keys", "order-bot")
AGENT = Principal(PrincipalKind.AGENT, BOT, ("shop-agents",), Subject("keys", "ann"), (BOT,), "api_key", "key-1")


@pytest.fixture
def judge(read: Read) -> Judge:
    """Judge a message under the demo's policies: the first refusal, or the last permit."""
    engine = load({DEMO.name: DEMO.read_text()})

    def _judge(text: str | bytes, **options: object) -> Decision:
        decisions = []
        for statement in read(text, **options):
            context = {
                **dict(statement.context),
                "role": "clerk",
                "via": "query",
                "in_transaction": False,
                "tls": True,
                "now": datetime(2026, 11, 23, tzinfo=UTC),
            }
            decisions.append(engine.decide(AGENT, statement.accesses, context))
        return next((decision for decision in decisions if decision.result is Result.REFUSE), decisions[-1])

    return _judge


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM orders",
        "SELECT c.name, sum(o.total) FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY 1 ORDER BY 2 DESC",
        "INSERT INTO orders (customer_id) VALUES (1) RETURNING id",
        "UPDATE orders SET status = 'paid' WHERE id = 7",
        "BEGIN; INSERT INTO payments (order_id) VALUES (1); COMMIT",
        "SELECT relname FROM pg_catalog.pg_class WHERE pg_catalog.pg_table_is_visible(oid)",
        "PREPARE p AS SELECT * FROM orders WHERE id = $1; EXECUTE p(1)",
        "COPY orders TO STDOUT",
        "SET search_path = public",
    ],
)
def test_the_work_of_the_shop_is_permitted(judge: Judge, text: str) -> None:
    assert judge(text).result is Result.ALLOW


@pytest.mark.parametrize("via", ["query", "parse", "bind"])
def test_pg_01_the_meaning_is_the_same_by_every_message(read: Read, via: str) -> None:
    (statement,) = read("SELECT * FROM employees WHERE id = $1", via=via)
    assert [access.object.path[-1] for access in statement.accesses] == ["employees"]


def test_pg_02_a_fast_path_call_is_judged_by_its_oid(judge: Judge) -> None:
    assert judge(b"", via="function", arguments=(870).to_bytes(4, "big")).result is Result.ALLOW
    assert judge(b"", via="function", arguments=(20500).to_bytes(4, "big")).result is Result.REFUSE
    assert judge(b"", via="function", arguments=b"").code == "policy.unknown"


@pytest.mark.parametrize(
    "text",
    [
        "COPY orders TO '/tmp/x'",
        "COPY orders FROM '/etc/passwd'",
        "COPY orders TO PROGRAM 'sh'",
        "COPY (SELECT 1) TO PROGRAM 'sh'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(1, '/tmp/x')",
        "SELECT * FROM dblink('host=x', 'SELECT 1') AS t (a int)",
        "CREATE EXTENSION postgres_fdw",
        "SELECT pg_catalog.pg_read_binary_file('/etc/passwd')",
        "LOAD 'x'",
    ],
)
def test_pg_05_files_programs_and_foreign_servers_are_refused(judge: Judge, text: str) -> None:
    assert judge(text).result is Result.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "PREPARE p AS SELECT * FROM employees",
        "PREPARE p (int) AS DELETE FROM orders WHERE id = $1",
        "PREPARE p AS SELECT 1; DEALLOCATE p; EXECUTE p",
        "EXECUTE known",
        "EXPLAIN ANALYZE EXECUTE known",
        "EXECUTE unknown",
    ],
)
def test_pg_06_a_prepared_statement_is_judged_when_made_and_when_run(judge: Judge, text: str) -> None:
    assert judge(text, prepared={b"known": b"PREPARE known AS TABLE employees"}).result is Result.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "DO $$ BEGIN EXECUTE 'DROP TABLE orders'; END $$",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; END $$",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS '' ; SELECT f()",
        "SELECT settle()",
        "CALL settle()",
        "SELECT query_to_xml('DELETE FROM orders', true, true, '')",
        "SELECT o.discount FROM orders o",
    ],
)
def test_pg_07_code_that_cannot_be_read_is_refused(judge: Judge, text: str) -> None:
    assert judge(text).result is Result.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1; DROP TABLE orders",
        "SELECT 1;/* ; */DROP TABLE orders",
        "SELECT 1; -- ;\nDROP TABLE orders",
        "SELECT 1 /* /* nested */ ; */ ; DROP TABLE orders --",
        "BEGIN; DROP TABLE orders; COMMIT",
        "DROP TABLE orders; SELECT 1",
        "SELECT $$;$$; DROP TABLE orders",
        "SELECT 'a'';'; DROP TABLE orders",
        ";;;DROP TABLE orders;;;",
    ],
)
def test_pg_08_every_statement_of_a_message_is_judged(judge: Judge, text: str) -> None:
    decision = judge(text)
    assert decision.result is Result.REFUSE
    assert decision.policies == ("shop-agents-no-definitions",)


@pytest.mark.parametrize(
    "text",
    [
        "SET search_path = x; SELECT * FROM orders",
        "CREATE TEMPORARY VIEW orders AS SELECT * FROM employees; SELECT * FROM orders",
    ],
)
def test_pg_12_names_behind_a_change_of_names_are_not_trusted(judge: Judge, text: str) -> None:
    assert judge(text).result is Result.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "SET ROLE admin",
        "SET LOCAL ROLE admin",
        "SET role TO 'admin'",
        "RESET ROLE",
        'SET "ROLE" = admin',
        "SET SESSION AUTHORIZATION admin",
        "SET session_authorization = admin",
        "SELECT set_config('role', 'admin', false)",
        "SELECT pg_catalog.set_config('ROLE', 'admin', true)",
        "SELECT set_config(name, 'admin', false) FROM customers",
        "SELECT set_config('app.tenant', '8', false)",
        "ALTER ROLE admin SET search_path = x",
        "ALTER DATABASE shop SET role = admin",
        "SELECT * FROM orders WHERE set_config('role', 'admin', false) IS NULL",
    ],
)
def test_pg_19_nobody_becomes_somebody_else(judge: Judge, text: str) -> None:
    assert judge(text).result is Result.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "SET client_encoding = 'SJIS'",
        "SET NAMES 'GBK'",
        "SET standard_conforming_strings = off",
        "SET backslash_quote = on",
    ],
)
def test_pg_21_settings_that_move_quotes_are_refused(judge: Judge, text: str) -> None:
    assert judge(text).result is Result.REFUSE


def test_pg_21_a_session_that_reads_otherwise_is_not_understood(judge: Judge, facts: SessionFacts) -> None:
    loose = replace(facts, standard_conforming_strings=False)
    assert judge(r"SELECT '\'; DROP TABLE orders; --'", facts=loose).code == "policy.opaque"
    foreign = replace(facts, client_encoding="SJIS")
    assert judge("SELECT 'ソ'", facts=foreign).code == "policy.opaque"


def test_pg_21_every_statement_of_such_a_session_is_opaque_beside_what_it_is(judge: Judge, facts: SessionFacts) -> None:
    for changed in ({"standard_conforming_strings": False}, {"client_encoding": "LATIN1"}):
        decision = judge("SELECT count(*) FROM orders", facts=replace(facts, **changed))
        assert decision.code == "policy.opaque"
        assert judge("SELECT count(*) FROM orders").result is Result.ALLOW


@pytest.mark.parametrize(
    "text",
    [
        'SELECT * FROM "employees"',
        'SELECT * FROM U&"\\0065mployees"',
        "SELECT * FROM U&\"!0065mployees\" UESCAPE '!'",
        'SELECT * FROM "public"."employees"',
        "SELECT * FROM EMPLOYEES",
        "SELECT * FROM/**/employees",
        "SELECT * FROM /* /* */ orders */ employees",
        "SELECT * FROM orders, employees",
        'SELECT * FROM "public.employees"',
        'SELECT * FROM "orders/employees"',
        "SELECT * FROM \u00a0employees",
        "SELECT * FROM \u212amployees",
        "SELECT * FROM only (employees)",
        "TABLE employees",
        r"SELECT E'\'' , * FROM employees --'",
        "SELECT $a$ $b$ $a$, e.* FROM employees e",
    ],
)
def test_pg_22_no_way_of_writing_hides_a_name(judge: Judge, text: str) -> None:
    assert judge(text).result is Result.REFUSE


@pytest.mark.parametrize(
    "text",
    [
        "SELEC 1",
        "SELECT * FROM",
        "SELECT 'a",
        "SELECT 1 \\; DROP TABLE orders",
        "SELECT $$ x",
        b"SELECT '\xff'",
        b"\x01",
    ],
)
def test_pg_23_what_cannot_be_parsed_is_refused(judge: Judge, text: str | bytes) -> None:
    decision = judge(text)
    assert decision.result is Result.REFUSE
    assert decision.code == "policy.opaque"


@pytest.mark.parametrize("text", ["SELECT count(*) FROM employees", "SELECT EXISTS (SELECT FROM employees)"])
def test_pg_32_a_query_without_columns_needs_the_table(judge: Judge, text: str) -> None:
    assert judge(text).result is Result.REFUSE


def test_pg_34_a_temporary_table_is_not_the_table_it_hides(judge: Judge, facts: SessionFacts) -> None:
    from gatebook.protocols.postgres.catalogue import Relation

    hidden = replace(
        facts,
        schemas=("pg_temp", "pg_catalog", "public"),
        temp_relations={"orders": Relation(0, "pg_temp", "orders", "view", ("id",))},
    )
    assert judge("SELECT * FROM orders", facts=hidden).result is Result.REFUSE
    assert judge("SELECT * FROM public.orders", facts=hidden).result is Result.ALLOW
