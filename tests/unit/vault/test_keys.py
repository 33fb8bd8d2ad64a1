# SPDX-License-Identifier: Apache-2.0
"""Keys of recordings: wrapped for one session under one key, and useless elsewhere."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.model.errors import OperatorFault
from gatebook.model.secret import Secret
from gatebook.vault.keys import KeyFault, parse_key

OUTER = parse_key(Secret("11" * 32))
INNER = Secret(b"\x02" * 32)
HEAD = (
    b'{"kek":"3fb1d69d8e3fa279",'
    b'"key":"AwMDAwMDAwMDAwMDMHtWfiKKD8SFj8Crc0loqMBd1o7DS9BDxSVxxRvvm3+1Em8BzaaYP+VzrjO+S3rL",'
    b'"session":"s_1","v":1}\n'
)


def test_wraps_as_the_specification_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("secrets.token_bytes", lambda size: b"\x03" * size)
    assert OUTER.wrap("s_1", INNER) == HEAD


def test_never_takes_a_nonce_twice() -> None:
    assert len({OUTER.wrap("s_1", INNER) for _ in range(100)}) == 100


def test_unwraps_what_it_wrapped() -> None:
    assert OUTER.unwrap("s_1", HEAD) == INNER


def test_takes_hex_and_base64_for_the_same_key() -> None:
    again = parse_key(Secret(base64.b64encode(b"\x11" * 32) + b"\n"))
    assert again.id == OUTER.id
    assert again.unwrap("s_1", HEAD) == INNER


@pytest.mark.parametrize("written", ["", "11" * 31, "zz" * 32, "hunter2", b"\xff" * 64, base64.b64encode(b"x" * 31)])
def test_refuses_a_key_of_another_form_and_repeats_nothing_of_it(written: str | bytes) -> None:
    with pytest.raises(OperatorFault) as caught:
        parse_key(Secret(written))
    assert caught.value.message == "the recording key is not 32 bytes as 64 hex digits or base64"


def test_refuses_a_head_of_another_session() -> None:
    with pytest.raises(KeyFault, match="is of another session"):
        OUTER.unwrap("s_2", HEAD)
    with pytest.raises(KeyFault, match="does not authenticate"):
        OUTER.unwrap("s_2", HEAD.replace(b"s_1", b"s_2"))


def test_says_that_a_head_was_made_under_another_key() -> None:
    with pytest.raises(KeyFault, match="was made under another key"):
        parse_key(Secret("22" * 32)).unwrap("s_1", HEAD)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\n",
        HEAD[:-1],
        HEAD + b"\n",
        HEAD.replace(b'"v":1', b'"v":2'),
        HEAD.replace(b'"v":1', b'"v":true'),
        HEAD.replace(b'"v":1', b'"v":1,"x":1'),
        HEAD.replace(b'"key":"', b'"key":"!'),
        b"{" + b" " * 5000 + b"}\n",
    ],
)
def test_refuses_a_head_of_another_form(head: bytes) -> None:
    with pytest.raises(KeyFault, match="a key file has not its form"):
        OUTER.unwrap("s_1", head)


def test_refuses_a_key_of_another_length() -> None:
    with pytest.raises(KeyFault, match="a key of another length"):
        OUTER.unwrap("s_1", OUTER.wrap("s_1", Secret(b"short")))


def test_shows_nothing_of_the_key() -> None:
    assert "1111" not in repr(OUTER)


@given(st.integers(0, len(HEAD) - 1), st.integers(1, 255))
def test_raises_one_class_whatever_byte_is_changed(position: int, flip: int) -> None:
    changed = bytearray(HEAD)
    changed[position] ^= flip
    with pytest.raises(KeyFault):
        OUTER.unwrap("s_1", bytes(changed))
