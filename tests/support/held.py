# SPDX-License-Identifier: Apache-2.0
"""A gate whose tables are each held on other terms, and a client that is told of its requests by errors."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import psycopg
from throwaway_postgres import Postgres

from support.approvers import Approvers, approvers
from support.servers import Place, eventually

# Each table under terms of its own: the name of a table is that of its policy.
TERMS: Mapping[str, str] = {
    "waits": "",
    "returns": '@hold("return")',
    "two": '@hold("return") @approvers("2")',
    "thrice": '@hold("return") @uses("3")',
    "shaped": '@hold("return") @covers("shape") @uses("9")',
    "object": '@hold("return") @covers("object") @uses("9")',
}
PEOPLE: Mapping[str, tuple[str, ...]] = {"ana": ("dba",), "bo": ("dba",), "cy": ()}


def policies_of(database: str, terms: Mapping[str, str] = TERMS) -> dict[str, str]:
    """Permit agents everything, and hold what writes to these tables or runs the function `raise_all`."""
    held = [
        f'@id("{name}") @approval("dba") {words}\nforbid (principal, action in Action::"write", '
        f'resource in Relation::"work.{database}.public.{name}");'
        for name, words in terms.items()
    ]
    held.append(
        '@id("function") @approval("dba") @hold("return")\nforbid (principal, action == Action::"execute", '
        f'resource == Function::"work.{database}.public.raise_all");'
    )
    return {"held.cedar": "\n".join(['@id("all") permit (principal in Group::"agents", action, resource);', *held])}


@contextmanager
def held(folder: Path, server: Postgres, name: str, **approval: Any) -> Iterator[Approvers]:  # noqa: ANN401  settings
    """A gate that serves, before a database with these tables: each with rows 1 to 9 and a price."""
    database = f"{name}_{os.getpid()}"
    settings = {"pending": 1000, "per_hour": 10_000, "preview": False} | approval
    with approvers(folder, server, database, policies=policies_of(database), people=PEOPLE, approval=settings) as desk:
        make_tables(desk.place)
        yield desk


def make_tables(place: Place) -> None:
    """Make the tables anew, and the function."""
    for name in TERMS:
        place.ask(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id int PRIMARY KEY, price int)")
        place.ask(f"INSERT INTO {name} SELECT i, 0 FROM generate_series(1, 9) AS i")
    place.ask("CREATE OR REPLACE FUNCTION raise_all() RETURNS int LANGUAGE sql AS 'SELECT 1'")


def connect(desk: Approvers, **words: Any) -> psycopg.Connection[tuple[Any, ...]]:  # noqa: ANN401  of psycopg
    """Connect as the agent, in autocommit."""
    return psycopg.connect(desk.place.through.dsn, autocommit=True, **words)


def refusal(connection: psycopg.Connection[Any], sql: str, *values: object, **how: Any) -> dict[str, Any]:  # noqa: ANN401  of psycopg
    """Run what is refused; what the client is told, as an agent reads it, with `words` and `hint`."""
    try:
        connection.execute(sql.encode(), values or None, **how)
    except psycopg.Error as fault:
        told = json.loads(fault.diag.message_detail or "{}")
        return cast("dict[str, Any]", told) | {
            "words": fault.diag.message_primary,
            "hint": fault.diag.message_hint,
            "sqlstate": fault.sqlstate,
        }
    raise AssertionError(f"it ran: {sql}")


def asked(connection: psycopg.Connection[Any], sql: str, *values: object, **how: Any) -> str:  # noqa: ANN401  as above
    """Run what is held and returned at once; the id of its request."""
    told = refusal(connection, sql, *values, **how)
    assert told["code"] == "approval.pending", told
    return str(told["request"])


def total(place: Place, table: str) -> int:
    """The sum of a table's prices: what ran."""
    return int(place.ask(f"SELECT sum(price) FROM {table}"))


def grant(desk: Approvers, request: str, person: str = "ana") -> None:
    """Approve a request."""
    said = desk.vote(request, person)
    assert f"approved by {person}" in said, said


def newest(desk: Approvers, known: frozenset[str] = frozenset()) -> str:
    """The one request that is pending and not known, once it is there."""
    return eventually(
        lambda: next(
            (
                str(one["request"])
                for one in desk.list()
                if one["state"] == "pending" and str(one["request"]) not in known
            ),
            "",
        )
    )


def pending(desk: Approvers) -> frozenset[str]:
    """Requests that are pending now."""
    return frozenset(str(one["request"]) for one in desk.list() if one["state"] == "pending")
