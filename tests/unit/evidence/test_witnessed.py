# SPDX-License-Identifier: Apache-2.0
"""What is remembered of witnesses is read back, and anything else is nothing."""

from __future__ import annotations

import pytest

from gatebook.evidence.witnessed import MAX_BYTES, Seen, decode_seen, encode_seen

SEEN = {"w1": Seen(7, 5, 1_700_000_000), "w2": Seen()}


def test_is_read_back() -> None:
    assert decode_seen(encode_seen(SEEN)) == SEEN
    assert decode_seen(encode_seen({})) == {}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}\n",
        b'{"v":1,"witnesses":[]}\n',
        b'{"v":2,"witnesses":{}}\n',
        b'{"v": 1}\n',
        encode_seen(SEEN)[:-1],
        b"\n" * (MAX_BYTES + 1),
    ],
)
def test_another_form_is_nothing(data: bytes) -> None:
    assert decode_seen(data) == {}


def test_a_witness_with_other_members_is_forgotten() -> None:
    data = b'{"v":1,"witnesses":{"a":{"size":1},"b":1,"c":{"cosigned":0,"cosigned_at":true,"size":-1}}}\n'
    assert decode_seen(data) == {}
