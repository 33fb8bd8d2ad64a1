# SPDX-License-Identifier: Apache-2.0
"""Definitions touch more than the object they name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatebook.model.operation import EffectKind, Statement

Accesses = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("text", "access"),
    [
        ("CREATE TABLE x (id int REFERENCES employees)", "select public.employees"),
        ("ALTER TABLE orders ADD FOREIGN KEY (id) REFERENCES employees", "select public.employees"),
        ("CREATE TABLE x () INHERITS (employees)", "alter public.employees"),
        ("ALTER TABLE orders INHERIT employees", "alter public.employees"),
        ("ALTER TABLE orders OWNER TO admin", "grant public.orders"),
        ("ALTER TABLE orders RENAME TO employees", "create public.employees"),
        ("ALTER TABLE orders SET SCHEMA audit", "create audit.orders"),
        ("ALTER SCHEMA audit RENAME TO public2", "alter Unknown contents"),
        ("CREATE VIEW v AS SELECT * FROM employees", "select public.employees"),
        ("CREATE RULE r AS ON SELECT TO orders DO INSTEAD SELECT * FROM employees", "select public.employees"),
        ("CREATE MATERIALIZED VIEW v AS TABLE employees", "select public.employees"),
        ("CREATE SEQUENCE s OWNED BY employees.id", "alter public.employees"),
        ("CREATE CONSTRAINT TRIGGER t AFTER INSERT ON orders FROM employees FOR EACH ROW EXECUTE FUNCTION settle()",
         "select public.employees"),
        ("CREATE TABLE x (a int, EXCLUDE USING gist (a WITH %%))", "execute Operator public.%%"),
        ("CREATE SCHEMA AUTHORIZATION admin", "grant Role admin"),
        ("ALTER TYPE orders ADD ATTRIBUTE a int", "alter Type public.orders"),
        ("ALTER FUNCTION settle() SET SCHEMA audit", "create Schema audit"),
        ("CREATE COLLATION c (locale = 'C')", "create Database"),
        ("CREATE SEQUENCE s OWNED BY NONE", "create public.s"),
        ("CREATE SEQUENCE s INCREMENT 2", "create public.s"),
        ("CREATE OPERATOR CLASS c FOR TYPE int4 USING btree AS STORAGE int4", "create Database"),
        ("CREATE FUNCTION f(a orders.id%TYPE) RETURNS int RETURN 1", "select public.orders"),
    ],
)  # fmt: skip
def test_what_is_touched_beside_is_an_access_too(accesses: Accesses, text: str, access: str) -> None:
    assert access in accesses(text)


def test_serial_is_no_type_to_be_looked_up(accesses: Accesses) -> None:
    assert accesses("CREATE TABLE x (id bigserial)") == ["create public.x"]
    assert accesses("SELECT NULL::bigserial") == ["execute Unknown bigserial"]


def test_every_definition_makes_names_uncertain(read: Callable[..., list[Statement]]) -> None:
    for text in (
        "DROP TABLE orders",
        "ALTER TABLE orders ADD a int",
        "CREATE VIEW v AS SELECT 1",
        "COMMENT ON TABLE orders IS ''",
    ):
        (statement,) = read(text)
        assert {effect.kind for effect in statement.effects} == {EffectKind.FACTS_STALE, EffectKind.CATALOGUE_CHANGED}


def test_a_temporary_table_is_no_change_of_the_committed_catalogue(read: Callable[..., list[Statement]]) -> None:
    for text in ("CREATE TEMP TABLE t (id int)", "CREATE TEMP TABLE t AS SELECT 1", "SELECT 1 INTO TEMP t"):
        (statement,) = read(text)
        assert {effect.kind for effect in statement.effects} == {EffectKind.FACTS_STALE}
