# SPDX-License-Identifier: Apache-2.0
"""The command word of a statement, as evidence and policies show it: `SELECT`, `DROP TABLE`, `ROLLBACK TO`, ..."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from gatebook.protocols.postgres.reading import Body

_WORD: Final = re.compile(r"[A-Z][a-z]*")

_TRANSACTION: Final = {
    "TRANS_STMT_BEGIN": "BEGIN",
    "TRANS_STMT_START": "START TRANSACTION",
    "TRANS_STMT_COMMIT": "COMMIT",
    "TRANS_STMT_ROLLBACK": "ROLLBACK",
    "TRANS_STMT_SAVEPOINT": "SAVEPOINT",
    "TRANS_STMT_RELEASE": "RELEASE",
    "TRANS_STMT_ROLLBACK_TO": "ROLLBACK TO",
    "TRANS_STMT_PREPARE": "PREPARE TRANSACTION",
    "TRANS_STMT_COMMIT_PREPARED": "COMMIT PREPARED",
    "TRANS_STMT_ROLLBACK_PREPARED": "ROLLBACK PREPARED",
}
_SINGLE: Final[Mapping[str, str]] = {
    "VariableShowStmt": "SHOW",
    "ClosePortalStmt": "CLOSE",
    "CheckPointStmt": "CHECKPOINT",
    "IndexStmt": "CREATE INDEX",
    "RuleStmt": "CREATE RULE",
    "RefreshMatViewStmt": "REFRESH MATERIALIZED VIEW",
    "ConstraintsSetStmt": "SET CONSTRAINTS",
    "CreatedbStmt": "CREATE DATABASE",
    "DropdbStmt": "DROP DATABASE",
    "CreateSeqStmt": "CREATE SEQUENCE",
    "AlterSeqStmt": "ALTER SEQUENCE",
    "CreateTrigStmt": "CREATE TRIGGER",
    "CreateEventTrigStmt": "CREATE EVENT TRIGGER",
    "AlterEventTrigStmt": "ALTER EVENT TRIGGER",
    "CreateStatsStmt": "CREATE STATISTICS",
    "AlterStatsStmt": "ALTER STATISTICS",
    "CreateFdwStmt": "CREATE FOREIGN DATA WRAPPER",
    "AlterFdwStmt": "ALTER FOREIGN DATA WRAPPER",
    "CreateAmStmt": "CREATE ACCESS METHOD",
    "CreatePLangStmt": "CREATE LANGUAGE",
    "CreateOpClassStmt": "CREATE OPERATOR CLASS",
    "CreateOpFamilyStmt": "CREATE OPERATOR FAMILY",
    "AlterOpFamilyStmt": "ALTER OPERATOR FAMILY",
    "SecLabelStmt": "SECURITY LABEL",
    "CompositeTypeStmt": "CREATE TYPE",
    "CreateEnumStmt": "CREATE TYPE",
    "CreateRangeStmt": "CREATE TYPE",
    "AlterEnumStmt": "ALTER TYPE",
    "AlterExtensionContentsStmt": "ALTER EXTENSION",
    "AlterTSDictionaryStmt": "ALTER TEXT SEARCH DICTIONARY",
    "AlterTSConfigurationStmt": "ALTER TEXT SEARCH CONFIGURATION",
    "AlterTableSpaceOptionsStmt": "ALTER TABLESPACE",
    "AlterTableMoveAllStmt": "ALTER TABLE ALL IN TABLESPACE",
    "CreateTableSpaceStmt": "CREATE TABLESPACE",
    "DropTableSpaceStmt": "DROP TABLESPACE",
    "AlterRoleSetStmt": "ALTER ROLE",
    "AlterDatabaseSetStmt": "ALTER DATABASE",
    "AlterDatabaseRefreshCollStmt": "ALTER DATABASE",
    "CreateForeignServerStmt": "CREATE SERVER",
    "AlterForeignServerStmt": "ALTER SERVER",
    "GrantRoleStmt": "GRANT",
    "CreateStmt": "CREATE TABLE",
    "ViewStmt": "CREATE VIEW",
    "DeclareCursorStmt": "DECLARE",
}
# Where the kind of object is a field: (field, word before it).
_BY_KIND: Final = {
    "DropStmt": ("removeType", "DROP"),
    "AlterTableStmt": ("objtype", "ALTER"),
    "RenameStmt": ("renameType", "ALTER"),
    "AlterOwnerStmt": ("objectType", "ALTER"),
    "AlterObjectSchemaStmt": ("objectType", "ALTER"),
    "AlterObjectDependsStmt": ("objectType", "ALTER"),
    "AlterFunctionStmt": ("objtype", "ALTER"),
    "DefineStmt": ("kind", "CREATE"),
    "CreateTableAsStmt": ("objtype", "CREATE"),
}
_PARTS: Final = {
    "OBJECT_COLUMN": "OBJECT_TABLE",
    "OBJECT_TABCONSTRAINT": "OBJECT_TABLE",
    "OBJECT_ATTRIBUTE": "OBJECT_TYPE",
}


def verb_of(kind: str, body: Body) -> str:
    """Return the command word of a statement's top node."""
    if kind == "TransactionStmt":
        return _TRANSACTION.get(body.get("kind", ""), "TRANSACTION")
    if kind == "VariableSetStmt":
        return "RESET" if body.get("kind") in {"VAR_RESET", "VAR_RESET_ALL"} else "SET"
    if kind == "VacuumStmt":
        return "VACUUM" if body.get("is_vacuumcmd") else "ANALYZE"
    if kind == "CreateFunctionStmt":
        return "CREATE PROCEDURE" if body.get("is_procedure") else "CREATE FUNCTION"
    if kind == "GrantStmt":
        return "GRANT" if body.get("is_grant") else "REVOKE"
    if kind == "FetchStmt":
        return "MOVE" if body.get("ismove") else "FETCH"
    if kind in _BY_KIND:
        field, word = _BY_KIND[kind]
        object_kind = str(body.get(field, ""))
        named = _PARTS.get(object_kind, object_kind)
        return f"{word} {_object_word(named)}".strip()
    return _SINGLE.get(kind) or " ".join(_WORD.findall(kind.removesuffix("Stmt"))).upper()


def _object_word(kind: str) -> str:
    word = kind.removeprefix("OBJECT_").replace("_", " ")
    return {"MATVIEW": "MATERIALIZED VIEW"}.get(word, word)
