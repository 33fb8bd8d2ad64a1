# SPDX-License-Identifier: Apache-2.0
"""What is known of journal segments that the notary removed: the entry of each, and where what it kept begins.

SPEC: docs/spec/entry.md (`journal.removed`); docs/spec/ledger.md, "Notary" (`removed`): a canonical JSON object with a
newline, at most 1 MiB; anything else raises SealedFault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeGuard

from gatebook.evidence.entry import EntryFault, Leaf, Value, decode_canonical, encode_canonical
from gatebook.evidence.journal_format import LINK_BYTES
from gatebook.evidence.sealed import MAX_BYTES, WRITER, Place, SealedFault

EVENT = "journal.removed"
MARK = b'"event":"journal.removed"'  # what stands between bare quotes is a member
VERSION = 1


@dataclass(frozen=True, slots=True)
class Removal:
    """A segment that was removed: entries `first` to `last` of `journal`, the links before it and behind it.

    `digest` is of its bytes (`sha256:...`), `moved` how many private parts went into private files.
    """

    journal: str
    first: int
    last: int
    before: bytes
    after: bytes
    digest: str
    moved: int

    def members(self) -> Leaf:
        """Return the members of its entry beside the common ones."""
        ends: Leaf = {"before": self.before.hex(), "after": self.after.hex(), "sha256": self.digest}
        numbers: Leaf = {"first": self.first, "last": self.last, "moved": self.moved}
        return {"journal": self.journal} | numbers | ends


def parse_removal(leaf: Leaf) -> Removal:
    """Return what a `journal.removed` says. EntryFault if it has not its form."""
    journal, first, last, moved = leaf.get("journal"), leaf.get("first"), leaf.get("last"), leaf.get("moved")
    if not isinstance(journal, str) or WRITER.fullmatch(journal) is None:
        raise EntryFault("its journal is none")
    if not (_is_count(first) and _is_count(last) and _is_count(moved)):
        raise EntryFault("a number of a removed segment is none")
    removal = Removal(
        journal, first, last, _link(leaf.get("before")), _link(leaf.get("after")), str(leaf.get("sha256")), moved
    )
    if not 1 <= removal.first <= removal.last:
        raise EntryFault("a removed segment ends before it begins")
    return removal


def encode_kept(kept: Mapping[str, Place]) -> bytes:
    """Return the content of the file `removed`: for each writer the place at which what is kept begins."""
    writers: Leaf = {name: {"first": place.number, "link": place.link.hex()} for name, place in kept.items()}
    return encode_canonical({"v": VERSION, "writers": writers}) + b"\n"


def decode_kept(data: bytes) -> dict[str, Place]:
    """Parse the content of the file `removed`. SealedFault if it has not its form."""
    if len(data) > MAX_BYTES or not data.endswith(b"\n"):
        raise SealedFault("what the notary removed is cut or too long")
    try:
        state = decode_canonical(data[:-1])
        writers = state.get("writers")
        if state.keys() != {"v", "writers"} or state["v"] != VERSION or not isinstance(writers, dict):
            raise SealedFault("what the notary removed is of another version")
        return {name: _place(name, value) for name, value in writers.items()}
    except EntryFault as fault:
        raise SealedFault(f"what the notary removed is not in its form: {fault.message}") from fault


def _place(name: str, value: Value) -> Place:
    if WRITER.fullmatch(name) is None or not isinstance(value, dict) or value.keys() != {"first", "link"}:
        raise SealedFault("what the notary removed has not its members")
    first = value["first"]
    if not _is_count(first) or first < 2:
        raise SealedFault("what the notary kept begins at an impossible entry")
    return Place(segment=first, number=first, link=_link(value["link"]))


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _link(value: object) -> bytes:
    try:
        link = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError as fault:
        raise EntryFault("a link is no hex") from fault
    if len(link) != LINK_BYTES:
        raise EntryFault("a link has not 32 bytes")
    return link
