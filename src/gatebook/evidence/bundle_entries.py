# SPDX-License-Identifier: Apache-2.0
"""The members `entries`, `private` and `keys.json` of a bundle, both ways.

SPEC: docs/spec/bundle.md, "Members" and "Disclosure". Entries: index u64 BE, length u16 BE, leaf. Private parts: index
u64 BE, length u32 BE, sealed bytes. Indexes ascend and are below 2^63. Bounds: 200,000 entries, leaves of 1 to 65,535
bytes, sealed parts of 1 to 4,194,304. Keys: canonical JSON with a newline. Everything else raises BundleFault.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping

from gatebook.evidence.entry import MAX_LEAF_BYTES, EntryFault, decode_canonical, encode_canonical
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import MAX_ENTRY_BYTES
from gatebook.evidence.note import decode_base64
from gatebook.evidence.tree import MAX_SIZE
from gatebook.model.secret import Secret

MAX_ENTRIES = 200_000  # LIMIT: maker and verifier hold each in memory, decoded: some 10 KB
KEY_BYTES = 32
KEYS_VERSION = 1
SESSION = re.compile(r"[A-Za-z0-9_]{1,64}")

_ENTRY = struct.Struct(">QH")
_PRIVATE = struct.Struct(">QI")


class BundleFault(EvidenceFault):
    """A member of a bundle has not its form, or is not what another says."""

    code = "bundle"


def encode_entries(entries: Mapping[int, bytes]) -> bytes:
    """Return leaves by their index in the ledger as a member. BundleFault where a bound is broken."""
    return _encode(_ENTRY, entries, MAX_LEAF_BYTES, "entry")


def decode_entries(data: bytes | memoryview) -> dict[int, bytes]:
    """Return leaves by their index, in order. BundleFault unless the bytes are what `encode_entries` gives."""
    return _decode(_ENTRY, data, MAX_LEAF_BYTES, "entry")


def encode_private(parts: Mapping[int, bytes]) -> bytes:
    """Return sealed private parts by the index of their entry as a member. BundleFault where a bound is broken."""
    return _encode(_PRIVATE, parts, MAX_ENTRY_BYTES, "private part")


def decode_private(data: bytes | memoryview) -> dict[int, bytes]:
    """Return sealed private parts by index. BundleFault unless the bytes are what `encode_private` gives."""
    return _decode(_PRIVATE, data, MAX_ENTRY_BYTES, "private part")


def encode_keys(keys: Mapping[str, Secret]) -> bytes:
    """Return recording keys by session as a member: in clear, for whoever has the bundle."""
    listed = [
        {"key": base64.b64encode(key.reveal()).decode(), "session": session} for session, key in sorted(keys.items())
    ]
    return encode_canonical({"keys": listed, "v": KEYS_VERSION}) + b"\n"


def decode_keys(data: bytes) -> dict[str, Secret]:
    """Return recording keys by session. BundleFault, which repeats nothing of them, on any other form."""
    try:
        members = decode_canonical(data[:-1])
    except EntryFault as fault:
        raise BundleFault("bundle_contents", "`keys.json` is not canonical JSON") from fault
    listed, version = members.get("keys"), members.get("v")
    keys: dict[str, Secret] = {}
    for item in listed if isinstance(listed, list) else ():
        part = item if isinstance(item, dict) else {}
        session, encoded = part.get("session"), part.get("key")
        key = decode_base64(encoded) if isinstance(encoded, str) else None
        if not isinstance(session, str) or SESSION.fullmatch(session) is None or key is None or len(key) != KEY_BYTES:
            raise BundleFault("bundle_contents", "`keys.json` holds what is no key of a session")
        keys[session] = Secret(key)
    if isinstance(version, bool) or version != KEYS_VERSION or encode_keys(keys) != data:
        raise BundleFault("bundle_contents", "`keys.json` is not in its form")
    return keys


def _encode(head: struct.Struct, items: Mapping[int, bytes], longest: int, what: str) -> bytes:
    if len(items) > MAX_ENTRIES:
        raise BundleFault("bundle_form", f"a bundle cannot hold {len(items)} entries", "select less")
    out = bytearray()
    for index, data in sorted(items.items()):
        if not 0 <= index <= MAX_SIZE or not 1 <= len(data) <= longest:
            raise BundleFault("bundle_form", f"no {what} has the index {index} and {len(data)} bytes")
        out += head.pack(index, len(data)) + data
    return bytes(out)


def _decode(head: struct.Struct, data: bytes | memoryview, longest: int, what: str) -> dict[int, bytes]:
    view = memoryview(data)
    items: dict[int, bytes] = {}
    offset, last = 0, -1
    while offset < len(view):
        begin = offset + head.size
        if begin > len(view) or len(items) >= MAX_ENTRIES:
            raise BundleFault("bundle_form", f"a list of entries is cut or too long, at {what} {len(items)}")
        index, length = head.unpack_from(view, offset)
        offset = begin + length
        if not 1 <= length <= longest or offset > len(view) or not last < index <= MAX_SIZE:
            raise BundleFault("bundle_form", f"{what} {len(items)} of a list is cut, too long or out of order")
        items[index] = bytes(view[begin:offset])
        last = index
    return items
