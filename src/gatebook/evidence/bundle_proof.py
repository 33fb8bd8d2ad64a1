# SPDX-License-Identifier: Apache-2.0
"""One proof for many entries: the hashes of the tree that are not above any of them, in the order of a walk.

SPEC: docs/spec/bundle.md, "Proof of all entries". Source: the tree of RFC 6962, 2.1. Bounds: sizes below 2^63, so the
walk is at most 63 deep. Everything else raises ProofFault or TreeFault, and nothing else is raised.

Maker and check share no code but the hash of a node.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise

from gatebook.evidence.tree import (
    HASH_BYTES,
    ProofFault,
    Subtrees,
    Tiles,
    TreeFault,
    check_size,
    leaf_hash,
    node_hash,
)


def make_proof(tiles: Tiles, indexes: Sequence[int], size: int) -> bytes:
    """Return the hashes, side by side, that prove the entries at `indexes` (ascending) in the tree of `size`.

    TreeFault if an index is not in the tree, or where tiles have not the width they must have.
    """
    check_size(size)
    if not indexes or indexes[0] < 0 or indexes[-1] >= size or any(a >= b for a, b in pairwise(indexes)):
        raise TreeFault("ledger_size", f"such entries are not in a tree of {size}")
    subtrees = Subtrees(tiles, size)
    hashes: list[bytes] = []
    waiting = [(0, size)]
    while waiting:
        begin, end = waiting.pop()
        first = bisect_left(indexes, begin)
        if first == len(indexes) or indexes[first] >= end:
            hashes.append(subtrees.root(begin, end))
        elif end - begin > 1:
            half = 1
            while half * 2 < end - begin:
                half *= 2
            waiting += ((begin + half, end), (begin, begin + half))
    return b"".join(hashes)


def verify_proof(entries: Mapping[int, bytes], size: int, root: bytes, proof: bytes | memoryview) -> None:
    """Check that every entry (leaf by index) is in the tree of `size` that has this root. ProofFault if not proved.

    `size` and `root` must come together from one signed checkpoint.
    """
    indexes = sorted(entries)
    if len(proof) % HASH_BYTES or not indexes or not 0 <= indexes[0] <= indexes[-1] < size:
        raise ProofFault("bundle_proof", f"the entries are not shown to be in the tree of {size}")
    check_size(size)
    walk = _Walk(indexes, entries, memoryview(proof))
    found = walk.root(0, size, 0, len(indexes))
    if not walk.is_at_end or found != root:
        raise ProofFault("bundle_proof", "entries and hashes do not give the root that was signed")


class _Walk:
    """Takes the hashes of a proof in their order."""

    def __init__(self, indexes: Sequence[int], entries: Mapping[int, bytes], proof: memoryview) -> None:
        self._indexes = indexes
        self._entries = entries
        self._proof = proof
        self._offset = 0

    @property
    def is_at_end(self) -> bool:
        """Whether every hash was taken."""
        return self._offset == len(self._proof)

    def root(self, begin: int, end: int, first: int, last: int) -> bytes:
        """Return the root over the entries from `begin` to `end`; `first` to `last` of the indexes are in it."""
        if first == last:
            taken = bytes(self._proof[self._offset : self._offset + HASH_BYTES])
            if len(taken) != HASH_BYTES:
                raise ProofFault("bundle_proof", "the proof of the entries is cut")
            self._offset += HASH_BYTES
            return taken
        if end - begin == 1:
            return leaf_hash(self._entries[begin])
        middle = begin + (1 << ((end - begin - 1).bit_length() - 1))
        between = bisect_left(self._indexes, middle, first, last)
        left = self.root(begin, middle, first, between)
        return node_hash(left, self.root(middle, end, between, last))
