# SPDX-License-Identifier: Apache-2.0
"""A policy fault tells all problems in one line, and keeps them apart for tables."""

from __future__ import annotations

from gatebook.policy.faults import PolicyFault, Problem


def test_joins_problems_and_each_hint_once() -> None:
    fault = PolicyFault((Problem("a", 1, "bad", "mend it"), Problem("b", 2, "worse", "mend it")))
    assert fault.message == "a:1: bad; b:2: worse"
    assert fault.hint == "mend it"
    assert fault.code == "policy"
