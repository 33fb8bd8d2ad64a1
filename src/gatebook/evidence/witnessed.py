# SPDX-License-Identifier: Apache-2.0
"""What the notary remembers of its witnesses: the size each has, and its last cosignature.

SPEC: docs/spec/ledger.md, "What the notary does" 5. A canonical JSON object with a newline, at most 1 MiB: `v` (1),
`witnesses`: for each name `size`, `cosigned` (size) and `cosigned_at` (seconds since 1970). Losing it harms nothing, so
anything else is read as nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatebook.evidence.entry import EntryFault, Leaf, Value, decode_canonical, encode_canonical

VERSION = 1
MAX_BYTES = 1 << 20
_MEMBERS = ("size", "cosigned", "cosigned_at")


@dataclass(frozen=True, slots=True)
class Seen:
    """Size that a witness has, size of the last checkpoint it cosigned here, and when by its clock; 0 for never."""

    size: int = 0
    cosigned: int = 0
    cosigned_at: int = 0


def encode_seen(seen: Mapping[str, Seen]) -> bytes:
    """Return the content of the file."""
    witnesses: Leaf = {name: {member: getattr(one, member) for member in _MEMBERS} for name, one in seen.items()}
    return encode_canonical({"v": VERSION, "witnesses": witnesses}) + b"\n"


def decode_seen(data: bytes) -> dict[str, Seen]:
    """Return what is remembered; nothing where the content has not its form."""
    if len(data) > MAX_BYTES or not data.endswith(b"\n"):
        return {}
    try:
        content = decode_canonical(data[:-1])
    except EntryFault:
        return {}
    witnesses = content.get("witnesses")
    if content.get("v") != VERSION or not isinstance(witnesses, dict):
        return {}
    found = {name: _seen(value) for name, value in witnesses.items()}
    return {name: one for name, one in found.items() if one is not None}


def _seen(value: Value) -> Seen | None:
    if not isinstance(value, dict) or value.keys() != {*_MEMBERS}:
        return None
    numbers = [value[member] for member in _MEMBERS]
    counts = [one for one in numbers if isinstance(one, int) and not isinstance(one, bool) and one >= 0]
    return Seen(*counts) if len(counts) == len(_MEMBERS) else None
