# SPDX-License-Identifier: Apache-2.0
"""Commands that concern the session: transactions, prepared statements, cursors, settings, channels, upkeep, code.

Source: PostgreSQL 18, reference pages of these commands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gatebook.model.errors import quoted
from gatebook.model.operation import Effect, EffectKind
from gatebook.native.pure import NativeError
from gatebook.protocols.postgres.expressions import constant
from gatebook.protocols.postgres.queries import into_clause, parts_of
from gatebook.protocols.postgres.reading import NESTED_EXECUTE, Body, Handler, Reading
from gatebook.protocols.postgres.scope import Scope
from gatebook.protocols.postgres.settings import set_setting

_TWO_PHASE: Final = frozenset({"TRANS_STMT_PREPARE", "TRANS_STMT_COMMIT_PREPARED", "TRANS_STMT_ROLLBACK_PREPARED"})
_ENDS: Final = frozenset({"TRANS_STMT_COMMIT", "TRANS_STMT_ROLLBACK", "TRANS_STMT_PREPARE"})
_ACCESS_SHARE: Final = 1  # the lock that SELECT takes


def _transaction(reading: Reading, body: Body, scope: Scope) -> None:
    kind = body.get("kind", "")
    reading.on_database("two_phase" if kind in _TWO_PHASE else "transaction")
    reading.walk(body.get("options"), scope)
    if reading.names.facts is None and kind in _ENDS | _TWO_PHASE:
        # What was done to names in the block takes hold now, or is undone.
        reading.defines()


def _constraints(reading: Reading, _body: Body, _scope: Scope) -> None:
    reading.on_database("transaction")


# ── prepared statements and cursors ─────────────────────────────────────────────────────────────


def _prepare(reading: Reading, body: Body, scope: Scope) -> None:
    reading.on_database("prepare")
    reading.walk(body.get("argtypes"), scope)
    reading.walk(body.get("query"), scope)
    reading.effects[Effect(EffectKind.PREPARE, body["name"])] = None
    reading.exact = True


def _execute(reading: Reading, body: Body, scope: Scope) -> None:
    reading.kept = False
    reading.on_database("prepare")
    reading.walk(body.get("params"), scope)
    name = body["name"]
    text = reading.prepared.get(name.encode())
    if text is None:
        reading.not_understood(f"no prepared statement {quoted(name)} is known")
        return
    query = _prepared_query(reading, name, text)
    if query is None or reading.executing >= NESTED_EXECUTE:
        reading.not_understood(f"prepared statement {quoted(name)} cannot be read again")
        return
    reading.executing += 1
    reading.walk(query, scope)
    reading.executing -= 1


def _prepared_query(reading: Reading, name: str, text: bytes) -> Body | None:
    """Return the statement that a name stands for: the text's PREPARE of that name, or its only statement."""
    try:
        tree: dict[str, Any] = msgspec.json.decode(reading.parse(text))
    except (NativeError, RecursionError, msgspec.MsgspecError):
        return None
    statements = [entry["stmt"] for entry in tree.get("stmts", ())]
    prepares = [node["PrepareStmt"] for node in statements if "PrepareStmt" in node]
    named: list[Body] = [body["query"] for body in prepares if body["name"] == name]
    if len(named) == 1:
        return named[0]
    return statements[0] if len(statements) == 1 and not prepares else None


def _deallocate(reading: Reading, body: Body, _scope: Scope) -> None:
    reading.on_database("prepare")
    if body.get("isall") or not body.get("name"):
        reading.effects[Effect(EffectKind.DEALLOCATE_ALL)] = None
    else:
        reading.effects[Effect(EffectKind.DEALLOCATE, body["name"])] = None


def _declare(reading: Reading, body: Body, scope: Scope) -> None:
    reading.on_database("prepare")
    reading.exact = True
    reading.walk(body.get("query"), scope)


def _cursor(reading: Reading, _body: Body, _scope: Scope) -> None:
    """FETCH, MOVE and CLOSE: what the cursor reads was judged when it was declared."""
    reading.on_database("prepare")
    reading.kept = False


def _explain(reading: Reading, body: Body, scope: Scope) -> None:
    options = [entry["DefElem"] for entry in body.get("options") or ()]
    reading.context["analyze"] = any(option.get("defname") == "analyze" for option in options)
    reading.exact = True
    reading.walk(body.get("query"), scope)


def _create_table_as(reading: Reading, body: Body, scope: Scope) -> None:
    into_clause(reading, body["into"])
    reading.walk(body.get("query"), scope)


# ── settings ────────────────────────────────────────────────────────────────────────────────────


def _set(reading: Reading, body: Body, scope: Scope) -> None:
    kind, name = body.get("kind", ""), body.get("name", "")
    arguments = body.get("args") or []
    if kind == "VAR_RESET_ALL":
        reading.on_database("discard")
        reading.stale()
    elif kind == "VAR_SET_MULTI":  # SET TRANSACTION, SET SESSION CHARACTERISTICS
        reading.on_database("transaction")
        reading.walk(arguments, scope)
    elif kind in {"VAR_RESET", "VAR_SET_DEFAULT"}:
        set_setting(reading, name, None, to_default=True)
    elif kind in {"VAR_SET_VALUE", "VAR_SET_CURRENT"}:
        value = constant(arguments[0]) if len(arguments) == 1 else None
        set_setting(reading, name, value)
    else:
        reading.not_understood(f"SET of kind {quoted(kind)} is not listed")


