# SPDX-License-Identifier: Apache-2.0
"""Leaves of entries as bytes: RFC 8785 JSON within the bounds of docs/spec/entry.md, both ways.

SPEC: docs/spec/entry.md, "Leaf". Of RFC 8785 only what leaves may hold is here: objects with ASCII keys (so that order
by code point is order by UTF-16 unit), arrays, strings, booleans, integers below 2^53. Numbers with a fraction and
`null` are refused both ways.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn, TypeAlias, cast

import msgspec

from gatebook.evidence.faults import EvidenceFault

MAX_LEAF_BYTES = 65_535
MAX_INTEGER = (1 << 53) - 1  # beyond it readers with floating-point numbers disagree
MAX_DEPTH = 32  # LIMIT: leaves have four levels; parsers of other languages have limits too

Value: TypeAlias = "str | bool | int | Sequence[Value] | Mapping[str, Value]"
Leaf: TypeAlias = "dict[str, Value]"


class EntryFault(EvidenceFault):
    """A leaf is not canonical, or breaks a bound."""

    code = "entry"

    def __init__(self, message: str) -> None:
        super().__init__("entry_malformed", message)


def encode_leaf(leaf: Mapping[str, Value]) -> bytes:
    """Return a leaf's bytes. EntryFault if it holds what a leaf may not, or is longer than 65,535 bytes."""
    encoded = encode_canonical(leaf)
    if len(encoded) > MAX_LEAF_BYTES:
        raise EntryFault(f"a leaf of {len(encoded)} bytes is longer than {MAX_LEAF_BYTES}")
    return encoded


def encode_canonical(value: Mapping[str, Value]) -> bytes:
    """Return an object of the same kinds of values in canonical form, without the bound of a leaf."""
    _check(value, 0)
    return _encode(value)


def decode_leaf(data: bytes) -> Leaf:
    """Parse a leaf. EntryFault unless the bytes are exactly what `encode_leaf` gives for their content."""
    if len(data) > MAX_LEAF_BYTES:
        raise EntryFault(f"a leaf of {len(data)} bytes is longer than {MAX_LEAF_BYTES}")
    return decode_canonical(data)


def decode_canonical(data: bytes) -> Leaf:
    """Parse an object in canonical form. EntryFault if it is not in that form."""
    try:
        value = _DECODER.decode(data.decode())
    except (ValueError, RecursionError) as fault:
        raise EntryFault("not JSON of the kinds that a leaf may hold") from fault
    if not isinstance(value, dict):
        raise EntryFault("not a JSON object")
    if not _is_plain(data):
        _check(value, 0)
    if _encode(value) != data:
        raise EntryFault("not in canonical form")
    return cast("Leaf", value)


def format_time(moment: datetime) -> str:
    """Return RFC 3339 in UTC with six digits of fraction and `Z`. The moment must be aware."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Return the aware UTC moment of a time in a leaf. EntryFault on any other form."""
    try:
        if _TIME.fullmatch(text) is not None:
            return datetime.fromisoformat(text)
    except ValueError:
        pass  # a month of 31 days that has 30, and the like
    raise EntryFault("a time is not RFC 3339 in UTC with six digits of fraction")


def format_hash(data: bytes) -> str:
    """Return `sha256:` and the lower-case hex of SHA-256 over the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def text_value(data: bytes) -> Value:
    """Return bytes of a peer as a string, or as `{"base64": ...}` where they are not UTF-8. Never repaired."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _encode(value: Mapping[str, Value]) -> bytes:
    try:
        # Escapes strings as RFC 8785 section 3.2.2.2 says, and sorts keys; a test compares it with another encoder.
        return msgspec.json.encode(value, order="sorted")
    except UnicodeEncodeError as fault:
        raise EntryFault("a string holds half of a surrogate pair") from fault


def _is_plain(data: bytes) -> bool:
    """Return whether JSON text cannot hold what `_check` refuses, by its bytes alone; most entries of a book are so.

    No byte beyond ASCII: no such key. No `null`, no number of 16 digits, fewer brackets than levels are allowed. Floats
    the decoder has refused already.
    """
    return (
        data.isascii()
        and b"null" not in data
        and data.count(b"{") + data.count(b"[") <= MAX_DEPTH
        and _LONG_NUMBER not in data.translate(_DIGITS)
    )


def _check(value: object, depth: int) -> None:
    kind = type(value)
    if depth > MAX_DEPTH:
        raise EntryFault(f"nested deeper than {MAX_DEPTH}")
    if kind is str or kind is bool or isinstance(value, str):
        return
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise EntryFault("an integer of magnitude 2^53 or more")
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                raise EntryFault("a key is not ASCII")
            if type(item) is not str:
                _check(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            _check(item, depth + 1)
    else:
        raise EntryFault(f"a leaf cannot hold {kind.__name__}")


def _no_float(text: str) -> NoReturn:
    raise ValueError(text)


_DECODER = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)
_LONG_NUMBER = b"0" * 16
_DIGITS = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))  # all digits are the same
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
