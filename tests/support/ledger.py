# SPDX-License-Identifier: Apache-2.0
"""Ledgers for tests: RFC 6962 word for word, tiles in memory and in folders, and the figures of Go's implementation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from gatebook.evidence.checkpoint import Checkpoint, sign
from gatebook.evidence.note import Signer
from gatebook.evidence.tiles import encode_bundle, entries_path, tile_path, tiles_of
from gatebook.evidence.tree import Frontier, leaf_hash

ORIGIN = "ledger.example/gatebook"
SIGNER = Signer.make(ORIGIN, bytes(range(32)))
VECTORS = Path(__file__).parents[1] / "vectors/ledger/vectors.json"


@cache
def vectors() -> Any:  # noqa: ANN401  JSON
    """Figures that Go's golang.org/x/mod/sumdb gave: tests/vectors/ledger/README.md."""
    return json.loads(VECTORS.read_text("utf-8"))


class NaiveTree:
    """RFC 6962, 2.1 as its words stand there: slow, recursive, of `entry 0`, `entry 1` and so on."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int], bytes] = {}

    def root(self, begin: int, end: int) -> bytes:
        """MTH(D[begin:end])."""
        if begin == end:
            return hashlib.sha256().digest()
        if (begin, end) not in self.known:
            if end - begin == 1:
                data = b"\0" + entry(begin)
            else:
                k = begin + largest_power_below(end - begin)
                data = b"\1" + self.root(begin, k) + self.root(k, end)
            self.known[begin, end] = hashlib.sha256(data).digest()
        return self.known[begin, end]

    def path(self, m: int, begin: int, end: int) -> list[bytes]:
        """PATH(m, D[begin:end])."""
        n = end - begin
        if n == 1:
            return []
        k = largest_power_below(n)
        if m < k:
            return [*self.path(m, begin, begin + k), self.root(begin + k, end)]
        return [*self.path(m - k, begin + k, end), self.root(begin, begin + k)]

    def subproof(self, m: int, begin: int, end: int, *, known: bool = True) -> list[bytes]:
        """SUBPROOF(m, D[begin:end], b); PROOF(m, D[n]) with begin 0."""
        n = end - begin
        if m == n:
            return [] if known else [self.root(begin, end)]
        k = largest_power_below(n)
        if m <= k:
            return [*self.subproof(m, begin, begin + k, known=known), self.root(begin + k, end)]
        return [*self.subproof(m - k, begin + k, end, known=False), self.root(begin, begin + k)]

    def tile(self, level: int, index: int, width: int) -> bytes:
        """The hashes of a tile by the definition of C2SP tlog-tiles."""
        under = 256**level
        first = index * 256
        return b"".join(self.root(i * under, (i + 1) * under) for i in range(first, first + width))

    def read(self, level: int, index: int, width: int) -> bytes:
        """The duty of `Tiles`."""
        return self.tile(level, index, width)


def entry(number: int) -> bytes:
    """The entries of vectors and tests."""
    return b"entry %d" % number


def largest_power_below(n: int) -> int:
    """The largest power of two smaller than n, counted up."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


class MemoryTiles:
    """Tiles in memory, put there as a notary would write them."""

    def __init__(self, entries: Sequence[bytes] = ()) -> None:
        self.hashes: dict[tuple[int, int], bytes] = {}
        self.frontier = Frontier.empty()
        self.append(entries)

    def append(self, entries: Sequence[bytes]) -> None:
        for tile in [*self.frontier.append(b"".join(map(leaf_hash, entries))), *self.frontier.partials()]:
            self.hashes[tile.level, tile.index] = tile.hashes

    def read(self, level: int, index: int, width: int) -> bytes:
        return self.hashes[level, index][: width * 32]


def write_ledger(folder: Path, entries: Sequence[bytes], signer: Signer = SIGNER) -> bytes:
    """Write a ledger into a folder that is not there yet; return the note of its checkpoint."""
    folder.mkdir(parents=True)
    frontier = Frontier.empty()
    for tile in [*frontier.append(b"".join(map(leaf_hash, entries))), *frontier.partials()]:
        _write(folder, tile_path(tile.level, tile.index, tile.width), tile.hashes)
    for level, index, width in tiles_of(len(entries)):
        if level == 0:
            _write(folder, entries_path(index, width), encode_bundle(entries[index * 256 : index * 256 + width]))
    note = sign(Checkpoint(signer.name, len(entries), frontier.root()), signer)
    (folder / "checkpoint").write_bytes(note)
    (folder / "ledger.vkey").write_text(signer.verifier.text() + "\n")
    return note


def _write(folder: Path, path: str, data: bytes) -> None:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
