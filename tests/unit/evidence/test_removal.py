# SPDX-License-Identifier: Apache-2.0
"""Entries of removed segments, and the notary's memory of them."""

from __future__ import annotations

from typing import Any

import pytest

from gatebook.evidence.entry import EntryFault, Leaf, decode_leaf
from gatebook.evidence.removal import Removal, decode_kept, encode_kept, parse_removal
from gatebook.evidence.sealed import Place, SealedFault

LINK = "ab" * 32
REMOVAL = Removal("gate", 1, 70, bytes(32), bytes.fromhex(LINK), "sha256:cd", 12)
MEMBERS: Leaf = {
    "journal": "gate",
    "first": 1,
    "last": 70,
    "before": "00" * 32,
    "after": LINK,
    "sha256": "sha256:cd",
    "moved": 12,
}
KEPT = b'{"v":1,"writers":{"gate":{"first":71,"link":"' + LINK.encode() + b'"}}}\n'


def test_an_entry_says_what_was_removed() -> None:
    assert REMOVAL.members() == MEMBERS
    assert parse_removal(dict(MEMBERS)) == REMOVAL


@pytest.mark.parametrize(
    "change",
    [
        {"journal": "../gate"},
        {"journal": 7},
        {"first": 0},
        {"first": True},
        {"last": 0},
        {"last": "70"},
        {"moved": -1},
        {"before": "00"},
        {"after": "zz" * 32},
        {"after": 5},
    ],
)
def test_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(EntryFault):
        parse_removal(MEMBERS | change)


def test_the_memory_is_what_the_specification_says() -> None:
    kept = {"gate": Place(segment=71, number=71, link=bytes.fromhex(LINK))}
    assert encode_kept(kept) == KEPT
    assert decode_kept(KEPT) == kept
    assert decode_leaf(encode_kept({})[:-1]) == {"v": 1, "writers": {}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        KEPT[:-1],
        b"{}\n",
        KEPT.replace(b'"v":1', b'"v":2'),
        KEPT.replace(b"71", b"1"),
        KEPT.replace(b"71", b"true"),
        KEPT.replace(b'"gate"', b'"a/b"'),
        KEPT.replace(b"ab", b"zz", 1),
        KEPT.replace(b'"first"', b'"other"'),
        b'{"v":1,"writers":7}\n',
        b'{"v":1,"writers":{"gate":7}}\n',
        b"\xff\n",
    ],
)
def test_another_memory_is_refused(data: bytes) -> None:
    with pytest.raises(SealedFault):
        decode_kept(data)
