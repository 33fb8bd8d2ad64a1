# SPDX-License-Identifier: Apache-2.0
"""Statements are called by their command words."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatebook.model.operation import Statement


@pytest.mark.parametrize(
    ("text", "verb"),
    [
        ("TABLE orders", "SELECT"),
        ("START TRANSACTION", "START TRANSACTION"),
        ("END", "COMMIT"),
        ("ABORT", "ROLLBACK"),
        ("RELEASE a", "RELEASE"),
        ("RESET ALL", "RESET"),
        ("SET a.b = 1", "SET"),
        ("SHOW all", "SHOW"),
        ("ANALYZE", "ANALYZE"),
        ("VACUUM", "VACUUM"),
        ("MOVE c", "MOVE"),
        ("DECLARE c CURSOR FOR SELECT 1", "DECLARE"),
        ("DROP MATERIALIZED VIEW x", "DROP MATERIALIZED VIEW"),
        ("DROP TABLE x", "DROP TABLE"),
        ("ALTER TABLE x ADD y int", "ALTER TABLE"),
        ("ALTER TABLE x RENAME y TO z", "ALTER TABLE"),
        ("ALTER VIEW x RENAME TO z", "ALTER VIEW"),
        ("CREATE MATERIALIZED VIEW x AS SELECT 1", "CREATE MATERIALIZED VIEW"),
        ("CREATE TABLE x AS SELECT 1", "CREATE TABLE"),
        ("CREATE VIEW x AS SELECT 1", "CREATE VIEW"),
        ("CREATE PROCEDURE x() LANGUAGE sql AS ''", "CREATE PROCEDURE"),
        ("CREATE USER MAPPING FOR a SERVER b", "CREATE USER MAPPING"),
        ("REVOKE SELECT ON x FROM y", "REVOKE"),
        ("REASSIGN OWNED BY a TO b", "REASSIGN OWNED"),
        ("REFRESH MATERIALIZED VIEW x", "REFRESH MATERIALIZED VIEW"),
        ("CREATE INDEX ON x (y)", "CREATE INDEX"),
        ("CHECKPOINT", "CHECKPOINT"),
    ],
)
def test_says_the_command_word(read: Callable[..., list[Statement]], text: str, verb: str) -> None:
    (statement,) = read(text)
    assert statement.verb == verb
