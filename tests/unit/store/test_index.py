# SPDX-License-Identifier: Apache-2.0
"""The interface of the index stays small, and its faults say what to do."""

from __future__ import annotations

import hashlib

from gatebook.store.base import StoreFault
from gatebook.store.index import REBUILD, Cursor, Index, IndexFault


def test_the_interface_has_at_most_seven_methods() -> None:
    methods = [name for name in vars(Index) if not name.startswith("_")]
    assert len(methods) == 7


def test_a_cursor_of_nothing_has_the_root_of_nothing() -> None:
    assert Cursor("key") == Cursor("key", 0, hashlib.sha256().digest(), 0)


def test_a_fault_is_one_of_the_store_with_a_code_of_its_own() -> None:
    fault = IndexFault("the index is damaged", REBUILD)
    assert isinstance(fault, StoreFault)
    assert (fault.code, fault.hint) == ("index", "make it anew with `gatebook index rebuild`")
