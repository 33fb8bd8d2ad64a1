# SPDX-License-Identifier: Apache-2.0
"""What the notary knows of its own work: the tree it has sealed, and how far into each journal.

SPEC: docs/spec/ledger.md, "Notary". A canonical JSON object with a newline, at most 1 MiB. Anything else raises
SealedFault, and nothing else is raised.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from gatebook.evidence.entry import EntryFault, Leaf, Value, decode_canonical, encode_canonical
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import FIRST_LINK, HEADER_BYTES, LINK_BYTES
from gatebook.evidence.note import decode_base64
from gatebook.evidence.tree import HASH_BYTES

MAX_BYTES = 1 << 20
VERSION = 1
WRITER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MEMBERS = frozenset({"v", "size", "root", "checkpoint", "writers"})
_PLACE_MEMBERS = frozenset({"segment", "offset", "number", "link"})


class SealedFault(EvidenceFault):
    """The notary's state has not its form."""

    code = "sealed"

    def __init__(self, message: str) -> None:
        super().__init__("notary_state", message)


@dataclass(frozen=True, slots=True)
class Place:
    """How far a journal is sealed: `offset` in the segment that begins with entry `segment`.

    `number` is that of the next entry, `link` the last sealed record's.
    """

    segment: int = 1
    offset: int = HEADER_BYTES
    number: int = 1
    link: bytes = FIRST_LINK


@dataclass(frozen=True, slots=True)
class Sealed:
    """The tree as it was last signed, the checkpoint that says so, and the place in each writer's journal."""

    size: int
    root: bytes
    checkpoint: bytes
    writers: Mapping[str, Place] = field(default_factory=dict)

    def encode(self) -> bytes:
        """Return the content of the state file."""
        places: Leaf = {
            writer: {
                "segment": place.segment,
                "offset": place.offset,
                "number": place.number,
                "link": place.link.hex(),
            }
            for writer, place in self.writers.items()
        }
        state: Leaf = {
            "v": VERSION,
            "size": self.size,
            "root": base64.b64encode(self.root).decode(),
            "checkpoint": self.checkpoint.decode(),
            "writers": places,
        }
        return encode_canonical(state) + b"\n"


def decode_sealed(data: bytes) -> Sealed:
    """Parse the content of the state file. SealedFault if it has not its form."""
    if len(data) > MAX_BYTES or not data.endswith(b"\n"):
        raise SealedFault("the notary's state is cut or too long")
    try:
        state = decode_canonical(data[:-1])
    except EntryFault as fault:
        raise SealedFault(f"the notary's state is no canonical JSON: {fault.message}") from fault
    if state.keys() != _MEMBERS or state["v"] != VERSION:
        raise SealedFault("the notary's state is of another version")
    checkpoint, writers = state["checkpoint"], state["writers"]
    if not isinstance(checkpoint, str) or not isinstance(writers, dict):
        raise SealedFault("the notary's state has not its members")
    if any(WRITER.fullmatch(writer) is None for writer in writers):
        raise SealedFault("the notary's state names an impossible writer")
    places = {writer: _place(place) for writer, place in writers.items()}
    sealed = Sealed(_count(state["size"], 0), _root(state["root"]), checkpoint.encode(), places)
    if sum(place.number - 1 for place in places.values()) != sealed.size:
        raise SealedFault("the notary's state counts other entries than its tree has")
    return sealed


def _place(value: Value) -> Place:
    if not isinstance(value, dict) or value.keys() != _PLACE_MEMBERS:
        raise SealedFault("a place in the notary's state has not its members")
    link = value["link"]
    try:
        parsed = bytes.fromhex(link) if isinstance(link, str) else b""
    except ValueError as fault:
        raise SealedFault("a link in the notary's state is no hex") from fault
    if len(parsed) != LINK_BYTES:
        raise SealedFault("a link in the notary's state has not 32 bytes")
    return Place(_count(value["segment"], 1), _count(value["offset"], HEADER_BYTES), _count(value["number"], 1), parsed)


def _count(value: Value, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise SealedFault("a number in the notary's state is impossible")
    return value


def _root(value: Value) -> bytes:
    root = decode_base64(value) if isinstance(value, str) else b""
    if root is None:
        raise SealedFault("the root in the notary's state is no base64")
    if len(root) != HASH_BYTES:
        raise SealedFault("the root in the notary's state has not 32 bytes")
    return root
