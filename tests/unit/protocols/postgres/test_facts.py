# SPDX-License-Identifier: Apache-2.0
"""Facts of a session are read exactly or not at all."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.protocols.postgres.facts import FACT_BYTES, FactsFault, parse_facts

ROW: list[bytes | None] = [
    b'["pg_temp_3","pg_catalog","public"]',
    b"public",
    b"app",
    b"app",
    b'"$user", public',
    b"on",
    b"UTF8",
    b'[["mine","r",["id","note"]],["pair","c",["a"]]]',
    b'["f"]',
    b'[["mine","c"]]',
]


def test_reads_a_row() -> None:
    facts = parse_facts(ROW)
    assert facts.schemas == ("pg_temp", "pg_catalog", "public")
    assert facts.creation_schema == "public"
    assert facts.standard_conforming_strings
    assert facts.client_encoding == "UTF8"
    assert {name: relation.columns for name, relation in facts.temp_relations.items()} == {"mine": ("id", "note")}
    assert facts.temp_functions == {"f"}
    assert facts.temp_types == {"mine": "c"}


def test_what_is_null_is_absent() -> None:
    facts = parse_facts([*ROW[:7], None, None, None])
    assert facts.temp_relations == {}
    assert facts.temp_functions == frozenset()
    assert parse_facts([ROW[0], None, *ROW[2:]]).creation_schema == ""


@pytest.mark.parametrize(
    "row",
    [[], ROW[:9], [b"{}", *ROW[1:]], [b"[1]", *ROW[1:]], [*ROW[:9], b"x" * (FACT_BYTES + 1)], [b"[", *ROW[1:]]],
)
def test_refuses_a_row_of_another_form(row: list[bytes | None]) -> None:
    with pytest.raises(FactsFault):
        parse_facts(row)


@given(st.lists(st.none() | st.binary(max_size=40), min_size=10, max_size=10))
def test_any_bytes_give_facts_or_one_error(row: list[bytes | None]) -> None:
    read = False
    with contextlib.suppress(FactsFault):
        parse_facts(row)
        read = True
    assert read or row != ROW
