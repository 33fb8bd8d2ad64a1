# SPDX-License-Identifier: Apache-2.0
"""Classes of retention, and lists of sessions to be purged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.evidence import NOW

from gatebook.evidence.retention import (
    MAX_LISTED,
    Listed,
    ListFault,
    RetentionClass,
    class_of,
    decode_list,
    encode_list,
    judge,
)
from gatebook.evidence.sessions import SessionSummary

PAYMENTS = RetentionClass("payments", ("pay",), (), recording_days=10, contents_days=20)
REST = RetentionClass("rest", (), ("postgres",), recording_days=1)


def session(*, over: bool = True) -> SessionSummary:
    words: Any = dict.fromkeys(("principal", "owner", "role", "target", "database", "account", "address"), "")
    return SessionSummary(id="s_1", writer="gate", started_at=NOW, ended_at=NOW if over else None, **words)


def test_the_first_class_that_fits_is_taken() -> None:
    classes = (PAYMENTS, REST)
    assert class_of(classes, "pay", "postgres") is PAYMENTS
    assert class_of(classes, "shop", "postgres") is REST
    assert class_of(classes, "shop", "") is None


@pytest.mark.parametrize(
    ("retention", "erase", "days", "due"),
    [
        (PAYMENTS, "recording", 9, False),
        (PAYMENTS, "recording", 10, True),
        (PAYMENTS, "contents", 19, False),
        (PAYMENTS, "contents", 20, True),
        (REST, "contents", 10_000, False),  # no days are for ever
        (None, "contents", 10_000, False),
    ],
)
def test_is_due_when_the_days_of_its_class_have_gone(
    retention: RetentionClass | None, erase: str, days: int, *, due: bool
) -> None:
    listed = judge(session(), retention, erase, NOW + timedelta(days=days))
    assert listed == Listed("s_1", retention.name if retention else "", NOW, due)


def test_is_never_due_before_it_is_over() -> None:
    assert judge(session(over=False), PAYMENTS, "recording", NOW + timedelta(days=10_000)) is None


LISTED = [Listed("s_2", "payments", NOW, due=True), Listed("s_1", "", NOW, due=False)]


def test_a_list_is_sorted_and_read_again() -> None:
    data = encode_list(LISTED)
    assert [one.session for one in decode_list(data)] == ["s_1", "s_2"]
    assert encode_list(decode_list(data)) == data
    assert decode_list(b"") == []


def test_refuses_a_list_in_another_form() -> None:
    data = encode_list(LISTED)
    first, second = data.splitlines(keepends=True)
    for wrong in (
        second + first,
        first + first,
        data[:-1],
        data + b"\n",
        b"x" + data,
        data.replace(b"true", b"1"),
        data.replace(b'"class"', b'"klass"'),
        data.replace(b"2026", b"20261"),
        b"{}\n",
    ):
        with pytest.raises(ListFault):
            decode_list(wrong)


def test_a_list_has_a_bound() -> None:
    with pytest.raises(ListFault):
        encode_list([Listed(f"s_{number}", "", NOW, due=True) for number in range(MAX_LISTED + 1)])
