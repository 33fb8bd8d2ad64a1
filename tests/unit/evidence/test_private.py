# SPDX-License-Identifier: Apache-2.0
"""Private parts: opened with the key of their session, as what their leaf committed to, or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import RECORDING_KEY, SESSION, seal_private

from gatebook.evidence.private import PrivateFault, PrivateParts
from gatebook.model.secret import Secret
from gatebook.native import pure

PARTS = PrivateParts(Secret(RECORDING_KEY), SESSION)
SEALED, COMMITMENT = seal_private(4, 2, b'{"text":"select 1"}')


def test_opens_what_was_sealed_as_the_specification_says() -> None:
    assert PARTS.open(4, SEALED, COMMITMENT) == {"text": "select 1"}


def test_refuses_a_part_of_another_entry() -> None:
    with pytest.raises(PrivateFault, match="is of another entry"):
        PARTS.open(5, SEALED, COMMITMENT)


@pytest.mark.parametrize(
    "parts", [PrivateParts(Secret(RECORDING_KEY), "s_other"), PrivateParts(Secret(b"\x08" * 32), SESSION)]
)
def test_refuses_a_part_of_another_session_or_key(parts: PrivateParts) -> None:
    with pytest.raises(PrivateFault, match="does not authenticate"):
        parts.open(4, SEALED, COMMITMENT)


def test_refuses_a_part_that_its_leaf_did_not_commit_to() -> None:
    with pytest.raises(PrivateFault, match="is not what its leaf committed to"):
        PARTS.open(4, SEALED, "sha256:" + "0" * 64)


def test_refuses_content_that_is_not_canonical() -> None:
    sealed, commitment = seal_private(4, 2, b'{"text": 1}')
    with pytest.raises(PrivateFault, match="is not canonical JSON"):
        PARTS.open(4, sealed, commitment)


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_raises_one_error_class_whatever_byte_is_changed(position: int, flip: int) -> None:
    changed = bytearray(SEALED)
    changed[position] ^= flip
    with pytest.raises(PrivateFault):
        PARTS.open(4, bytes(changed), COMMITMENT)


@given(st.binary(max_size=100))
def test_raises_one_error_class_on_garbage(garbage: bytes) -> None:
    with pytest.raises(PrivateFault):
        PARTS.open(4, garbage, COMMITMENT)
    with pytest.raises(PrivateFault):
        PARTS.open(4, SEALED[:12] + garbage, COMMITMENT)


def test_agrees_with_the_native_sealer_byte_by_byte() -> None:
    content = b'{"text":"select 1"}'
    assert pure.private_seal(RECORDING_KEY, SESSION, 4, 2, content) == seal_private(4, 2, content)
    assert pure.private_open(RECORDING_KEY, SESSION, 4, SEALED)[32:] == content
