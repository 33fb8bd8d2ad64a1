# SPDX-License-Identifier: Apache-2.0
"""What a held statement would probably do: its plan, asked for with its own account, read only and within bounds.

An operation of its own, under the action `preview`: its intent is in the book before it is sent, its outcome after. It
changes nothing: EXPLAIN without ANALYZE, in a READ ONLY transaction, and of no statement that calls functions other
than the server's own. A preview that cannot be had is told, and holds up nothing.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import asyncpg

from gatebook.evidence import approval_entries
from gatebook.evidence.builders import Stamp
from gatebook.evidence.entry import Leaf, Value
from gatebook.model.decision import Verdict
from gatebook.model.principal import Subject
from gatebook.serve.catalogues import connect
from gatebook.serve.fresh import now
from gatebook.session.binding import Matter
from gatebook.session.gate import Session

# LIMIT: previews at once, the time of one with its login, and lines of a plan that people are shown.
AT_ONCE: Final = 4
WHOLE_S: Final = 3.0
LINES: Final = 40
# LIMIT: identities that rest, which bounds memory (a full one is emptied), and for how long.
RESTING: Final = 1000
REST_S: Final = 10.0
_BOUNDS: Final = {
    "default_transaction_read_only": "on",
    "statement_timeout": "1000",
    "lock_timeout": "200",
    "idle_in_transaction_session_timeout": "3000",
    "jit": "off",
}
_VERBS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"})
_TABLE: Final = re.compile(r"(?:[1-9][0-9]*|temporary) (?:partitioned )?table \(")
_FAULTS: Final = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    TimeoutError,
    LookupError,
    TypeError,
    ValueError,
)


class Previews:
    """Asks targets for plans. Lives on one event loop."""

    def __init__(self, gate: str, append: Callable[[bytes], object]) -> None:
        self._gate = gate
        self._append = append
        self._running = 0
        self._resting: dict[Subject, float] = {}

    def rest(self, subject: Subject) -> None:
        """Give this identity no previews for a while: it has just been refused for asking too much."""
        if len(self._resting) >= RESTING:
            self._resting.clear()
        self._resting[subject] = time.monotonic() + REST_S

    async def of(self, request: str, operation: str, session: Session, verdict: Verdict, matter: Matter) -> Leaf:
        """Return what people are shown of the plan of a held statement, or why there is none."""
        text = matter.shown.get("text")
        statements = verdict.statements
        if len(statements) != 1 or statements[0].verb not in _VERBS or statements[0].blots or matter.unfit:
            return {"none": "there are plans of single SELECT, INSERT, UPDATE, DELETE and MERGE statements only"}
        if any(access.action == "execute" for access in statements[0].accesses):
            # Whoever plans computes what says it is immutable, and a read-only transaction does not stop its effects.
            return {"none": "there are no plans of statements that call functions: a plan could run them"}
        if not all(_is_table(access) for access in _list(matter.public.get("accesses"))):
            # A view may call what its owner liked, and whoever plans opens it.
            return {"none": "there are plans of statements on tables only"}
        if matter.shown.get("params") or not isinstance(text, str):
            return {"none": "there are no plans of statements with parameters"}
        if self._running >= AT_ONCE or time.monotonic() < self._resting.get(session.principal.subject, 0):
            return {"none": "too many were asked for"}
        self._running += 1
        try:
            await self._enter(approval_entries.preview(self._stamp(), request, operation=operation))
            plan = await self._explain(session, text, str(_facts(matter).get("search_path", "")))
            await self._enter(approval_entries.previewed(self._stamp(), request, operation=operation, status="done"))
        except _FAULTS as fault:
            words = " ".join(str(fault).split())[:200] or type(fault).__name__
            await self._enter(approval_entries.previewed(self._stamp(), request, operation=operation, status="error"))
            return {"none": f"the target did not give it: {words}"}
        finally:
            self._running -= 1
        return plan

    async def _explain(self, session: Session, text: str, search_path: str) -> Leaf:
        async with asyncio.timeout(WHOLE_S):
            connection = await connect(session.target, session.database, session.role.account, _BOUNDS)
            try:
                async with connection.transaction(readonly=True):
                    await connection.execute("SELECT pg_catalog.set_config('search_path', $1, true)", search_path)
                    # One statement of the server's own grammar, behind a word that makes it a question.
                    told = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {text}")
            finally:
                connection.terminate()
        return render_plan(json.loads(told))

    async def _enter(self, leaf: bytes) -> None:
        """Write an entry, which waits for the disk, beside the loop."""
        await asyncio.to_thread(self._append, leaf)

    def _stamp(self) -> Stamp:
        return Stamp(self._gate, now())


def render_plan(told: Any) -> Leaf:  # noqa: ANN401  JSON of the server, taken apart here
    """Return rows (an estimate) and the lines of a plan. LookupError, TypeError or ValueError if it is none."""
    root = told[0]["Plan"]
    lines: list[str] = []
    _lines(root, 0, lines)
    first = root["Plans"][0] if root["Node Type"] == "ModifyTable" and root.get("Plans") else root
    return {"rows": max(0, round(first["Plan Rows"])), "plan": lines[:LINES]}


def _lines(node: dict[str, Any], depth: int, lines: list[str]) -> None:
    if len(lines) >= LINES or depth > LINES:
        return
    name = str(node.get("Operation") or node["Node Type"])
    relation = f" on {node['Relation Name']}" if node.get("Relation Name") else ""
    index = f" using {node['Index Name']}" if node.get("Index Name") else ""
    condition = next((f" where {node[key]}" for key in ("Filter", "Index Cond", "Hash Cond") if node.get(key)), "")
    rows = "" if node["Node Type"] == "ModifyTable" else f", some {round(node['Plan Rows']):,} rows"
    lines.append(f"{'  ' * depth}{name}{index}{relation}{condition}{rows}"[:400])
    for child in node.get("Plans", ()):
        _lines(child, depth + 1, lines)


def _is_table(access: Value) -> bool:
    """Whether an access of a binding is one to a table, as the catalogue says."""
    version = access[2] if isinstance(access, Sequence) and len(access) == 3 else ""
    return isinstance(version, str) and _TABLE.match(version) is not None


def _list(value: Value | None) -> Sequence[Value]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _facts(matter: Matter) -> Leaf:
    facts = matter.public.get("facts")
    return facts if isinstance(facts, dict) else {}
