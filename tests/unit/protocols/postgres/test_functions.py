# SPDX-License-Identifier: Apache-2.0
"""The lists of known functions hold what they say, and none of what they must not."""

from __future__ import annotations

import pytest

from gatebook.protocols.postgres.functions import KNOWN_SAFE, QUIET


@pytest.mark.parametrize(
    "name", ["count", "now", "upper", "format_type", "pg_table_is_visible", "random", "jsonb_path_query"]
)
def test_harmless_functions_are_known(name: str) -> None:
    assert name in KNOWN_SAFE


@pytest.mark.parametrize(
    "name",
    [
        "query_to_xml", "query_to_xmlschema", "table_to_xml", "schema_to_xml", "database_to_xml", "cursor_to_xml",
        "ts_stat", "ts_rewrite", "pg_read_file", "pg_ls_dir", "lo_get", "pg_stat_get_activity", "set_config", "nextval",
        "pg_notify", "pg_advisory_lock", "pg_terminate_backend", "pg_reload_conf", "pg_show_all_settings", "pg_sleep",
        "pg_logical_emit_message", "pg_create_restore_point", "pg_switch_wal", "dblink",
    ],
)  # fmt: skip
def test_functions_with_effects_are_not(name: str) -> None:
    assert name not in KNOWN_SAFE


def test_what_may_change_names_is_not_quiet() -> None:
    assert QUIET.isdisjoint({"set_config", "query_to_xml", "ts_stat", "pg_reload_conf", "cursor_to_xml"})
    assert {"nextval", "pg_sleep", "pg_notify"} <= QUIET
