# SPDX-License-Identifier: Apache-2.0
"""Leaves: one form of bytes for one content, and nothing that two readers could understand in two ways."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatebook.evidence import entry
from gatebook.evidence.entry import EntryFault
from gatebook.model.target import TlsMode

KEYS = st.text(st.characters(max_codepoint=127), max_size=8)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.text(max_size=20) | st.booleans() | st.integers(-entry.MAX_INTEGER, entry.MAX_INTEGER),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)
PATIENT = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # tables of Unicode load on first use
LEAVES = st.dictionaries(KEYS, VALUES, max_size=6)


def test_sorts_keys_and_escapes_as_rfc_8785_says() -> None:
    leaf: dict[str, Any] = {"b": 1, "B": True, "a": ['\x00\b\t\n\f\r\x1f"\\/', "\x7f\u2028é😀"], "": {}}
    assert entry.encode_leaf(leaf) == (
        b'{"":{},"B":true,"a":["\\u0000\\b\\t\\n\\f\\r\\u001f\\"\\\\/","\x7f\xe2\x80\xa8\xc3\xa9\xf0\x9f\x98\x80"],"b":1}'
    )


@PATIENT
@given(LEAVES)
def test_parses_what_it_encoded(leaf: dict[str, Any]) -> None:
    assert entry.decode_leaf(entry.encode_leaf(leaf)) == leaf


@PATIENT
@given(LEAVES)
def test_agrees_with_an_encoder_of_another_author(leaf: dict[str, Any]) -> None:
    assert entry.encode_leaf(leaf) == (
        json.dumps(leaf, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (1.0, "a leaf cannot hold float"),
        (None, "a leaf cannot hold NoneType"),
        (b"x", "a leaf cannot hold bytes"),
        (1 << 53, "an integer of magnitude 2\\^53 or more"),
        (-(1 << 53), "an integer of magnitude 2\\^53 or more"),
        ("\ud800", "half of a surrogate pair"),
        ({"é": 1}, "a key is not ASCII"),
        ({1: 1}, "a key is not ASCII"),
        ("x" * 65_536, "is longer than 65535"),
    ],
)
def test_refuses_to_encode_what_a_leaf_may_not_hold(value: Any, message: str) -> None:  # noqa: ANN401  that is the point
    with pytest.raises(EntryFault, match=message):
        entry.encode_leaf({"a": value})


def test_refuses_to_encode_what_is_nested_too_deep() -> None:
    value: Any = []
    for _ in range(32):
        value = [value]
    with pytest.raises(EntryFault, match="nested deeper than 32"):
        entry.encode_leaf({"a": value})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"7",
        b'{"a":1}\n',
        b'{"a": 1}',
        b'{"b":1,"a":1}',
        b'{"a":1,"a":1}',
        b'{"a":1.0}',
        b'{"a":1e2}',
        b'{"a":NaN}',
        b'{"a":null}',
        b'{"a":-0}',
        b'{"a":01}',
        b'{"a":9007199254740992}',
        b'{"a":"\\u00e9"}',
        b'{"a":"\\/"}',
        b'{"a":"\\u001F"}',
        b'{"a":"\\ud800"}',
        b'{"a":"\xff"}',
        b'\xef\xbb\xbf{"a":1}',
        b'{"\xc3\xa9":1}',
        b'{"a":' + b"[" * 30_000,
        b'{"a":' + b"[" * 40 + b"]" * 40 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":"' + b"x" * 65_535 + b'"}',
    ],
)
def test_refuses_to_parse_what_is_not_canonical(data: bytes) -> None:
    with pytest.raises(EntryFault):
        entry.decode_leaf(data)


@PATIENT
@given(st.binary(max_size=200) | st.text('{}[]":,0123456789eE+-.tfnul\\ab', max_size=60).map(str.encode))
def test_parses_bytes_to_what_encodes_to_them_or_raises_one_class(data: bytes) -> None:
    try:
        leaf = entry.decode_leaf(data)
    except EntryFault:
        return
    assert entry.encode_leaf(leaf) == data


def test_writes_times_in_utc_with_six_digits() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone(timedelta(hours=2)))
    assert entry.format_time(moment) == "2026-01-02T01:04:05.000006Z"
    assert entry.parse_time("2026-01-02T01:04:05.000006Z") == datetime(2026, 1, 2, 1, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "2026-01-02T01:04:05Z", "2026-01-02T01:04:05.0Z", "2026-13-02T01:04:05.000000Z"])
def test_refuses_times_of_another_form(text: str) -> None:
    with pytest.raises(EntryFault, match="a time is not RFC 3339"):
        entry.parse_time(text)


def test_writes_hashes_with_their_algorithm() -> None:
    assert entry.format_hash(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_never_repairs_what_is_not_utf_8() -> None:
    assert entry.text_value("é".encode()) == "é"
    assert entry.text_value(b"\xff\x00") == {"base64": "/wA="}


def test_takes_words_of_an_enum_for_the_words_they_are() -> None:
    assert entry.encode_leaf({"a": TlsMode.VERIFY_FULL}) == b'{"a":"verify-full"}'


def test_takes_much_that_is_not_plain_but_right() -> None:
    leaf: dict[str, Any] = {"a": "null", "b": "1234567890123456", "c": [[number] for number in range(50)], "d": "é"}
    assert entry.decode_leaf(entry.encode_leaf(leaf)) == leaf
