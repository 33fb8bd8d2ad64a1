# SPDX-License-Identifier: Apache-2.0
"""Keys of one notary after each other: the entries that change them, and which key may sign a tree of which size.

SPEC: docs/spec/ledger.md, "Change of the key". A tree that holds the entry by which a key was given up is signed by the
key after it, and by the old one at most beside it. Raises CheckpointFault, and NoteFault where the note is at fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatebook.evidence.checkpoint import Checkpoint, CheckpointFault, open_checkpoint
from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Verifier

EVENT = "notary.key"
MARK = b'"event":"notary.key"'  # a bare `"` begins a member only: inside a string it stands behind a backslash
WRITER = "notary"
MAX_ROTATIONS = 1000  # LIMIT: of one ledger; a key a day for years


@dataclass(frozen=True, slots=True)
class Rotation:
    """An entry at `index` of the ledger by which the verifier key `old` gives way to `key`."""

    index: int
    old: str
    key: str


@dataclass(frozen=True, slots=True)
class Link:
    """A key, and for trees of which sizes it signs: more than `above` entries, and at most `most` (None: any)."""

    verifier: Verifier
    above: int = -1
    most: int | None = None


def is_signed(note: bytes, verifier: Verifier) -> bool:
    """Whether a note is a checkpoint that this key has signed."""
    try:
        open_checkpoint(note, verifier)
    except EvidenceFault:
        return False
    return True


def find_rotation(index: int, entry: bytes) -> Rotation | None:
    """Return the change of key that an entry is; None for any other, and for one of another writer."""
    if MARK not in entry:
        return None
    try:
        leaf = decode_leaf(entry)
        old, key = str(leaf.get("old")), str(leaf.get("key"))
        if leaf.get("event") != EVENT or leaf.get("writer") != WRITER:
            return None
        if Verifier.parse(old).name != Verifier.parse(key).name or old == key:
            return None
    except EvidenceFault:
        return None
    return Rotation(index, old, key)


class KeyChain:
    """The keys before and behind one that is known, as the entries of its ledger tell them, oldest first."""

    def __init__(self, known: Verifier, rotations: Sequence[Rotation] = ()) -> None:
        """Make it of all changes in the ledger, in order. Those that do not meet the known key are not its own."""
        self.known = known
        before: list[Rotation] = []
        wanted = known.text()
        for one in reversed(rotations):
            if one.key == wanted:
                before.insert(0, one)
                wanted = one.old
        behind: list[Rotation] = []
        wanted = known.text()
        for one in rotations:
            if one.old == wanted and (not before or one.index > before[-1].index):
                behind.append(one)
                wanted = one.key
        self.behind = tuple(behind)
        changes = [*before, *behind]
        keys = [*(Verifier.parse(one.old) for one in changes), Verifier.parse(changes[-1].key) if changes else known]
        bounds = [one.index for one in changes]
        self.links = tuple(map(Link, keys, [-1, *bounds], [*bounds, None]))

    def open(self, note: bytes) -> Checkpoint:
        """Return the checkpoint of a note that the key of its time has signed.

        CheckpointFault `checkpoint_key_old` where only a key has that was given up in this very tree.
        """
        fault: EvidenceFault | None = None
        for link in reversed(self.links):
            try:
                checkpoint = open_checkpoint(note, link.verifier)
            except EvidenceFault as found:
                fault = fault or found
                continue
            if link.most is None or checkpoint.size <= link.most:
                return checkpoint
            words = f"a checkpoint of {checkpoint.size} is signed by a key that was given up at entry {link.most}"
            fault = CheckpointFault("checkpoint_key_old", words)
        assert fault is not None, "there is one link at least"
        raise fault
