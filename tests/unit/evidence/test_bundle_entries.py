# SPDX-License-Identifier: Apache-2.0
"""Lists of entries, private parts and keys: one form, bounded, nothing of a key in an error."""

from __future__ import annotations

import struct

import pytest

from gatebook.evidence import bundle_entries
from gatebook.evidence.bundle_entries import (
    BundleFault,
    decode_entries,
    decode_keys,
    decode_private,
    encode_entries,
    encode_keys,
    encode_private,
)
from gatebook.model.secret import Secret

KEY = b"K" * 32
GOOD = b'{"keys":[{"key":"S0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0tLS0s=","session":"s_1"}],"v":1}\n'


def test_entries_are_written_by_index_with_their_length() -> None:
    data = encode_entries({9: b"bb", 2: b"a"})
    assert data == struct.pack(">QH", 2, 1) + b"a" + struct.pack(">QH", 9, 2) + b"bb"
    assert list(decode_entries(data).items()) == [(2, b"a"), (9, b"bb")]
    assert decode_entries(b"") == {}


def test_private_parts_may_be_longer() -> None:
    parts = {7: b"x" * 70_000}
    assert decode_private(encode_private(parts)) == parts
    with pytest.raises(BundleFault):
        encode_entries(parts)


@pytest.mark.parametrize(
    "data",
    [
        b"\0",
        struct.pack(">QH", 1, 0),
        struct.pack(">QH", 1, 2) + b"a",
        struct.pack(">QH", 1 << 63, 1) + b"a",
        (struct.pack(">QH", 1, 1) + b"a") * 2,
        struct.pack(">QH", 2, 1) + b"a" + struct.pack(">QH", 1, 1) + b"a",
    ],
)
def test_refuses_lists_in_another_form(data: bytes) -> None:
    with pytest.raises(BundleFault):
        decode_entries(data)


def test_refuses_more_entries_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode_entries({1: b"a", 2: b"b"})
    monkeypatch.setattr(bundle_entries, "MAX_ENTRIES", 1)
    with pytest.raises(BundleFault):
        decode_entries(data)
    with pytest.raises(BundleFault):
        encode_entries({1: b"a", 2: b"b"})


def test_keys_are_canonical_json() -> None:
    assert encode_keys({"s_1": Secret(KEY)}) == GOOD
    assert {name: key.reveal() for name, key in decode_keys(GOOD).items()} == {"s_1": KEY}
    assert decode_keys(encode_keys({})) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}\n",
        GOOD[:-1],
        GOOD + b"\n",
        GOOD.replace(b'"v":1', b'"v":2'),
        GOOD.replace(b'"v":1', b'"v":true'),
        GOOD.replace(b"s_1", b"../"),
        GOOD.replace(b"S0tL", b"S0t"),
        GOOD.replace(b'"key":"S', b'"kez":"S'),
        GOOD.replace(b'"session":"s_1"', b'"session":1'),
        GOOD.replace(b"[{", b"[7,{"),
    ],
)
def test_refuses_keys_in_another_form_and_tells_nothing_of_them(data: bytes) -> None:
    with pytest.raises(BundleFault) as fault:
        decode_keys(data)
    assert fault.value.finding == "bundle_contents"
    assert "S0t" not in fault.value.message
