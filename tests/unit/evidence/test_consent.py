# SPDX-License-Identifier: Apache-2.0
"""Requests as people sign them: one form, and nothing else is read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from support.evidence import NOW, moment

from gatebook.evidence.consent import ConsentFault, Request
from gatebook.evidence.entry import decode_canonical

PURGE: dict[str, Any] = {
    "v": 1,
    "id": "00112233445566ff",
    "ledger": "ledger.example/gate",
    "kind": "purge",
    "made": moment(),
    "expires": moment(3600),
    "by": "root",
    "reason": "class payments",
    "erase": "contents",
    "sessions": 2,
    "list": "sha256:" + "0" * 64,
}
OWN = {"erase", "sessions", "list"}
RELEASE: dict[str, Any] = {name: value for name, value in PURGE.items() if name not in OWN}
RELEASE |= {"kind": "release", "hold": "ff11223344556677"}


@pytest.mark.parametrize("value", [PURGE, RELEASE])
def test_is_read_as_it_is_signed(value: dict[str, Any]) -> None:
    request = Request.from_value(value)
    assert request.to_value() == value
    assert request.message().endswith(b"}\n")
    assert decode_canonical(request.message()[:-1]) == value


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("v", 2),
        ("v", True),
        ("v", "1"),
        ("id", "0011223344556677ff"),
        ("id", "../../etc/passwd"),
        ("id", 1),
        ("ledger", 1),
        ("kind", "erase"),
        ("kind", 1),
        ("made", "2026-01-01"),
        ("expires", moment()),
        ("expires", moment(-1)),
        ("expires", moment(31 * 86_400)),
        ("reason", ""),
        ("reason", "x" * 1025),
        ("erase", "everything"),
        ("sessions", 0),
        ("sessions", -1),
        ("sessions", True),
        ("sessions", "2"),
        ("list", "sha256:00"),
        ("hold", "ff11223344556677"),
        ("more", 1),
    ],
)
def test_refuses_other_forms(name: str, wrong: object) -> None:
    with pytest.raises(ConsentFault):
        Request.from_value(PURGE | {name: wrong})


@pytest.mark.parametrize("name", sorted(PURGE))
def test_refuses_what_lacks_a_member(name: str) -> None:
    with pytest.raises(ConsentFault):
        Request.from_value({key: value for key, value in PURGE.items() if key != name})


@pytest.mark.parametrize("value", ["", 1, [], {}, RELEASE | {"hold": ""}, RELEASE | {"erase": "contents"}])
def test_refuses_what_is_no_request(value: Any) -> None:  # noqa: ANN401  JSON
    with pytest.raises(ConsentFault):
        Request.from_value(value)


def test_is_open_from_its_making_to_its_expiry() -> None:
    request = Request.from_value(PURGE)
    second = timedelta(seconds=1)
    moments = [NOW - second, NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=1) + second]
    assert [request.is_open(at) for at in moments] == [False, True, True, False]
