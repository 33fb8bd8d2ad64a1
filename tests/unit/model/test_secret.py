# SPDX-License-Identifier: Apache-2.0
"""A secret shows nothing, and equals only a secret of the same bytes."""

from __future__ import annotations

import copy
import pickle

import pytest

from gatebook.model.secret import Secret


def test_shows_nothing_of_its_value() -> None:
    secret = Secret("correct horse")
    assert repr(secret) == "Secret(***)"
    assert f"{secret}" == "Secret(***)"
    assert f"{[secret]}" == "[Secret(***)]"


def test_reveals_the_bytes_of_text_and_of_bytes() -> None:
    assert Secret("grün").reveal() == b"gr\xc3\xbcn"
    assert Secret(b"\x00\xff").reveal() == b"\x00\xff"


def test_equals_only_a_secret_of_the_same_bytes() -> None:
    assert Secret("a") == Secret(b"a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != b"a"


def test_cannot_be_hashed_pickled_or_copied_into_a_snapshot() -> None:
    secret = Secret("a")
    with pytest.raises(TypeError, match="unhashable"):
        hash(secret)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="cannot be pickled"):
        copy.deepcopy(secret)
