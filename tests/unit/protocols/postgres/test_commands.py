# SPDX-License-Identifier: Apache-2.0
"""Commands of the session, above all what stands behind the name of a prepared statement."""

from __future__ import annotations

from collections.abc import Callable

from gatebook.model.operation import Statement

Accesses = Callable[..., list[str]]
Read = Callable[..., list[Statement]]


def test_execute_is_judged_as_what_was_prepared(accesses: Accesses) -> None:
    prepared = {b"p": b"PREPARE p AS DELETE FROM orders"}
    assert accesses("EXECUTE p", prepared=prepared) == ["delete public.orders", "prepare Database"]
    assert accesses("EXPLAIN ANALYZE EXECUTE p", prepared=prepared) == ["delete public.orders", "prepare Database"]
    assert accesses("CREATE TABLE x AS EXECUTE p", prepared=prepared) == [
        "create public.x",
        "delete public.orders",
        "prepare Database",
    ]


def test_execute_knows_statements_of_the_extended_protocol(accesses: Accesses) -> None:
    assert accesses("EXECUTE s1", prepared={b"s1": b"TABLE employees"}) == [
        "prepare Database",
        "select public.employees",
    ]


def test_execute_takes_the_prepare_of_its_name_from_a_message_of_several(read: Read) -> None:
    text = b"PREPARE a AS TABLE customers; PREPARE b AS TABLE employees"
    (statement,) = read("EXECUTE b", prepared={b"b": text})
    assert [access.object.path[-1] for access in statement.accesses] == ["shop", "employees"]


def test_execute_is_opaque_where_its_text_is_not_certain(read: Read) -> None:
    for text in (
        b"PREPARE p AS SELECT 1; PREPARE p AS SELECT 2",
        b"PREPARE q AS SELECT 1",
        b"no SQL",
        b"TABLE a; TABLE b",
    ):
        (statement,) = read("EXECUTE p", prepared={b"p": text})
        assert statement.opaque == "prepared statement `p` cannot be read again"


def test_statements_that_execute_each_other_end(read: Read) -> None:
    (statement,) = read("EXECUTE a", prepared={b"a": b"EXECUTE b", b"b": b"EXECUTE a"})
    assert statement.opaque.endswith("cannot be read again")


def test_cascade_reaches_what_is_not_named(accesses: Accesses) -> None:
    assert accesses("TRUNCATE payments CASCADE") == ["truncate Unknown cascade", "truncate public.payments"]
    assert accesses("DROP VIEW order_totals CASCADE") == ["drop Unknown cascade", "drop public.order_totals"]
    assert accesses("ALTER TABLE orders DROP COLUMN id CASCADE") == ["alter public.orders", "drop Unknown cascade"]


def test_upkeep_of_the_whole_is_upkeep_of_the_database(accesses: Accesses) -> None:
    for text in ("VACUUM", "CLUSTER", "REINDEX DATABASE shop", "REINDEX SYSTEM", "CHECKPOINT"):
        assert accesses(text) == ["maintain Database"]
