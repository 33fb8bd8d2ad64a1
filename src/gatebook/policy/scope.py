# SPDX-License-Identifier: Apache-2.0
"""What a single policy could apply to, read from its parsed form: always rather too much than too little.

Three questions need it, none of which Cedar answers: may this decision be kept, do policies speak of columns, and
could a forbid protect exactly the object whose name the gate could not resolve.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gatebook.model.operation import ObjectKind, ObjectRef
from gatebook.policy.schema import ACTIONS, VOLATILE
from gatebook.policy.source import Policy, Tree

_WIDE: Final = frozenset({ObjectKind.TARGET.value, ObjectKind.DATABASE.value})


@dataclass(frozen=True, slots=True)
class Reach:
    """What one policy could apply to.

    `principals` are the (type, id) pairs of which the principal must be or have one, None for anybody; `actions` the
    actions it names; `reads_volatile` says that it reads what changes from message to message; `mentions_columns`
    that it names a column or the kind; `narrow_to` is the id below a database that its scope names, empty if its
    condition looks at the resource, None if it covers whole databases only.
    """

    principals: frozenset[tuple[str, str]] | None
    actions: frozenset[str]
    reads_volatile: bool
    mentions_columns: bool
    narrow_to: str | None

    def could_concern(self, subjects: frozenset[tuple[str, str]], action: str) -> bool:
        """Whether scope allows it to apply to somebody who is, and is in, `subjects`, for this action."""
        return action in self.actions and (self.principals is None or not self.principals.isdisjoint(subjects))

    def could_protect(self, database: ObjectRef) -> bool:
        """Whether it singles out something inside this database."""
        if self.narrow_to is None:
            return False
        return not self.narrow_to or self.narrow_to.startswith(f"{database}.")


def reach_of(policy: Policy) -> Reach:
    """Read the reach of a policy from its tree."""
    bodies = list(_conditions(policy.tree))
    return Reach(
        principals=_principals(_record(policy.tree["principal"])),
        actions=_actions(_record(policy.tree["action"])),
        reads_volatile=any(_reads_volatile(body) for body in bodies),
        mentions_columns=_mentions_columns(_record(policy.tree["resource"]), bodies),
        narrow_to=_narrow_to(_record(policy.tree["resource"]), bodies),
    )


def _record(tree: Tree) -> Mapping[str, Tree]:
    return tree if isinstance(tree, dict) else {}


def _conditions(tree: Mapping[str, Tree]) -> Iterator[Tree]:
    conditions = tree.get("conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        yield _record(condition).get("body")


def _uid(tree: Tree) -> tuple[str, str]:
    record = _record(tree)
    return str(record.get("type")), str(record.get("id"))


def _principals(scope: Mapping[str, Tree]) -> frozenset[tuple[str, str]] | None:
    if scope["op"] in {"==", "in"}:
        return frozenset({_uid(scope["entity"])})
    if scope["op"] == "is" and "in" in scope:
        return frozenset({_uid(_record(scope["in"])["entity"])})
    return None


def _actions(scope: Mapping[str, Tree]) -> frozenset[str]:
    if "entity" in scope:
        named = {_uid(scope["entity"])[1]}
    elif isinstance(several := scope.get("entities"), list):
        named = {_uid(entity)[1] for entity in several}
    else:
        return frozenset(ACTIONS)
    return frozenset(action for action, groups in ACTIONS.items() if action in named or not groups.isdisjoint(named))


def _nodes(tree: Tree) -> Iterator[Mapping[str, Tree]]:
    """Every record inside a tree, itself included."""
    stack = [tree]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            yield part
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)


def _is_variable(tree: Tree, name: str) -> bool:
    return isinstance(tree, dict) and tree.get("Var") == name


def _reads_volatile(body: Tree) -> bool:
    """Whether a condition reads a volatile member of the context, or the context as a whole."""
    whole = sum(1 for node in _nodes(body) if _is_variable(node, "context"))
    single = 0
    for node in _nodes(body):
        for operator in (".", "has"):
            read = _record(node.get(operator))
            if _is_variable(read.get("left"), "context"):
                single += 1
                if read.get("attr") in VOLATILE:
                    return True
    return whole > single


def _mentions_columns(scope: Mapping[str, Tree], bodies: list[Tree]) -> bool:
    """Whether it names a column or the kind, or asks for the name of a resource that may be a column."""
    column = ObjectKind.COLUMN.value
    parts: list[Tree] = [dict(scope), *bodies]
    if any(node.get("type") == column or node.get("entity_type") == column for part in parts for node in _nodes(part)):
        return True
    kind = scope.get("entity_type") or (_uid(scope["entity"])[0] if scope["op"] == "==" else None)
    reads = (_record(node.get(".")) for body in bodies for node in _nodes(body))
    return kind is None and any(
        _is_variable(read.get("left"), "resource") and read.get("attr") == "name" for read in reads
    )


def _narrow_to(scope: Mapping[str, Tree], bodies: list[Tree]) -> str | None:
    if any(_is_variable(node, "resource") for body in bodies for node in _nodes(body)):
        return ""
    inside = _record(scope.get("in")).get("entity")
    entity = scope.get("entity", inside)
    if entity is not None:
        kind, name = _uid(entity)
        if kind not in _WIDE:
            return name
    if scope["op"] == "is" and scope.get("entity_type") not in _WIDE:
        return ""
    return None
