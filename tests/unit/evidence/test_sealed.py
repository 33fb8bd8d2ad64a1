# SPDX-License-Identifier: Apache-2.0
"""The notary's state: written and read back, and refused in any other form."""

from __future__ import annotations

import base64

import pytest
from support.evidence import canonical

from gatebook.evidence.sealed import MAX_BYTES, Place, Sealed, SealedFault, decode_sealed

ROOT = bytes(range(32))
PLACE = Place(segment=3, offset=512, number=8, link=b"\x01" * 32)
STATE = Sealed(9, ROOT, b"note\n", {"gate": PLACE, "cli": Place(1, 300, 3, b"\x02" * 32)})


def document(**members: object) -> dict[str, object]:
    place = {"segment": 1, "offset": 300, "number": 3, "link": "02" * 32}
    root = base64.b64encode(ROOT).decode()
    return {"v": 1, "size": 2, "root": root, "checkpoint": "note\n", "writers": {"cli": place}} | members


def refused(**members: object) -> str:
    with pytest.raises(SealedFault) as caught:
        decode_sealed(canonical(document(**members)) + b"\n")
    assert caught.value.finding == "notary_state"
    return caught.value.message


def test_what_is_written_is_read_back() -> None:
    assert decode_sealed(STATE.encode()) == STATE
    assert decode_sealed(canonical(document()) + b"\n").writers["cli"].number == 3


def test_a_writer_begins_before_its_first_entry() -> None:
    assert Place() == Place(segment=1, offset=128, number=1, link=bytes(32))


def test_another_form_is_refused() -> None:
    for data in (b"", b"{}", b"{}\n", STATE.encode()[:-1], STATE.encode() + b"\n", b"x" * MAX_BYTES + b"\n"):
        with pytest.raises(SealedFault):
            decode_sealed(data)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"v": 2}, "another version"),
        ({"more": 1}, "another version"),
        ({"checkpoint": 1}, "has not its members"),
        ({"writers": []}, "has not its members"),
        ({"writers": {"a/b": {}}}, "impossible writer"),
        ({"writers": {"cli": {"segment": 1}}}, "has not its members"),
        ({"size": 3}, "counts other entries"),
        ({"size": -1}, "impossible"),
        ({"size": True}, "impossible"),
        ({"root": "AA"}, "32 bytes|base64"),
        ({"root": "!" * 44}, "no base64"),
        ({"root": 7}, "32 bytes"),
    ],
)
def test_each_member_is_checked(members: dict[str, object], words: str) -> None:
    message = refused(**members)
    assert any(word in message for word in words.split("|")), message


@pytest.mark.parametrize(
    "place",
    [
        {"segment": 0, "offset": 300, "number": 3, "link": "02" * 32},
        {"segment": 1, "offset": 127, "number": 3, "link": "02" * 32},
        {"segment": 1, "offset": 300, "number": 3, "link": "02" * 31},
        {"segment": 1, "offset": 300, "number": 3, "link": "xx" * 32},
        {"segment": 1, "offset": 300, "number": 3, "link": 2},
    ],
)
def test_each_place_is_checked(place: dict[str, object]) -> None:
    refused(writers={"cli": place})