def _show(reading: Reading, body: Body, _scope: Scope) -> None:
    reading.access("show", reading.names.setting(body.get("name", "all")))


def _discard(reading: Reading, body: Body, _scope: Scope) -> None:
    reading.on_database("discard")
    if body.get("target") in {None, "DISCARD_ALL"}:
        reading.effects[Effect(EffectKind.DEALLOCATE_ALL)] = None
    if body.get("target") not in {"DISCARD_PLANS", "DISCARD_SEQUENCES"}:
        reading.stale()


def _alter_system(reading: Reading, _body: Body, _scope: Scope) -> None:
    reading.on_database("alter_system")


# ── channels ────────────────────────────────────────────────────────────────────────────────────


def _listen(reading: Reading, body: Body, _scope: Scope) -> None:
    reading.access("listen", reading.names.channel(body.get("conditionname") or "*"))


def _notify(reading: Reading, body: Body, _scope: Scope) -> None:
    reading.access("notify", reading.names.channel(body["conditionname"]))
    reading.exact = True


# ── upkeep ──────────────────────────────────────────────────────────────────────────────────────


def _vacuum(reading: Reading, body: Body, scope: Scope) -> None:
    """VACUUM and ANALYZE."""
    reading.walk(body.get("options"), scope)
    for entry in body.get("rels") or ():
        relation = entry["VacuumRelation"]["relation"]
        reading.access("maintain", reading.names.relation(parts_of(relation)).ref)
    if not body.get("rels"):
        reading.on_database("maintain")


def _maintain_relation(reading: Reading, body: Body, scope: Scope) -> None:
    """CLUSTER, REFRESH MATERIALIZED VIEW, REINDEX."""
    reading.walk(body.get("params"), scope)
    if relation := body.get("relation"):
        reading.access("maintain", reading.names.relation(parts_of(relation)).ref)
    elif body.get("kind") == "REINDEX_OBJECT_SCHEMA":
        reading.access("maintain", reading.names.schema(body["name"]))
    else:
        reading.on_database("maintain")


def _checkpoint(reading: Reading, _body: Body, _scope: Scope) -> None:
    reading.on_database("maintain")


def _lock(reading: Reading, body: Body, _scope: Scope) -> None:
    action = "select" if body.get("mode") == _ACCESS_SHARE else "lock"
    for entry in body.get("relations") or ():
        reading.access(action, reading.names.relation(parts_of(entry["RangeVar"])).ref)


def _truncate(reading: Reading, body: Body, _scope: Scope) -> None:
    for entry in body["relations"]:
        reading.access("truncate", reading.names.relation(parts_of(entry["RangeVar"])).ref)
    cascade(reading, body, "truncate")


def cascade(reading: Reading, body: Body, action: str) -> None:
    """CASCADE reaches objects that the statement does not name."""
    if body.get("behavior") == "DROP_CASCADE":
        reading.context["cascade"] = True
        reading.access(action, reading.names.unknown(("cascade",)))


# ── code ────────────────────────────────────────────────────────────────────────────────────────


def _do(reading: Reading, _body: Body, _scope: Scope) -> None:
    reading.not_understood("a DO block is code that the gate does not read")
    reading.defines()


def _call(reading: Reading, body: Body, scope: Scope) -> None:
    reading.walk_as("FuncCall", body.get("funccall"), scope)
    reading.exact = True
    reading.privileged = True
    reading.stale()


def _load(reading: Reading, _body: Body, _scope: Scope) -> None:
    reading.on_database("load")
    reading.stale()


COMMANDS: Final[Mapping[str, Handler]] = {
    "TransactionStmt": _transaction,
    "ConstraintsSetStmt": _constraints,
    "PrepareStmt": _prepare,
    "ExecuteStmt": _execute,
    "DeallocateStmt": _deallocate,
    "DeclareCursorStmt": _declare,
    "FetchStmt": _cursor,
    "ClosePortalStmt": _cursor,
    "ExplainStmt": _explain,
    "CreateTableAsStmt": _create_table_as,
    "VariableSetStmt": _set,
    "VariableShowStmt": _show,
    "DiscardStmt": _discard,
    "AlterSystemStmt": _alter_system,
    "ListenStmt": _listen,
    "UnlistenStmt": _listen,
    "NotifyStmt": _notify,
    "VacuumStmt": _vacuum,
    "ClusterStmt": _maintain_relation,
    "RefreshMatViewStmt": _maintain_relation,
    "ReindexStmt": _maintain_relation,
    "CheckPointStmt": _checkpoint,
    "LockStmt": _lock,
    "TruncateStmt": _truncate,
    "DoStmt": _do,
    "CallStmt": _call,
    "LoadStmt": _load,
}
