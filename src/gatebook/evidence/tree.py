# SPDX-License-Identifier: Apache-2.0
"""The Merkle tree of the ledger: hashes, roots, proofs and their checks, and the right edge that grows.

SPEC: docs/spec/ledger.md, "Folder" 2. Source: RFC 6962, 2.1 (tree and proofs), RFC 9162, 2.1.3.2 and 2.1.4.2 (checks of
proofs), C2SP tlog-tiles (which hashes are kept). A hash is 32 bytes; hashes side by side are 32 bytes each without
anything between them. Bounds: sizes below 2^63, so at most 63 hashes in an inclusion proof and 64 in a consistency
proof. Everything else raises TreeFault or ProofFault, and nothing else is raised.

Generators and checks share no code but the two hashes: a flaw in one is seen by the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from gatebook.evidence.faults import EvidenceFault

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_BYTES
MAX_SIZE = (1 << 63) - 1  # LIMIT: Go reads sizes as signed integers of 64 bits
MAX_INCLUSION_HASHES = 63
MAX_CONSISTENCY_HASHES = 64  # one more: RFC 6962, 2.1.2 begins with a hash of the old tree

EMPTY_ROOT = sha256(b"").digest()

_LEAF = b"\x00"
_NODE = b"\x01"
_PAIR_BYTES = 2 * HASH_BYTES


class TreeFault(EvidenceFault):
    """Hashes, a size or a place that no tree has."""

    code = "ledger"


class ProofFault(EvidenceFault):
    """A proof does not prove what it is said to prove."""

    code = "ledger"


class Tiles(Protocol):
    """Where the tiles of a tree are read from.

    Duties: `read` gives what was once written for the place, also where a wider tile is there by now; it raises an
    EvidenceFault where there is none. It is called from one thread at a time, in any order, maybe again for a place.
    """

    def read(self, level: int, index: int, width: int) -> bytes:
        """Return the first `width` (1 to 256) hashes of tile `index` of a level."""
        ...


@dataclass(frozen=True, slots=True)
class Tile:
    """Hashes of one level side by side, 1 to 256 of them: those from `index * 256` on."""

    level: int
    index: int
    hashes: bytes

    @property
    def width(self) -> int:
        """How many hashes: 256 in a full tile."""
        return len(self.hashes) // HASH_BYTES


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry: SHA-256(0x00 || entry)."""
    return sha256(_LEAF + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node above two hashes: SHA-256(0x01 || left || right)."""
    return sha256(_NODE + left + right).digest()


def tile_root(hashes: bytes) -> bytes:
    """Return the root of the tree over 1 to 256 hashes side by side. TreeFault if they are not so many.

    Pairs are hashed level by level, and a last one without its pair moves up: RFC 6962 splits at the largest power of
    two, which is the same tree.
    """
    if len(hashes) % HASH_BYTES or not HASH_BYTES <= len(hashes) <= TILE_BYTES:
        raise TreeFault("ledger_tile", f"{len(hashes)} bytes are not 1 to 256 hashes")
    hasher, node, pair = sha256, _NODE, _PAIR_BYTES
    while len(hashes) > HASH_BYTES:
        even = len(hashes) - len(hashes) % pair
        above = [hasher(node + hashes[place : place + pair]).digest() for place in range(0, even, pair)]
        above.append(hashes[even:])
        hashes = b"".join(above)
    return hashes


def root_of(tiles: Tiles, size: int) -> bytes:
    """Return the root of the tree of the first `size` entries. TreeFault where a tile is not as wide as it must be."""
    return Frontier.load(tiles, size).root()


def inclusion_proof(tiles: Tiles, index: int, size: int) -> list[bytes]:
    """Return the proof that entry `index` (from 0) is in the tree of `size`: RFC 6962, 2.1.1, from the leaf up.

    TreeFault if there is no such entry, or where tiles have not the width they must have.
    """
    check_size(size)
    if not 0 <= index < size:
        raise TreeFault("ledger_size", f"entry {index} is not in a tree of {size}")
    subtrees = Subtrees(tiles, size)
    proof: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            proof.append(subtrees.root(middle, end))
            end = middle
        else:
            proof.append(subtrees.root(begin, middle))
            begin = middle
    proof.reverse()
    return proof


def consistency_proof(tiles: Tiles, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `new` begins with the tree of `old`: RFC 6962, 2.1.2.

    It is empty for trees of one size, and for an old tree of nothing, which every tree begins with. TreeFault if `old`
    is greater than `new`, or where tiles have not the width they must have.
    """
    check_size(new)
    if not 0 <= old <= new:
        raise TreeFault("ledger_size", f"a tree of {old} is not the beginning of a tree of {new}")
    if old in {0, new}:
        return []
    subtrees = Subtrees(tiles, new)
    proof: list[bytes] = []
    begin, end = 0, new
    while end != old:
        middle = begin + _split(end - begin)
        if old <= middle:
            proof.append(subtrees.root(middle, end))
            end = middle
        else:
            proof.append(subtrees.root(begin, middle))
            begin = middle
    if begin > 0:  # from 0 on it is the old root itself, which who checks has
        proof.append(subtrees.root(begin, end))
    proof.reverse()
    return proof


def verify_inclusion(hash_: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check by RFC 9162, 2.1.3.2 that a leaf hash is entry `index` of the tree of `size`. ProofFault if not proved.

    `size` and `root` must come together from one signed checkpoint: a path of the same form fits several sizes.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofFault("ledger_inclusion", f"entry {index} is not in a tree of {size}")
    _check_hashes("ledger_inclusion", (hash_, root), proof, MAX_INCLUSION_HASHES)
    node, last, found = index, size - 1, hash_
    for beside in proof:
        if last == 0:
            raise ProofFault("ledger_inclusion", "an inclusion proof is longer than its tree is high")
        if node & 1 or node == last:
            found = node_hash(beside, found)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            found = node_hash(found, beside)
        node >>= 1
        last >>= 1
    if last or found != root:
        raise ProofFault("ledger_inclusion", f"entry {index} is not shown to be in the tree of {size}")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check by RFC 9162, 2.1.4.2 that the tree of `new` begins with the tree of `old`. ProofFault if not proved.

    Beyond the RFC: an old tree of nothing and trees of one size need an empty proof and the right roots.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise ProofFault("ledger_consistency", f"a tree of {old} is not the beginning of a tree of {new}")
    _check_hashes("ledger_consistency", (old_root, new_root), proof, MAX_CONSISTENCY_HASHES)
    if old in {0, new}:
        if proof or old_root != (new_root if old else EMPTY_ROOT) or (new == 0 and new_root != EMPTY_ROOT):
            raise _inconsistent(old, new)
        return
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise _inconsistent(old, new)
    node, last = old - 1, new - 1
    while node & 1:
        node >>= 1
        last >>= 1
    found_old = found_new = path[0]
    for beside in path[1:]:
        if last == 0:
            raise ProofFault("ledger_consistency", "a consistency proof is longer than its tree is high")
        if node & 1 or node == last:
            found_old = node_hash(beside, found_old)
            found_new = node_hash(beside, found_new)
            while not node & 1 and node:
                node >>= 1
                last >>= 1
        else:
            found_new = node_hash(found_new, beside)
        node >>= 1
        last >>= 1
    if last or found_old != old_root or found_new != new_root:
        raise _inconsistent(old, new)


def check_size(size: int) -> None:
    """TreeFault unless a tree can have this size: 0 to 2^63 - 1."""
    if not 0 <= size <= MAX_SIZE:
        raise TreeFault("ledger_size", f"no tree has the size {size}")


class Frontier:
    """The right edge of a growing tree: of each level the hashes of its last tile, where that is not full.

    Not for use by several threads at once. It holds at most 255 hashes a level.
    """

    __slots__ = ("_edges", "_full", "_size")

    def __init__(self) -> None:
        """Make the edge of the empty tree."""
        self._edges: list[bytearray] = []
        self._full: list[int] = []  # full tiles of each level so far: the index of its edge
        self._size = 0

    @classmethod
    def empty(cls) -> Frontier:
        """Return the edge of the tree of nothing."""
        return cls()

    @classmethod
    def load(cls, tiles: Tiles, size: int) -> Frontier:
        """Read the edge of the tree of `size` from its partial tiles; compare `root()` with what it must be.

        TreeFault for a size that no tree has, and where a tile has not the width it must have.
        """
        check_size(size)
        loaded = cls()
        loaded._size = size
        level, count = 0, size
        while count:
            full, width = divmod(count, TILE_WIDTH)
            loaded._edges.append(bytearray(_read(tiles, level, full, width) if width else b""))
            loaded._full.append(full)
            level, count = level + 1, full
        return loaded

    @property
    def size(self) -> int:
        """Entries in the tree."""
        return self._size

    def append(self, hashes: bytes) -> list[Tile]:
        """Put leaf hashes, side by side, to the end. Return the full tiles that this completes, each after those below.

        TreeFault, and nothing appended, if they are not whole hashes or the tree cannot grow so far.
        """
        if len(hashes) % HASH_BYTES:
            raise TreeFault("ledger_tile", f"{len(hashes)} bytes are not whole hashes")
        count = len(hashes) // HASH_BYTES
        check_size(self._size + count)
        completed: list[Tile] = []
        self._append(0, hashes, completed)
        self._size += count
        return completed

    def partials(self) -> list[Tile]:
        """Return the partial tiles of the tree of the present size, from level 0 up: at most one for each level."""
        edges = enumerate(zip(self._full, self._edges, strict=True))
        return [Tile(level, full, bytes(edge)) for level, (full, edge) in edges if edge]

    def root(self) -> bytes:
        """Return the root of the tree of the present size."""
        found = b""  # of what is right of the level's whole tiles: a node without its pair, which moves up
        for edge in self._edges:
            if edge:
                found = tile_root(bytes(edge) + found)
        return found or EMPTY_ROOT

    def _append(self, level: int, hashes: bytes, completed: list[Tile]) -> None:
        if level == len(self._edges):
            self._edges.append(bytearray())
            self._full.append(0)
        edge = self._edges[level]
        place = 0
        while place < len(hashes):
            rest = place + TILE_BYTES - len(edge)
            edge += hashes[place:rest]
            place = rest
            if len(edge) == TILE_BYTES:
                tile = Tile(level, self._full[level], bytes(edge))
                completed.append(tile)
                edge.clear()
                self._full[level] += 1
                self._append(level + 1, tile_root(tile.hashes), completed)


class Subtrees:
    """Roots of subtrees of a tree in tiles; each tile is read once."""

    def __init__(self, tiles: Tiles, size: int) -> None:
        self._tiles = tiles
        self._size = size
        self._read: dict[tuple[int, int], bytes] = {}

    def root(self, begin: int, end: int) -> bytes:
        """Return the root over entries `begin` to `end`, where RFC 6962 has a subtree: whole nodes, from the left."""
        nodes: list[bytes] = []
        while begin < end:
            height = (end - begin).bit_length() - 1
            nodes.append(self._node(height, begin >> height))
            begin += 1 << height
        found = nodes.pop()
        while nodes:
            found = node_hash(nodes.pop(), found)
        return found

    def _node(self, height: int, index: int) -> bytes:
        """Return the hash over the 2^height entries from `index * 2^height` on."""
        level, inside = divmod(height, TILE_HEIGHT)
        first = index << inside
        tile = first // TILE_WIDTH
        if (level, tile) not in self._read:
            width = min(TILE_WIDTH, (self._size >> (TILE_HEIGHT * level)) - tile * TILE_WIDTH)
            self._read[level, tile] = _read(self._tiles, level, tile, width)
        begin = (first % TILE_WIDTH) * HASH_BYTES
        return tile_root(self._read[level, tile][begin : begin + (HASH_BYTES << inside)])


def _read(tiles: Tiles, level: int, index: int, width: int) -> bytes:
    hashes = tiles.read(level, index, width)
    if len(hashes) != width * HASH_BYTES:
        raise TreeFault("ledger_tile", f"tile {index} of level {level} has not {width} hashes")
    return hashes


def _split(count: int) -> int:
    """Return the largest power of two below `count`, which is 2 or more."""
    return 1 << ((count - 1).bit_length() - 1)


def _check_hashes(finding: str, ends: Sequence[bytes], proof: Sequence[bytes], longest: int) -> None:
    if len(proof) > longest:
        raise ProofFault(finding, f"a proof of {len(proof)} hashes is longer than {longest}")
    if any(len(one) != HASH_BYTES for one in (*ends, *proof)):
        raise ProofFault(finding, "a hash of a proof has not 32 bytes")


def _inconsistent(old: int, new: int) -> ProofFault:
    return ProofFault("ledger_consistency", f"the tree of {new} is not shown to begin with the tree of {old}")
