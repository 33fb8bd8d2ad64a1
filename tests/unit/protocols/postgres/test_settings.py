# SPDX-License-Identifier: Apache-2.0
"""Settings: harmless ones are adjusted, the others set, and some are roles in disguise."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Accesses = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SET statement_timeout = 0", "adjust Setting statement_timeout"),
        ("SET LOCAL Search_Path TO a, b", "adjust Setting search_path"),
        ('SET "SEARCH_PATH" = a', "adjust Setting search_path"),
        ("SET TIME ZONE 'UTC'", "adjust Setting timezone"),
        ("SET SCHEMA 'audit'", "adjust Setting search_path"),
        ("SET NAMES 'utf-8'", "adjust Setting client_encoding"),
        ("SET NAMES 'GBK'", "set Setting client_encoding"),
        ("RESET client_encoding", "adjust Setting client_encoding"),
        ("SET standard_conforming_strings = on", "adjust Setting standard_conforming_strings"),
        ("SET standard_conforming_strings = off", "set Setting standard_conforming_strings"),
        ("SET backslash_quote = on", "set Setting backslash_quote"),
        ("SET session_replication_role = replica", "set Setting session_replication_role"),
        ("SET row_security = off", "adjust Setting row_security"),
        ("SET role = admin", "set_role Role admin"),
        ("SET ROLE NONE", "set_role Role none"),
        ("RESET role", "set_role Role default"),
        ("RESET SESSION AUTHORIZATION", "set_session_authorization Role default"),
        ("SET TRANSACTION READ ONLY", "transaction Database"),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "transaction Database"),
        ("SHOW ALL", "show Setting all"),
    ],
)
def test_judges_a_setting_by_name_and_value(accesses: Accesses, text: str, expected: str) -> None:
    assert accesses(text) == [expected]


def test_becoming_somebody_named_by_an_expression_is_opaque(accesses: Accesses) -> None:
    assert accesses("SELECT set_config('role', upper('x'), false)") == ["opaque Database", "set_role Role default"]
