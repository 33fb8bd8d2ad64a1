# SPDX-License-Identifier: Apache-2.0
"""The error tree: four families, each leaf with message, hint and code; user input is quoted harmlessly."""

from __future__ import annotations

import pytest

from gatebook.model.errors import Bug, ClientFault, GatebookError, OperatorFault, UpstreamFault, quoted


@pytest.mark.parametrize(
    ("family", "code"),
    [(ClientFault, "client"), (UpstreamFault, "upstream"), (OperatorFault, "operator"), (Bug, "bug")],
)
def test_each_family_has_its_code_under_one_root(family: type[GatebookError], code: str) -> None:
    fault = family("the disk is full", "free some space")
    assert isinstance(fault, GatebookError)
    assert fault.code == code
    assert (fault.message, fault.hint, str(fault)) == ("the disk is full", "free some space", "the disk is full")


def test_a_hint_may_be_missing() -> None:
    assert OperatorFault("it is wrong").hint == ""


def test_user_input_stands_in_backticks_on_one_line() -> None:
    assert quoted("a\nb\x1b[31m") == "`a?b?[31m`"


def test_long_user_input_is_cut() -> None:
    assert quoted("x" * 201) == "`" + "x" * 200 + "`..."
    assert quoted("x" * 5, 3) == "`xxx`..."
    assert quoted("x" * 200) == "`" + "x" * 200 + "`"
