# SPDX-License-Identifier: Apache-2.0
"""Privileges and roles are judged by what they are about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Accesses = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GRANT SELECT (salary) ON employees TO x", ["grant public.employees"]),
        ("GRANT SELECT ON orders, nowhere TO x", ["grant Unknown nowhere", "grant public.orders"]),
        ("GRANT EXECUTE ON FUNCTION settle() TO x", ["grant Function public.settle"]),
        ("GRANT USAGE ON SCHEMA audit TO x", ["grant Schema audit"]),
        ("GRANT USAGE ON TYPE mood TO x", ["grant Type public.mood"]),
        ("GRANT CONNECT ON DATABASE shop TO x", ["grant Target"]),
        ("GRANT SET ON PARAMETER work_mem TO x", ["grant Setting work_mem"]),
        ("GRANT USAGE ON LANGUAGE plpgsql TO x", ["grant Database"]),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA audit TO x", ["grant Schema audit", "grant Unknown contents"]),
        ("ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM x", ["grant Database"]),
        ("GRANT USAGE ON FOREIGN SERVER s TO x", ["grant Database"]),
        ("GRANT a, b TO x", ["grant Role a", "grant Role b"]),
        ("ALTER ROLE CURRENT_USER SUPERUSER", ["manage_role Role current_user"]),
        ("ALTER ROLE ALL SET work_mem = 1", ["manage_role Role all"]),
        ("DROP ROLE a, b", ["manage_role Role a", "manage_role Role b"]),
        ("CREATE PUBLICATION p FOR ALL TABLES", ["replicate Database", "select Unknown publication"]),
    ],
)
def test_judges_administration_by_its_object(accesses: Accesses, text: str, expected: list[str]) -> None:
    assert accesses(text) == expected
