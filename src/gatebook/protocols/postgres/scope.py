# SPDX-License-Identifier: Apache-2.0
"""What names mean at one level of a query: its FROM items, and the common table expressions it can see."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gatebook.model.operation import ObjectRef


@dataclass(slots=True)
class Item:
    """One thing that columns can come from.

    `names` qualify its columns; `ref` is None for a sub-query, function or CTE; `columns` None where not known;
    `is_target` for the relation that a statement changes, which is read only if a column of it is used.
    """

    names: tuple[str, ...]
    ref: ObjectRef | None
    columns: frozenset[str] | None
    is_target: bool = False


@dataclass(slots=True)
class Scope:
    """One query level: its own items and CTEs, and the level around it."""

    parent: Scope | None = None
    items: list[Item] = field(default_factory=list)
    ctes: dict[str, frozenset[str] | None] = field(default_factory=dict)

    def outward(self) -> Iterator[Scope]:
        """Yield this level, then those around it."""
        scope: Scope | None = self
        while scope is not None:
            yield scope
            scope = scope.parent

    def cte(self, name: str) -> tuple[bool, frozenset[str] | None]:
        """Whether a CTE of this name is visible, and its columns where known."""
        for scope in self.outward():
            if name in scope.ctes:
                return True, scope.ctes[name]
        return False, None
