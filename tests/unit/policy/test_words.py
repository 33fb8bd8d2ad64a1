# SPDX-License-Identifier: Apache-2.0
"""Refusals are told in words that lead to a remedy."""

from __future__ import annotations

from collections.abc import Callable

from gatebook.model.ids import PolicyId
from gatebook.model.operation import Access
from gatebook.policy.words import needed, refusal_reason

To = Callable[[str], Access]


def test_names_every_forbid_with_its_message(access: To) -> None:
    forbids = [(PolicyId("a"), "no"), (PolicyId("b"), "")]
    assert refusal_reason(access("drop public.x"), forbids) == (
        "`a` forbids `drop` on Relation `shop.shop.public.x`: no; `b` forbids `drop` on Relation `shop.shop.public.x`"
    )


def test_tells_what_would_cover_the_unknown(access: To) -> None:
    assert refusal_reason(access("select Unknown x"), []) == (
        "`select` on Unknown `shop.shop.x` cannot be resolved, and no policy permits `select` on the whole database"
    )
    assert needed(access("select Unknown x"), ()) == (
        'a name that resolves, or a permit with action == Action::"select" on all of Database::"shop.shop", '
        "with no forbid on anything inside it"
    )
