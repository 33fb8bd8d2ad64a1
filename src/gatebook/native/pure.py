# SPDX-License-Identifier: Apache-2.0
"""Native functions without I/O, clock or randomness; any floor may import them."""

from gatebook._native import (
    NativeError,
    PostgresConversation,
    entry_link,
    parse_sql,
    private_open,
    private_seal,
    sql_literal_free,
    sql_shape,
    sql_tokens,
)

__all__ = [
    "NativeError",
    "PostgresConversation",
    "entry_link",
    "parse_sql",
    "private_open",
    "private_seal",
    "sql_literal_free",
    "sql_shape",
    "sql_tokens",
]
