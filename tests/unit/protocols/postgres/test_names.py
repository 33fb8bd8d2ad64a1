# SPDX-License-Identifier: Apache-2.0
"""Names mean what the server would make of them, and Unknown where that cannot be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gatebook.protocols.postgres.catalogue import CatalogueView, Relation
from gatebook.protocols.postgres.facts import SessionFacts

Accesses = Callable[..., list[str]]
Path = Callable[..., SessionFacts]


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("orders", "select public.orders"),
        ("ORDERS", "select public.orders"),
        ('"ORDERS"', "select Unknown ORDERS"),
        ("public.orders", "select public.orders"),
        ("shop.public.orders", "select public.orders"),
        ("other.public.orders", "select Unknown other.public.orders"),
        ("audit.log", "select audit.log"),
        ("log", "select Unknown log"),
        ("pg_class", "select pg_catalog.pg_class"),
        ("information_schema.tables", "select information_schema.tables"),
        ("pg_temp.orders", "select Unknown pg_temp.orders"),
        ("pg_temp_3.orders", "select Unknown pg_temp_3.orders"),
    ],
)
def test_resolves_relations_by_the_effective_path(accesses: Accesses, name: str, meaning: str) -> None:
    assert accesses(f"SELECT 1 FROM {name}") == [meaning]


def test_a_temporary_table_hides_a_table_of_the_same_name(accesses: Accesses, facts: SessionFacts) -> None:
    mine = replace(
        facts,
        schemas=("pg_temp", "pg_catalog", "public"),
        temp_relations={"employees": Relation(0, "pg_temp", "employees", "table", ("id",))},
    )
    assert accesses("SELECT * FROM employees", facts=mine) == ["select pg_temp.employees"]
    assert accesses("SELECT * FROM pg_temp_7.employees", facts=mine) == ["select pg_temp.employees"]
    assert accesses("SELECT * FROM public.employees", facts=mine) == ["select public.employees"]


def test_without_facts_only_the_systems_own_schema_is_known(accesses: Accesses) -> None:
    assert accesses("SELECT 1 FROM orders", facts=None) == ["select Unknown orders"]
    assert accesses("SELECT 1 FROM public.orders", facts=None) == ["select Unknown public.orders"]
    assert accesses("SELECT 1 FROM pg_catalog.pg_class", facts=None) == ["select pg_catalog.pg_class"]
    assert accesses("SELECT now()", facts=None) == ["execute Unknown now"]
    assert accesses("SELECT pg_catalog.now()", facts=None) == ["compute Database"]
    assert accesses("SELECT 1 + 1", facts=None) == ["execute Unknown +"]


def test_without_a_catalogue_nothing_resolves(accesses: Accesses) -> None:
    empty = CatalogueView()
    assert accesses("SELECT now() FROM orders", view=empty) == ["execute Unknown now", "select Unknown orders"]


def test_a_function_is_harmless_only_if_nothing_else_can_be_meant(accesses: Accesses, path: Path) -> None:
    # public.lower exists: an overload of it may be the one that is called
    assert accesses("SELECT upper('A')") == ["compute Database"]
    assert accesses("SELECT lower('A')") == ["execute Function public.lower"]
    assert accesses("SELECT pg_catalog.lower('A')") == ["compute Database"]
    assert accesses("SELECT lower('A')", facts=path("pg_catalog", "audit")) == ["compute Database"]


def test_a_function_put_into_pg_catalog_is_not_trusted(accesses: Accesses, catalogue: CatalogueView) -> None:
    planted = replace(catalogue, planted_functions=frozenset({"upper"}), planted_operators=frozenset({"+"}))
    assert accesses("SELECT upper('A')", view=planted) == ["execute Function pg_catalog.upper"]
    assert accesses("SELECT 1 + 1", view=planted) == ["execute Operator pg_catalog.+"]


def test_a_cast_made_by_a_user_is_an_access_on_its_type(accesses: Accesses, catalogue: CatalogueView) -> None:
    cast = replace(catalogue, casts=frozenset({("pg_catalog", "int4"), ("public", "mood")}))
    assert accesses("SELECT '1'::int", view=cast) == ["execute Type pg_catalog.int4"]
    assert accesses("SELECT 'ok'::mood", view=cast) == ["execute Type public.mood"]


@pytest.mark.parametrize(
    ("type_name", "expected"),
    [
        ("mood", "compute Database"),
        ("email", "compute Database"),
        ("mood[]", "compute Database"),
        ("vector", "execute Type public.vector"),
        ("_vector", "execute Type public._vector"),
        ("numeric(10,2)", "compute Database"),
        ("nosuch", "execute Unknown nosuch"),
    ],
)
def test_types_with_code_of_their_own_are_an_access(accesses: Accesses, type_name: str, expected: str) -> None:
    assert accesses(f"SELECT NULL::{type_name}") == [expected]


def test_new_objects_go_into_the_first_schema_of_the_path(accesses: Accesses, path: Path) -> None:
    assert accesses("CREATE TABLE x ()") == ["create public.x"]
    assert accesses("CREATE TABLE x ()", facts=path("pg_catalog", "audit")) == ["create audit.x"]
    assert accesses("CREATE TABLE pg_temp.x ()") == ["create pg_temp.x"]
    assert accesses("CREATE TABLE x ()", facts=None) == ["create Unknown x"]


def test_nothing_lies_in_another_database(accesses: Accesses) -> None:
    assert accesses("SELECT other.public.discount(1)") == ["execute Unknown other.public.discount"]
    assert accesses("SELECT shop.public.discount(1)") == ["execute Function public.discount"]
    assert accesses("SELECT NULL::other.public.mood") == ["execute Unknown other.public.mood"]
    assert accesses("SELECT 1 OPERATOR(other.public.%%) 2") == ["execute Unknown other.public.%%"]


def test_temporary_functions_and_types_are_the_sessions_own(accesses: Accesses, facts: SessionFacts) -> None:
    mine = replace(facts, temp_functions=frozenset({"f"}), temp_types={"t": "e"})
    assert accesses("SELECT pg_temp.f()", facts=mine) == ["execute Function pg_temp.f"]
    assert accesses("SELECT pg_temp.g()", facts=mine) == ["execute Unknown pg_temp.g"]
    assert accesses("SELECT NULL::pg_temp.t", facts=mine) == ["compute Database"]


def test_a_type_may_be_called_like_a_function(accesses: Accesses) -> None:
    assert accesses("SELECT mood('ok')") == ["compute Database"]
    assert accesses("SELECT vector('[1]')") == ["execute Type public.vector"]


def test_without_facts_a_field_may_be_any_function_that_exists(accesses: Accesses) -> None:
    assert accesses("SELECT o.discount FROM orders o", facts=None) == [
        "execute Unknown discount",
        "select Unknown orders",
    ]
    assert accesses("SELECT o.total FROM orders o", facts=None) == ["select Unknown orders"]
