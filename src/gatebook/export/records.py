# SPDX-License-Identifier: Apache-2.0
"""Records of an export: one sealed entry as one line of JSON, with its place in the ledger and its leaf hash.

SPEC: docs/spec/export.md, "Record". A line is canonical JSON (RFC 8785) and a newline; the bytes of the entry stand in
it as they are in the ledger. Bounds: an entry has at most 65,535 bytes, an origin 255 characters.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

from gatebook.evidence.entry import EntryFault, Leaf, decode_leaf, encode_canonical

RECORD_BYTES = 512  # LIMIT: what a line has beside its entry, at most: names, hash, index and origin


def batch_lines(
    origin: str, first: int, entries: Sequence[bytes], hashes: Sequence[bytes], events: Iterable[str] = ()
) -> list[bytes]:
    """Return the lines of entries that stand side by side in the ledger, the first of them at index `first`.

    With `events` only those whose kind begins with one of them. What is no leaf has no kind, and is always sent.
    """
    prefixes = tuple(events)
    lines: list[bytes] = []
    for index, (entry, hash_) in enumerate(zip(entries, hashes, strict=True), first):
        leaf = _leaf(entry)
        if leaf is None or not prefixes or str(leaf.get("event", "")).startswith(prefixes):
            lines.append(_line(origin, index, entry, hash_, is_leaf=leaf is not None))
    return lines


def _line(origin: str, index: int, entry: bytes, hash_: bytes, *, is_leaf: bool) -> bytes:
    rest = encode_canonical({"hash": hash_.hex(), "index": index, "ledger": origin})
    # `base64` and `entry` sort before `hash`: the line is canonical.
    head = b'{"entry":' + entry if is_leaf else b'{"base64":"' + base64.b64encode(entry) + b'"'
    return head + b"," + rest[1:] + b"\n"


def _leaf(entry: bytes) -> Leaf | None:
    try:
        return decode_leaf(entry)
    except EntryFault:
        return None
