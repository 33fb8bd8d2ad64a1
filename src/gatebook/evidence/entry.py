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
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NoReturn, TypeAlias, cast

from gatebook.evidence.faults import EvidenceFault

MAX_LEAF_BYTES = 65_535
MAX_INTEGER = (1 << 53) - 1  # beyond it readers with floating-point numbers disagree
MAX_DEPTH = 16  # LIMIT: leaves have four levels; parsers of other languages have limits too

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
    try:
        # Of strings, json escapes exactly what RFC 8785 section 3.2.2.2 lists, in the same form.
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    except UnicodeEncodeError as fault:
        raise EntryFault("a string holds half of a surrogate pair") from fault


def decode_leaf(data: bytes) -> Leaf:
    """Parse a leaf. EntryFault unless the bytes are exactly what `encode_leaf` gives for their content."""
    if len(data) > MAX_LEAF_BYTES:
        raise EntryFault(f"a leaf of {len(data)} bytes is longer than {MAX_LEAF_BYTES}")
    return decode_canonical(data)


def decode_canonical(data: bytes) -> Leaf:
    """Parse an object in canonical form. EntryFault if it is not in that form."""
    try:
        value = json.loads(data.decode(), parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as fault:
        raise EntryFault("not JSON of the kinds that a leaf may hold") from fault
    if not isinstance(value, dict):
        raise EntryFault("not a JSON object")
    if encode_canonical(value) != data:
        raise EntryFault("not in canonical form")
    return cast("Leaf", value)


def format_time(moment: datetime) -> str:
    """Return RFC 3339 in UTC with six digits of fraction and `Z`. The moment must be aware."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> datetime:
    """Return the aware UTC moment of a time in a leaf. EntryFault on any other form."""
    try:
        moment = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError as fault:
        raise EntryFault("a time is not RFC 3339 in UTC with six digits of fraction") from fault
    if format_time(moment) != text:
        raise EntryFault("a time is not RFC 3339 in UTC with six digits of fraction")
    return moment


def format_hash(data: bytes) -> str:
    """Return `sha256:` and the lower-case hex of SHA-256 over the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def text_value(data: bytes) -> Value:
    """Return bytes of a peer as a string, or as `{"base64": ...}` where they are not UTF-8. Never repaired."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _check(value: object, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise EntryFault(f"nested deeper than {MAX_DEPTH}")
    match value:
        case str() | bool():
            return
        case int():
            if abs(value) > MAX_INTEGER:
                raise EntryFault("an integer of magnitude 2^53 or more")
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str) or not key.isascii():
                    raise EntryFault("a key is not ASCII")
                _check(item, depth + 1)
        case list() | tuple():
            for item in value:
                _check(item, depth + 1)
        case _:
            raise EntryFault(f"a leaf cannot hold {type(value).__name__}")


def _no_float(text: str) -> NoReturn:
    raise ValueError(text)
