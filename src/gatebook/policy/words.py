# SPDX-License-Identifier: Apache-2.0
"""Policy outcomes in words, for the person or agent that was refused."""

from __future__ import annotations

from collections.abc import Sequence

from gatebook.model.errors import quoted
from gatebook.model.ids import PolicyId
from gatebook.model.operation import Access, ObjectKind


def refusal_reason(access: Access, forbids: Sequence[tuple[PolicyId, str]]) -> str:
    """Why an access is refused: the forbids with their messages, or that nothing permits it."""
    what = f"`{access.action}` on {access.object.kind.value} {quoted(str(access.object))}"
    if forbids:
        said = [f"`{policy}` forbids {what}" + (f": {message}" if message else "") for policy, message in forbids]
        return "; ".join(said)
    if access.object.kind is ObjectKind.UNKNOWN:
        return f"{what} cannot be resolved, and no policy permits `{access.action}` on the whole database"
    return f"no policy permits {what}"


def needed(access: Access, forbids: Sequence[PolicyId]) -> str:
    """Return what would have to change for a refused access to be permitted."""
    if forbids:
        return "a change of " + ", ".join(f"`{policy}`" for policy in forbids) + ": a forbid wins over every permit"
    ref = access.object
    target = f'{ref.kind.value}::"{ref}"'
    if ref.kind is ObjectKind.UNKNOWN:
        database = ".".join(str(ref).split(".")[:2])
        target = f'Database::"{database}"'
        return (
            f'a name that resolves, or a permit with action == Action::"{access.action}" on all of {target}, with no '
            "forbid on anything inside it"
        )
    return f'a permit with action == Action::"{access.action}" and resource == {target}, or on something that holds it'
