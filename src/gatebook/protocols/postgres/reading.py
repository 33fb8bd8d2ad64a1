# SPDX-License-Identifier: Apache-2.0
"""One statement being read: the walk over its tree, and what has been found in it so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from gatebook.model.errors import quoted
from gatebook.model.operation import Access, Effect, EffectKind, ObjectKind, ObjectRef
from gatebook.protocols.postgres.grammar import FIELDS, NAMES, NODE
from gatebook.protocols.postgres.names import Code, Names
from gatebook.protocols.postgres.scope import Item, Scope

Body: TypeAlias = dict[str, Any]  # JSON as libpg_query gives it: its form is checked by the walk itself
Node: TypeAlias = "Body | list[Any] | None"
Handler: TypeAlias = "Callable[[Reading, Body, Scope], None]"
Parse: TypeAlias = Callable[[bytes], bytes]

# LIMIT: accesses of one statement; a report over hundreds of tables stays far below.
ACCESSES: Final = 2000
# LIMIT: prepared statements that execute prepared statements.
NESTED_EXECUTE: Final = 4

_READS: Final = frozenset(
    {"select", "login", "compute", "transaction", "prepare", "discard", "show", "adjust", "lock", "listen"}
)


class Reading:
    """What is known of one statement while it is walked.

    `accesses` grows; `opaque` is the first reason why the statement is not understood; `exact` says that only its
    exact text may be a key, `kept` that a verdict on it may be kept at all; `unseen` that it brings data later.
    """

    def __init__(
        self,
        names: Names,
        handlers: Mapping[str, Handler],
        prepared: Mapping[bytes, bytes],
        parse: Parse,
        *,
        columns: bool,
    ) -> None:
        self.names: Final = names
        self.prepared: Final = prepared
        self.parse: Final = parse
        self.columns: Final = columns
        self.accesses: dict[Access, None] = {}
        self.effects: dict[Effect, None] = {}
        self.context: dict[str, bool | int | str] = {}
        self.opaque = ""
        self.privileged = False
        self.exact = False
        self.unseen = False
        self.kept = True
        self.executing = 0
        self.read_from: list[ObjectRef] = []
        self._handlers = handlers

    # ── the walk ────────────────────────────────────────────────────────────────────────────────

    def walk(self, node: Node, scope: Scope) -> None:
        """Walk nodes that carry their kinds."""
        if node is None:
            return
        if isinstance(node, list):
            for item in node:
                self.walk(item, scope)
            return
        for kind, body in node.items():
            self.walk_as(kind, body, scope)

    def walk_as(self, kind: str, body: Body | None, scope: Scope) -> None:
        """Walk the body of a node whose kind is known."""
        if body is None:
            return
        handler = self._handlers.get(kind)
        if handler is not None:
            handler(self, body, scope)
            return
        fields = FIELDS.get(kind)
        if fields is None:
            self.not_understood(f"{quoted(kind)} is not listed")
            return
        self.rest(kind, body, scope, fields)

    def rest(self, kind: str, body: Body, scope: Scope, fields: Mapping[str, str]) -> None:
        """Walk the fields of a body as a table tells; a field with nodes that is not in it is not understood."""
        for field, value in body.items():
            if not isinstance(value, (dict, list)):
                continue
            inner = fields.get(field)
            if inner == NODE:
                self.walk(value, scope)
            elif inner is None:
                self.not_understood(f"{quoted(f'{kind}.{field}')} is not listed")
            elif inner != NAMES and isinstance(value, dict):
                self.walk_as(inner, value, scope)

    # ── what is found ───────────────────────────────────────────────────────────────────────────

    def access(self, action: str, ref: ObjectRef) -> None:
        """Note an access; whatever does more than read makes the statement privileged."""
        self.accesses[Access(action, ref)] = None
        if action not in _READS:
            self.privileged = True
        if len(self.accesses) > ACCESSES:
            self.not_understood(f"it has more than {ACCESSES} accesses")

    def on_database(self, action: str) -> None:
        """Note an access to the database as a whole."""
        self.access(action, self.names.database)

    def not_understood(self, reason: str) -> None:
        """Make the statement opaque; the first reason is kept."""
        self.opaque = self.opaque or reason
        self.kept = False
        self.privileged = True

    def stale(self) -> None:
        """Names may resolve otherwise once this has run."""
        self.effects[Effect(EffectKind.FACTS_STALE)] = None

    def defines(self) -> None:
        """Note that the catalogue may be another once this has run, and the session sees it at once."""
        self.stale()
        self.effects[Effect(EffectKind.CATALOGUE_CHANGED)] = None

    def code(self, code: Code) -> None:
        """Note the use of a function, operator or type."""
        for ref in code.refs:
            self.access("execute", ref)
            self.exact = True
        if not code.quiet:
            self.stale()

    # ── relations and columns ───────────────────────────────────────────────────────────────────

    def read_relation(self, parts: Sequence[str]) -> Item:
        """Note that a relation is read; the item for the FROM clause."""
        found = self.names.relation(parts)
        self.access("select", found.ref)
        self.read_from.append(found.ref)
        columns = frozenset(found.relation.columns) if found.relation else None
        return Item((parts[-1],), found.ref, columns)

    def touch(self, item: Item, names: Iterable[str], action: str = "select") -> None:
        """Note that columns of a relation are used."""
        if item.ref is None:
            return
        if action == "select" and item.is_target:
            self.access("select", item.ref)
        if self.columns and item.columns is not None and item.ref.kind is ObjectKind.RELATION:
            for name in names:
                if name in item.columns:
                    self.access(action, self.names.column(item.ref, name))

    def touch_all(self, item: Item, action: str = "select") -> None:
        """Note that all columns of a relation are used."""
        self.touch(item, sorted(item.columns or ()), action)
