# SPDX-License-Identifier: Apache-2.0
"""The interfaces of the store stay small and speak the product."""

from __future__ import annotations

import pytest

from gatebook.store.base import Directory, KeyRing, StoreFault


@pytest.mark.parametrize("interface", [Directory, KeyRing])
def test_an_interface_has_at_most_seven_methods(interface: type) -> None:
    methods = [name for name in vars(interface) if not name.startswith("_")]
    assert 0 < len(methods) <= 7


def test_a_fault_is_told_with_what_to_do() -> None:
    fault = StoreFault("no key", "list them")
    assert (fault.code, fault.hint) == ("store", "list them")
