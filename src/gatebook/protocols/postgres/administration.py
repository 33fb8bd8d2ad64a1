# SPDX-License-Identifier: Apache-2.0
"""Administration: privileges, roles, databases, extensions, foreign servers, replication.

Source: PostgreSQL 18, reference pages of these commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gatebook.protocols.postgres.expressions import strings
from gatebook.protocols.postgres.objects import objects_named
from gatebook.protocols.postgres.queries import parts_of
from gatebook.protocols.postgres.reading import Body, Handler, Reading
from gatebook.protocols.postgres.scope import Scope

# Kinds whose privileges are on something that policies know by itself; the rest is the database's.
_GRANTABLE: Final = frozenset(
    {
        "OBJECT_FUNCTION", "OBJECT_PROCEDURE", "OBJECT_ROUTINE", "OBJECT_TYPE", "OBJECT_DOMAIN", "OBJECT_SCHEMA",
        "OBJECT_DATABASE", "OBJECT_TABLESPACE",
    }
)  # fmt: skip


def _grant(reading: Reading, body: Body, _scope: Scope) -> None:
    """GRANT and REVOKE of privileges on objects."""
    reading.defines()
    if body.get("targtype") == "ACL_TARGET_ALL_IN_SCHEMA":
        for node in body["objects"]:
            reading.access("grant", reading.names.schema(strings([node])[0]))
        reading.access("grant", reading.names.unknown(("contents",)))
        return
    for node in body["objects"]:
        if "RangeVar" in node:
            reading.access("grant", reading.names.relation(parts_of(node["RangeVar"])).ref)
        elif body.get("objtype") in _GRANTABLE:
            for _, ref in objects_named(reading, body["objtype"], node):
                reading.access("grant", ref)
        elif body.get("objtype") == "OBJECT_PARAMETER_ACL":
            reading.access("grant", reading.names.setting(strings([node])[0]))
        else:
            reading.on_database("grant")


def _default_privileges(reading: Reading, _body: Body, _scope: Scope) -> None:
    reading.on_database("grant")
    reading.defines()


def _grant_role(reading: Reading, body: Body, _scope: Scope) -> None:
    for node in body.get("granted_roles") or ():
        reading.access("grant", reading.names.role(node["AccessPriv"].get("priv_name", "")))
    reading.defines()


def _role_name(body: Body | None) -> str:
    """Return the name of a role; CURRENT_USER and its like by that word."""
    spec = body or {}
    return str(spec.get("rolename") or spec.get("roletype", "").removeprefix("ROLESPEC_").lower() or "all")


def _role(reading: Reading, body: Body, _scope: Scope) -> None:
    """CREATE, ALTER and DROP of roles; the literals of their passwords are blotted out by the caller."""
    specs = [node["RoleSpec"] for node in body.get("roles") or ()]
    names = [_role_name(spec) for spec in specs]
    if not specs:
        role = body.get("role")
        names = [role if isinstance(role, str) else _role_name(role)]
    for name in names:
        reading.access("manage_role", reading.names.role(name))
    reading.defines()


def _owned(reading: Reading, body: Body, _scope: Scope) -> None:
    """DROP OWNED and REASSIGN OWNED: whatever the roles have here."""
    for node in body.get("roles") or ():
        reading.access("manage_role", reading.names.role(_role_name(node["RoleSpec"])))
    reading.access("drop", reading.names.unknown(("owned",)))
    reading.on_database("grant")
    reading.defines()


def _database(action: str) -> Handler:
    """Make the handler of a command about databases or tablespaces: the target's own."""

    def handle(reading: Reading, _body: Body, _scope: Scope) -> None:
        reading.access(action, reading.names.server())
        reading.defines()

    return handle


def _extend(reading: Reading, _body: Body, _scope: Scope) -> None:
    """Extensions, foreign servers and languages bring foreign code or foreign data."""
    reading.on_database("extend")
    reading.defines()


def _replicate(reading: Reading, body: Body, scope: Scope) -> None:
    """Publications show what they name to whoever subscribes; subscriptions write what they are sent."""
    reading.on_database("replicate")
    reading.defines()
    for node in body.get("pubobjects") or ():
        table = node["PublicationObjSpec"].get("pubtable")
        if table:
            reading.access("select", reading.names.relation(parts_of(table["relation"])).ref)
            reading.walk(table.get("whereClause"), scope)
        else:
            reading.access("select", reading.names.unknown(("publication",)))
    if body.get("for_all_tables"):
        reading.access("select", reading.names.unknown(("publication",)))


ADMINISTRATION: Final[Mapping[str, Handler]] = {
    "GrantStmt": _grant,
    "GrantRoleStmt": _grant_role,
    "AlterDefaultPrivilegesStmt": _default_privileges,
    "CreateRoleStmt": _role,
    "AlterRoleStmt": _role,
    "AlterRoleSetStmt": _role,
    "DropRoleStmt": _role,
    "DropOwnedStmt": _owned,
    "ReassignOwnedStmt": _owned,
    "CreatedbStmt": _database("create"),
    "AlterDatabaseStmt": _database("alter"),
    "AlterDatabaseRefreshCollStmt": _database("alter"),
    "AlterDatabaseSetStmt": _database("alter"),
    "DropdbStmt": _database("drop"),
    "CreateTableSpaceStmt": _database("create"),
    "AlterTableSpaceOptionsStmt": _database("alter"),
    "AlterTableMoveAllStmt": _database("alter"),
    "DropTableSpaceStmt": _database("drop"),
    "CreateExtensionStmt": _extend,
    "AlterExtensionStmt": _extend,
    "AlterExtensionContentsStmt": _extend,
    "CreateFdwStmt": _extend,
    "AlterFdwStmt": _extend,
    "CreateForeignServerStmt": _extend,
    "AlterForeignServerStmt": _extend,
    "CreateUserMappingStmt": _extend,
    "AlterUserMappingStmt": _extend,
    "DropUserMappingStmt": _extend,
    "ImportForeignSchemaStmt": _extend,
    "CreatePublicationStmt": _replicate,
    "AlterPublicationStmt": _replicate,
    "CreateSubscriptionStmt": _replicate,
    "AlterSubscriptionStmt": _replicate,
    "DropSubscriptionStmt": _replicate,
}
