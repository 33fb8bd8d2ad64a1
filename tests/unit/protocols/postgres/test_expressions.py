# SPDX-License-Identifier: Apache-2.0
"""Functions, operators and attribute notation are found wherever they stand."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Accesses = Callable[..., list[str]]

DISCOUNT = "execute Function public.discount"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT discount(1)",
        "SELECT 1 WHERE discount(1) > 0",
        "SELECT 1 ORDER BY discount(1)",
        "SELECT count(*) FILTER (WHERE discount(1) > 0)",
        "SELECT sum(1) OVER (PARTITION BY discount(1))",
        "SELECT * FROM discount(1)",
        "SELECT * FROM ROWS FROM (discount(1)) x",
        "SELECT CASE 1 WHEN discount(1) THEN 1 END",
        "SELECT 1 LIMIT discount(1)",
        "SELECT (ARRAY[1])[discount(1)]",
        "SELECT json_array(discount(1))",
        "SELECT xmlforest(discount(1) AS a)",
        "SELECT upper(VARIADIC ARRAY[discount(1)])",
        'SELECT discount(1)::text COLLATE "C"',
        "VALUES (discount(1))",
        "EXPLAIN SELECT discount(1)",
        "EXECUTE p(discount(1))",
        "PREPARE q AS SELECT discount(1)",
        "DECLARE c CURSOR FOR SELECT discount(1)",
        "COPY (SELECT discount(1)) TO STDOUT",
        "CALL discount(1)",
        "CREATE TABLE x (a int DEFAULT discount(1))",
        "CREATE TABLE x (a int CHECK (discount(a) > 0))",
        "CREATE TABLE x (a int GENERATED ALWAYS AS (discount(1)) STORED)",
        "CREATE VIEW x AS SELECT discount(1)",
        "ALTER TABLE orders ALTER total SET DEFAULT discount(1)",
        "ALTER TABLE orders ALTER total TYPE int USING discount(total)",
        "ALTER TABLE orders ADD CHECK (discount(total) > 0)",
        "CREATE INDEX ON orders (discount(total))",
        "CREATE INDEX ON orders (id) WHERE discount(total) > 0",
        "CREATE POLICY x ON orders USING (discount(total) > 0)",
        "CREATE DOMAIN x AS int CHECK (discount(VALUE) > 0)",
        "CREATE TRIGGER x BEFORE UPDATE ON orders FOR EACH ROW WHEN (discount(1) > 0) EXECUTE FUNCTION note_change()",
        "MERGE INTO orders o USING payments p ON discount(1) > 0 WHEN MATCHED THEN DELETE",
        "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = discount(1)",
        "DELETE FROM orders RETURNING discount(total)",
    ],
)
def test_a_call_is_an_access_wherever_it_stands(accesses: Accesses, text: str) -> None:
    assert DISCOUNT in accesses(text, prepared={b"p": b"SELECT 1"})


@pytest.mark.parametrize(
    ("text", "is_call"),
    [
        ("SELECT o.discount FROM orders o", True),
        ("SELECT orders.discount FROM orders", True),
        ("SELECT (o).discount FROM orders o", True),
        ("SELECT public.orders.discount FROM public.orders", True),
        ("SELECT x.discount FROM (SELECT * FROM orders) x", True),
        ("SELECT x.discount FROM (SELECT id FROM orders) x", True),
        ("SELECT x.discount FROM (SELECT id AS discount FROM orders) x", False),
        ("WITH x AS (SELECT 1 AS discount) SELECT x.discount FROM x", False),
        ("SELECT o.total FROM orders o", False),
        ("SELECT o.upper FROM orders o", False),
    ],
)
def test_field_selection_may_be_a_call(accesses: Accesses, text: str, is_call: bool) -> None:
    assert (DISCOUNT in accesses(text)) is is_call


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 %% 2",
        "SELECT 1 OPERATOR(public.%%) 2",
        "SELECT 1 %% ANY (ARRAY[2])",
        "SELECT 1 %% ALL (SELECT 2)",
        "SELECT 1 ORDER BY 1 USING %%",
    ],
)
def test_an_operator_of_a_user_is_an_access_in_every_form(accesses: Accesses, text: str) -> None:
    assert "execute Operator public.%%" in accesses(text)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 BETWEEN 0 AND 2, 1 NOT BETWEEN 0 AND 2, 1 BETWEEN SYMMETRIC 2 AND 0",
        "SELECT 'a' LIKE 'b', 'a' ILIKE 'b', 'a' SIMILAR TO 'b', 'a' NOT LIKE 'b' ESCAPE 'c'",
        "SELECT 1 IN (1, 2), 1 NOT IN (1), 1 IN (SELECT 1), NULLIF(1, 2), 1 IS DISTINCT FROM 2",
        "SELECT extract(year FROM now()), substring('a' FROM 1), trim('a'), overlay('a' PLACING 'b' FROM 1)",
        "SELECT CURRENT_USER, CURRENT_TIMESTAMP, now() AT TIME ZONE 'UTC', COLLATION FOR ('a')",
        "SELECT greatest(1, 2), coalesce(1, 2), CASE 1 WHEN 2 THEN 3 END, ROW(1, 2) < ROW(3, 4)",
        "SELECT JSON_VALUE('{}'::jsonb, '$.a'), JSON('{}'), '{}' IS JSON, JSON_SCALAR(1), JSON_SERIALIZE('{}')",
        "SELECT * FROM JSON_TABLE('{}'::jsonb, '$' COLUMNS (a int PATH '$.a' DEFAULT 1 ON EMPTY)) x",
        "SELECT * FROM XMLTABLE('/a' PASSING ('<a/>'::xml) COLUMNS b int PATH 'b') x",
        "SELECT rank() OVER w, sum(1) OVER (ROWS 1 PRECEDING) FROM generate_series(1, 2) WINDOW w AS (ORDER BY 1)",
        "SELECT count(*) FROM unnest(ARRAY[1]) WITH ORDINALITY AS u (a, b) GROUP BY GROUPING SETS ((a), ())",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY 1)",
    ],
)
def test_the_languages_own_forms_are_understood_and_harmless(accesses: Accesses, text: str) -> None:
    assert accesses(text) == ["compute Database"]


def test_set_config_is_judged_as_the_setting_it_names(accesses: Accesses) -> None:
    assert accesses("SELECT set_config('ROLE', 'x', true)") == ["set_role Role x"]
    assert accesses("SELECT set_config('app.tenant', '1', true)") == ["set Setting app.tenant"]
    assert accesses("SELECT set_config('wo' || 'rk_mem', '1', true)") == ["opaque Database"]


def test_sequences_are_found_as_regclass_reads_them(accesses: Accesses) -> None:
    assert "update public.orders_id_seq" in accesses("SELECT nextval('Orders_Id_Seq')")
    assert "update public.orders_id_seq" in accesses("""SELECT nextval('public."orders_id_seq"'::regclass)""")
    assert "update Unknown no name" in accesses("SELECT nextval('no name')")
    assert "update Unknown Orders_Id_Seq" in accesses("""SELECT nextval('"Orders_Id_Seq"')""")
