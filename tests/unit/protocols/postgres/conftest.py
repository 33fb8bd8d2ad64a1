# SPDX-License-Identifier: Apache-2.0
"""The shop's database as the gate knows it, and a short way to read statements against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from gatebook.model.operation import Access, ObjectKind, Statement
from gatebook.native.pure import NativeError, parse_sql
from gatebook.protocols.postgres.catalogue import CatalogueView, Relation, SchemaView
from gatebook.protocols.postgres.facts import SessionFacts
from gatebook.protocols.postgres.functions import KNOWN_SAFE, QUIET
from gatebook.protocols.postgres.operations import understand

Read = Callable[..., list[Statement]]

_OPERATORS = frozenset(
    [
        "=",
        "<>",
        "<",
        ">",
        "<=",
        ">=",
        "+",
        "-",
        "*",
        "/",
        "%",
        "||",
        "~",
        "~*",
        "!~",
        "!~*",
        "~~",
        "~~*",
        "!~~",
        "!~~*",
        "@>",
        "<@",
        "->",
        "->>",
        "&&",
        "#",
        "^",
        "<->",
        "@@",
    ]
)
_TYPES = [
    "int2",
    "int4",
    "int8",
    "text",
    "varchar",
    "bpchar",
    "name",
    "bool",
    "numeric",
    "float4",
    "float8",
    "date",
    "timestamp",
    "timestamptz",
    "interval",
    "json",
    "jsonb",
    "regclass",
    "oid",
    "uuid",
    "bytea",
    "xml",
    "record",
    "void",
    "time",
    "money",
    "tsvector",
    "inet",
    "_int4",
    "_text",
]


def _relations(*entries: tuple[str, str, str]) -> dict[str, Relation]:
    return {
        name: Relation(20000 + number, "public", name, kind, tuple(columns.split()))
        for number, (name, kind, columns) in enumerate(entries)
    }


CATALOGUE = CatalogueView(
    revision=1,
    schemas={
        "public": SchemaView(
            relations=_relations(
                ("customers", "table", "id name email"),
                ("orders", "table", "id customer_id status total"),
                ("payments", "table", "id order_id amount"),
                ("employees", "table", "id name salary"),
                ("order_totals", "view", "customer_id total"),
                ("orders_id_seq", "sequence", "last_value log_cnt is_called"),
                ("orders_pkey", "index", ""),
            ),
            functions=frozenset({"discount", "settle", "lower", "note_change"}),
            operators=frozenset({"%%"}),
            types={"mood": "e", "email": "d", "orders": "c", "vector": "b", "_vector": "b", "_mood": "b"},
        ),
        "audit": SchemaView(relations={"log": Relation(30000, "audit", "log", "table", ("at", "what"))}),
        "pg_catalog": SchemaView(
            relations={
                "pg_class": Relation(1259, "pg_catalog", "pg_class", "table", ("oid", "relname", "relkind")),
                "pg_stats": Relation(12000, "pg_catalog", "pg_stats", "view", ("tablename", "most_common_vals")),
            },
            functions=KNOWN_SAFE | QUIET | {"set_config", "query_to_xml", "pg_reload_conf"},
            operators=_OPERATORS,
            types=dict.fromkeys(_TYPES, "b"),
        ),
        "information_schema": SchemaView(
            relations={"tables": Relation(13000, "information_schema", "tables", "view", ("table_name",))}
        ),
    },
    function_oids={870: ("pg_catalog", "lower"), 2014: ("pg_catalog", "nextval"), 20500: ("public", "settle")},
)
FACTS = SessionFacts(schemas=("pg_catalog", "public"), creation_schema="public", search_path='"$user", public')


@pytest.fixture
def catalogue() -> CatalogueView:
    return CATALOGUE


@pytest.fixture
def facts() -> SessionFacts:
    return FACTS


@pytest.fixture
def path() -> Callable[..., SessionFacts]:
    """Facts with other effective schemas."""
    return lambda *schemas: replace(FACTS, schemas=schemas, creation_schema=schemas[-1])


@pytest.fixture
def read() -> Read:
    """Read a message; its statements."""

    def _read(
        text: str | bytes,
        *,
        facts: SessionFacts | None = FACTS,
        view: CatalogueView = CATALOGUE,
        prepared: Mapping[bytes, bytes] | None = None,
        columns: bool = False,
        via: str = "query",
        arguments: bytes = b"",
    ) -> list[Statement]:
        data = text.encode() if isinstance(text, str) else text
        tree, error = None, ""
        try:
            tree = parse_sql(data)
        except NativeError as fault:
            error = str(fault)
        operation = understand(
            data,
            tree,
            error,
            target="shop",
            database="shop",
            catalogue=view,
            facts=facts,
            prepared=prepared or {},
            parse=parse_sql,
            columns=columns,
            via=via,
            arguments=arguments,
        )
        assert operation.via == via
        return list(operation.statements)

    return _read


def show(access: Access) -> str:
    """An access in short: `select public.orders`, `transaction Database`, `drop Unknown cascade`."""
    ref = access.object
    name = ".".join(ref.path[1:] if ref.kind in {ObjectKind.ROLE, ObjectKind.TARGET} else ref.path[2:])
    kind = "" if ref.kind is ObjectKind.RELATION else f"{ref.kind.value} "
    return f"{access.action} {kind}{name}".strip()


@pytest.fixture
def accesses(read: Read) -> Callable[..., list[str]]:
    """Read a message of one statement; its accesses in short."""

    def _accesses(text: str, **options: object) -> list[str]:
        (statement,) = read(text, **options)
        return sorted(show(access) for access in statement.accesses)

    return _accesses
