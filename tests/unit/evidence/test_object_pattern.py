# SPDX-License-Identifier: Apache-2.0
"""Objects by the names that a person gives them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.evidence.object_pattern import ObjectPattern, QuestionFault, join, names_of, split

ORDERS = "Relation:shop.db.public.orders"


def finds(pattern: str, access: str) -> bool:
    asked = ObjectPattern.parse(pattern)
    kind, names, containers = names_of(access)
    return asked.kind in {"", kind} and asked.name in (containers if asked.inside else names)


@pytest.mark.parametrize(
    "pattern",
    [
        "orders",
        "ORDERS",
        "public.orders",
        "db.public.orders",
        "shop.db.public.orders",
        "shop.public.orders",
        "shop.orders",
        "relation:orders",
        "Relation:shop.db.public.orders",
        "public.*",
        "db.public.*",
        "shop.public.*",
        "db.*",
        "shop.*",
        "shop.db.*",
    ],
)
def test_finds_a_table_by_every_way_to_say_it(pattern: str) -> None:
    assert finds(pattern, ORDERS)


@pytest.mark.parametrize(
    "pattern",
    ["order", "public", "db.orders", "other.orders", "public.orders.id", "function:orders", "orders.*", "other.*"],
)
def test_does_not_find_it_by_another_name(pattern: str) -> None:
    assert not finds(pattern, ORDERS)


@pytest.mark.parametrize("pattern", ["orders", "public.orders", "orders.total", "total", "orders.*", "shop.orders"])
def test_finds_a_column_and_by_it_its_table(pattern: str) -> None:
    assert finds(pattern, "Column:shop.db.public.orders.total")


@pytest.mark.parametrize("pattern", ["nowhere", "private.nowhere", "private.*"])
def test_finds_what_was_named_and_not_known(pattern: str) -> None:
    assert finds(pattern, "Unknown:shop.db.private\\.nowhere")


def test_takes_dots_and_backslashes_inside_names() -> None:
    access = "Relation:shop.db.public.odd\\.na\\\\me"
    assert finds("odd\\.na\\\\me", access)
    assert finds("public.odd\\.na\\\\me", access)
    assert not finds("na\\\\me", access)


def test_takes_a_path_that_was_cut_inside_an_escape() -> None:
    assert names_of("Relation:shop.db.public.odd\\")[1][-1] == "shop.odd"


@pytest.mark.parametrize("text", ["", "*", "relation:", "a..b", ".a", "a.", "a.b.c.d.e.f.g.h.i", "x" * 301])
def test_refuses_what_names_nothing(text: str) -> None:
    with pytest.raises(QuestionFault, match="names no object"):
        ObjectPattern.parse(text)


def test_takes_a_colon_that_is_no_kind_as_part_of_the_name() -> None:
    assert ObjectPattern.parse("a:b") == ObjectPattern("a:b")


@given(st.lists(st.text(min_size=1), min_size=1))
def test_splits_what_it_joined(parts: list[str]) -> None:
    assert split(join(parts)) == parts
