# SPDX-License-Identifier: Apache-2.0
"""Queries: which relations and columns they touch, and how names of CTEs hide relations."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Accesses = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WITH orders AS (SELECT 1) SELECT * FROM orders", ["compute Database"]),
        ("WITH orders AS (SELECT * FROM orders) SELECT * FROM orders", ["select public.orders"]),
        ("WITH orders AS (SELECT 1) SELECT * FROM public.orders", ["select public.orders"]),
        ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", ["select Unknown b"]),
        ("WITH RECURSIVE a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", ["compute Database"]),
        ("WITH RECURSIVE orders AS (SELECT 1 UNION ALL SELECT * FROM orders) TABLE orders", ["compute Database"]),
        ("SELECT * FROM (WITH orders AS (SELECT 1) TABLE orders) x, orders", ["select public.orders"]),
        ("WITH orders AS (SELECT 1) SELECT (SELECT count(*) FROM orders)", ["compute Database"]),
        ("WITH orders AS (SELECT 1) DELETE FROM orders", ["delete public.orders"]),
        (
            "WITH orders AS (SELECT 1) INSERT INTO payments SELECT * FROM orders",
            ["insert public.payments"],
        ),
    ],
)
def test_a_cte_hides_a_relation_exactly_where_it_is_visible(accesses: Accesses, text: str, expected: list[str]) -> None:
    assert accesses(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM customers WHERE id IN (SELECT id FROM employees)", ["customers", "employees"]),
        ("SELECT (SELECT salary FROM employees LIMIT 1)", ["employees"]),
        ("SELECT * FROM customers UNION SELECT * FROM employees", ["customers", "employees"]),
        ("SELECT * FROM customers, LATERAL (SELECT * FROM employees) x", ["customers", "employees"]),
        ("SELECT 1 ORDER BY (SELECT 1 FROM employees)", ["employees"]),
        ("SELECT 1 LIMIT (SELECT 1 FROM employees)", ["employees"]),
        ("SELECT sum(1) FILTER (WHERE EXISTS (TABLE employees))", ["employees"]),
        ("SELECT sum(1) OVER (ORDER BY (SELECT 1 FROM employees))", ["employees"]),
        ("VALUES ((SELECT 1 FROM employees))", ["employees"]),
        ("SELECT CASE WHEN true THEN (SELECT 1 FROM employees) END", ["employees"]),
        ("SELECT ARRAY(SELECT 1 FROM employees)", ["employees"]),
        ("SELECT ROW((SELECT 1 FROM employees))", ["employees"]),
        ("SELECT coalesce(1, (SELECT 1 FROM employees))", ["employees"]),
        ("SELECT * FROM customers TABLESAMPLE bernoulli ((SELECT 1 FROM employees))", ["customers", "employees"]),
        ("SELECT * FROM generate_series(1, (SELECT 1 FROM employees))", ["employees"]),
        ("SELECT * FROM ROWS FROM (upper((SELECT 'x' FROM employees))) r", ["employees"]),
        ("SELECT json_object('a': (SELECT 1 FROM employees))", ["employees"]),
        ("SELECT xmlelement(name a, (SELECT 1 FROM employees))", ["employees"]),
        ("SELECT (ARRAY[1])[(SELECT 1 FROM employees)]", ["employees"]),
        ("SELECT upper(VARIADIC ARRAY(SELECT 'x' FROM employees))", ["employees"]),
        ("EXPLAIN (FORMAT json) SELECT * FROM employees", ["employees"]),
        ("DECLARE c CURSOR FOR SELECT * FROM employees", ["employees"]),
        ("COPY (SELECT * FROM employees) TO STDOUT", ["employees"]),
    ],
)
def test_finds_relations_wherever_they_hide(accesses: Accesses, text: str, expected: list[str]) -> None:
    read = [entry.removeprefix("select public.") for entry in accesses(text) if entry.startswith("select public.")]
    assert read == expected


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("SELECT id, email FROM customers", ["email", "id"]),
        ("SELECT count(*) FROM customers", []),
        ("SELECT * FROM customers", ["email", "id", "name"]),
        ("SELECT c FROM customers c", ["email", "id", "name"]),
        ("SELECT row_to_json(c) FROM customers c", ["email", "id", "name"]),
        ("SELECT c.* FROM customers c", ["email", "id", "name"]),
        ("SELECT (c).name FROM customers c", ["email", "id", "name"]),
        ("SELECT email(c) FROM customers c", ["email", "id", "name"]),
        ("SELECT a FROM customers AS c (a, b)", ["email", "id", "name"]),
        ("SELECT 1 FROM customers WHERE email = 'x'", ["email"]),
        ("SELECT x.id FROM (SELECT id FROM customers) x", ["id"]),
        ("SELECT * FROM (SELECT id FROM customers) x", ["id"]),
        ("SELECT 1 FROM customers JOIN employees USING (name)", ["name"]),
        ("SELECT 1 FROM customers NATURAL JOIN employees", ["email", "id", "name"]),
        ("SELECT j.email FROM (customers JOIN employees USING (name)) AS j", ["email", "name"]),
        ("SELECT (SELECT c.email) FROM customers c", ["email"]),
        ("SELECT ctid FROM customers", []),
        ("SELECT email.x FROM customers", ["email"]),
        ("SELECT nowhere.* FROM customers", []),
        (
            "SELECT x.a FROM (SELECT c.name::text AS a, (c).name, upper(email) FROM customers c) x",
            ["email", "id", "name"],
        ),
        ("SELECT x.name FROM (SELECT (c).* FROM customers c) x", ["email", "id", "name"]),
        ("SELECT x.id FROM (SELECT customers.*, id::text, upper(name) FROM customers) x", ["email", "id", "name"]),
        ("SELECT x.name FROM (SELECT name::text, upper(email), (ARRAY[1])[1], 1 FROM customers) x", ["email", "name"]),
        ("SELECT 1 FROM (customers JOIN employees USING (name)) AS j (a, b)", ["email", "id", "name"]),
        ("SELECT 1 FROM ROWS FROM (CURRENT_USER, upper('x')) AS f, customers", []),
        ("COPY customers (id) TO STDOUT", ["id"]),
        ("COPY customers TO STDOUT", ["email", "id", "name"]),
    ],
)
def test_names_the_columns_that_are_read(accesses: Accesses, text: str, columns: list[str]) -> None:
    prefix = "select Column public.customers."
    found = [entry.removeprefix(prefix) for entry in accesses(text, columns=True) if entry.startswith(prefix)]
    assert found == columns


def test_names_the_columns_that_are_written(accesses: Accesses) -> None:
    assert accesses("INSERT INTO orders (id, total) VALUES (1, 2)", columns=True) == [
        "insert Column public.orders.id",
        "insert Column public.orders.total",
        "insert public.orders",
    ]
    assert accesses("UPDATE orders SET total = 1", columns=True) == [
        "update Column public.orders.total",
        "update public.orders",
    ]
    assert accesses("INSERT INTO payments VALUES (1)", columns=True) == [
        "insert Column public.payments.amount",
        "insert Column public.payments.id",
        "insert Column public.payments.order_id",
        "insert public.payments",
    ]


def test_changing_needs_select_only_where_the_relation_is_read(accesses: Accesses) -> None:
    assert accesses("DELETE FROM orders") == ["delete public.orders"]
    assert accesses("DELETE FROM orders WHERE id = 1") == ["delete public.orders", "select public.orders"]
    assert accesses("UPDATE orders SET total = 1") == ["update public.orders"]
    assert accesses("UPDATE orders o SET total = o.total") == ["select public.orders", "update public.orders"]
    assert accesses("INSERT INTO orders VALUES (1) RETURNING new.id") == [
        "insert public.orders",
        "select public.orders",
    ]


def test_locks_what_it_names_or_all_it_reads(accesses: Accesses) -> None:
    text = "SELECT 1 FROM orders o JOIN customers c ON c.id = o.customer_id FOR UPDATE"
    assert accesses(text) == [
        "lock public.customers",
        "lock public.orders",
        "select public.customers",
        "select public.orders",
    ]
    assert accesses(f"{text} OF o") == ["lock public.orders", "select public.customers", "select public.orders"]
    assert accesses("SELECT 1 FROM (SELECT * FROM orders) x FOR SHARE") == [
        "lock public.orders",
        "select public.orders",
    ]


def test_merge_is_the_sum_of_what_it_may_do(accesses: Accesses) -> None:
    text = (
        "MERGE INTO orders o USING payments p ON o.id = p.order_id "
        "WHEN MATCHED AND p.amount > 5 THEN DELETE WHEN NOT MATCHED THEN INSERT (id) VALUES (1)"
    )
    assert accesses(text) == [
        "delete public.orders",
        "insert public.orders",
        "select public.orders",
        "select public.payments",
    ]


def test_a_conflict_that_does_nothing_changes_nothing(accesses: Accesses) -> None:
    assert accesses("INSERT INTO payments (id) VALUES (1) ON CONFLICT DO NOTHING") == ["insert public.payments"]
    assert accesses("INSERT INTO payments (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET (id, amount) = (1, 2)") == [
        "insert public.payments",
        "select public.payments",
        "update public.payments",
    ]
