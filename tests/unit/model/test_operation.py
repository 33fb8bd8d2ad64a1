# SPDX-License-Identifier: Apache-2.0
"""Objects are named by their path, in a form that no two paths share."""

from __future__ import annotations

from gatebook.model.operation import Access, ObjectKind, ObjectRef


def test_an_object_is_shown_by_its_path() -> None:
    assert str(ObjectRef(ObjectKind.RELATION, ("shop", "db", "public", "orders"))) == "shop.db.public.orders"


def test_dots_and_backslashes_in_names_do_not_make_another_object() -> None:
    one = ObjectRef(ObjectKind.RELATION, ("shop", "db", "a.b", "c"))
    other = ObjectRef(ObjectKind.RELATION, ("shop", "db", "a", "b.c"))
    assert str(one) == r"shop.db.a\.b.c"
    assert str(other) == r"shop.db.a.b\.c"
    assert str(ObjectRef(ObjectKind.SCHEMA, ("shop", "db", "a\\"))) == "shop.db.a\\\\"


def test_accesses_have_an_order_for_evidence() -> None:
    orders = ObjectRef(ObjectKind.RELATION, ("shop", "db", "public", "orders"))
    people = ObjectRef(ObjectKind.RELATION, ("shop", "db", "public", "people"))
    accesses = [Access("update", orders), Access("select", people), Access("select", orders)]
    assert sorted(accesses) == [Access("select", orders), Access("select", people), Access("update", orders)]
