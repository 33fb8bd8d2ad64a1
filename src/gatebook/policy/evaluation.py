# SPDX-License-Identifier: Apache-2.0
"""What came of single accesses, and how those to a relation and to its columns are one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatebook.model.approval import Hold
from gatebook.model.ids import PolicyId
from gatebook.model.operation import Access, ObjectKind, ObjectRef
from gatebook.policy.entities import parent_of


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of one access: the policies that determined it, and if it is not permitted, why."""

    access: Access
    permitted: bool
    policies: tuple[PolicyId, ...]
    code: str = ""
    reason: str = ""

    def policies_ask(self, holds: Mapping[PolicyId, Hold]) -> bool:
        """Whether every policy that determined it asks people."""
        return all(policy in holds for policy in self.policies)


def with_columns(results: list[Evaluation]) -> list[Evaluation]:
    """Join relations with their columns.

    A relation is permitted if it is itself, or if all columns of it that the statement uses are (a grant on columns)
    and nothing forbids the relation. A column needs no permit of its own where the relation has one; a forbid on it
    holds in any case.
    """
    columns: dict[tuple[str, ObjectRef], list[Evaluation]] = {}
    relations = {(result.access.action, result.access.object): result for result in results}
    for result in results:
        if result.access.object.kind is ObjectKind.COLUMN and (parent := parent_of(result.access.object)):
            columns.setdefault((result.access.action, parent), []).append(result)
    if not columns:
        return results
    joined: list[Evaluation] = []
    for result in results:
        key = (result.access.action, result.access.object)
        parent = parent_of(result.access.object) if result.access.object.kind is ObjectKind.COLUMN else None
        whole = relations.get((result.access.action, parent)) if parent else None
        if _lacks_permit(result) and all(part.permitted for part in columns.get(key, [])) and key in columns:
            ids = tuple(sorted({policy for part in columns[key] for policy in part.policies}))
            joined.append(Evaluation(result.access, permitted=True, policies=ids))
        elif _lacks_permit(result) and whole is not None and whole.permitted:
            joined.append(Evaluation(result.access, permitted=True, policies=whole.policies))
        else:
            joined.append(result)
    return joined


def _lacks_permit(result: Evaluation) -> bool:
    return not result.permitted and result.code == "policy.denied" and not result.policies
