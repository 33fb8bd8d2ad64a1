# SPDX-License-Identifier: Apache-2.0
"""Object kinds of PostgreSQL become resources of policies, and names that are not there become Unknown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Accesses = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DROP TABLE orders, nowhere", ["drop Unknown nowhere", "drop public.orders"]),
        ("DROP INDEX orders_pkey", ["drop public.orders_pkey"]),
        ("DROP SEQUENCE orders_id_seq", ["drop public.orders_id_seq"]),
        ("DROP FUNCTION settle, nowhere", ["drop Function public.settle", "drop Unknown nowhere"]),
        ("DROP FUNCTION lower(int)", ["drop Function pg_catalog.lower", "drop Function public.lower"]),
        ("DROP DOMAIN email", ["drop Type public.email"]),
        ("DROP TYPE nowhere", ["drop Unknown nowhere"]),
        ("DROP POLICY p ON orders", ["alter public.orders"]),
        ("DROP RULE r ON audit.log", ["alter audit.log"]),
        ("DROP EXTENSION x", ["drop Database"]),
        ("ALTER LARGE OBJECT 7 OWNER TO x", ["alter Database", "grant Database"]),
        ("DROP CAST (int AS text)", ["drop Database"]),
        ("DROP OPERATOR %% (int, int)", ["drop Database"]),
        ("COMMENT ON COLUMN nowhere.id IS ''", ["comment Unknown nowhere"]),
        ("COMMENT ON ROLE admin IS ''", ["manage_role Role admin"]),
        ("COMMENT ON TABLESPACE t IS ''", ["comment Target"]),
        ("COMMENT ON CONSTRAINT c ON orders IS ''", ["alter public.orders"]),
    ],
)
def test_resolves_what_a_command_names(accesses: Accesses, text: str, expected: list[str]) -> None:
    assert accesses(text) == expected
