# SPDX-License-Identifier: Apache-2.0
"""CTEs are looked for from the inside out."""

from __future__ import annotations

from gatebook.protocols.postgres.scope import Scope


def test_the_innermost_cte_of_a_name_is_meant() -> None:
    outer = Scope(ctes={"a": frozenset({"x"}), "b": None})
    inner = Scope(parent=outer, ctes={"a": frozenset({"y"})})
    assert inner.cte("a") == (True, frozenset({"y"}))
    assert inner.cte("b") == (True, None)
    assert inner.cte("c") == (False, None)
    assert list(inner.outward()) == [inner, outer]
