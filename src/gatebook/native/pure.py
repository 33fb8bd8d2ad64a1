# SPDX-License-Identifier: Apache-2.0
"""Native functions without I/O, clock or randomness, and the values that cross the seam; any floor may import them."""

from gatebook._native import (
    Admission,
    NativeError,
    OperationFacts,
    PostgresConversation,
    Question,
    Refusal,
    Verdict,
    journal_leaves,
    parse_sql,
    private_open,
    private_seal,
    sql_literal_free,
    sql_password_literals,
    sql_shape,
    sql_tokens,
)

__all__ = [
    "Admission",
    "NativeError",
    "OperationFacts",
    "PostgresConversation",
    "Question",
    "Refusal",
    "Verdict",
    "journal_leaves",
    "parse_sql",
    "private_open",
    "private_seal",
    "sql_literal_free",
    "sql_password_literals",
    "sql_shape",
    "sql_tokens",
]
