# SPDX-License-Identifier: Apache-2.0
"""The tables of the grammar do not contradict each other."""

from __future__ import annotations

from gatebook.protocols.postgres.grammar import FIELDS, NAMES, NODE
from gatebook.protocols.postgres.operations import HANDLERS


def test_a_kind_has_a_handler_or_a_table_of_fields() -> None:
    assert set(FIELDS) & set(HANDLERS) == set()


def test_every_inner_kind_is_known() -> None:
    inner = {kind for fields in FIELDS.values() for kind in fields.values()} - {NODE, NAMES}
    assert inner - set(FIELDS) - set(HANDLERS) == set()
