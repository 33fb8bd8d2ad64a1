# SPDX-License-Identifier: Apache-2.0
"""The verification of a ledger: every entry and tile against the signed root, and the journals against the entries.

SPEC: docs/spec/ledger.md, "What a verifier must reject". Fed bundle by bundle, it holds the right edge of the tree and
two hashes for each writer, so that a ledger of any size can be checked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Protocol

from gatebook.evidence.approvals import MARKS as APPROVAL_MARKS
from gatebook.evidence.approvals import Approvals
from gatebook.evidence.checkpoint import Checkpoint
from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.events import check_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.removal import MARK as REMOVAL_MARK
from gatebook.evidence.rotation import MARK, Rotation, find_rotation
from gatebook.evidence.tiles import decode_bundle, entries_path, tile_path
from gatebook.evidence.tree import HASH_BYTES, TILE_WIDTH, Frontier, Tile, leaf_hash
from gatebook.evidence.verify import Report

MAX_WRITER_BYTES = 66
_WRITER = b'"writer":"'  # the last member of every canonical leaf


class Stored(Protocol):
    """A ledger's files. Each raises an EvidenceFault where it cannot give what is asked for."""

    def read(self, level: int, index: int, width: int) -> bytes:
        """Return the first `width` hashes of a tile."""

    def read_bundle(self, index: int, width: int) -> bytes:
        """Return the first `width` entries of a bundle."""


@dataclass(slots=True)
class Chain:
    """The entries of one writer, in order: how many, and a hash over all their leaf hashes."""

    count: int = 0
    _hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, hash_of_leaf: bytes) -> None:
        """Take the next."""
        self.count += 1
        self._hash.update(hash_of_leaf)

    def digest(self) -> bytes:
        """Return the hash over all taken so far."""
        return self._hash.digest()


class LedgerCheck:
    """Checks the files of a ledger against a checkpoint, and gathers the changes of the notary's key from it.

    `approvals`, where given, is fed with the entries that concern approvals.
    """

    def __init__(
        self, stored: Stored, checkpoint: Checkpoint, report: Report, approvals: Approvals | None = None
    ) -> None:
        self._stored = stored
        self._checkpoint = checkpoint
        self._report = report
        self._approvals = approvals
        self._frontier = Frontier.empty()
        self.chains: dict[str, Chain] = {}
        self.removals: list[bytes] = []  # entries of removed segments
        self.rotations: list[Rotation] = []

    def check(self) -> None:
        """Read everything below the checkpoint. What is wrong is in the report."""
        size = self._checkpoint.size
        for index in range((size + TILE_WIDTH - 1) // TILE_WIDTH):
            self._bundle(index, min(TILE_WIDTH, size - index * TILE_WIDTH))
        for tile in self._frontier.partials():
            if tile.level:
                self._compare(tile)
        if self._frontier.size == size and self._frontier.root() != self._checkpoint.root:
            self._find("ledger_root", "checkpoint", "the entries do not give the root that was signed")
        self._report.checked["ledger entries"] += self._frontier.size

    def _bundle(self, index: int, width: int) -> None:
        if self._frontier.size != index * TILE_WIDTH:
            return  # an entry before is not there: nothing behind it can be said
        try:
            data = self._stored.read_bundle(index, width)
            entries = decode_bundle(data, width)
            hashes = self._stored.read(0, index, width)
        except EvidenceFault as fault:
            self._report.fault(entries_path(index, width), fault)
            return
        found = [leaf_hash(entry) for entry in entries]
        if b"".join(found) != hashes:
            place = next(at for at, one in enumerate(found) if one != hashes[HASH_BYTES * at : HASH_BYTES * (at + 1)])
            words = "an entry is not what its hash says"
            self._find("ledger_entry", f"ledger/{index * TILE_WIDTH + place}", words)
        # Once for all entries: most bundles have none.
        marks = [mark for mark in APPROVAL_MARKS if mark in data] if self._approvals is not None else []
        for at, (entry, one) in enumerate(zip(entries, found, strict=True)):
            writer = entry.rpartition(_WRITER)[2]
            if not writer.endswith(b'"}') or len(writer) > MAX_WRITER_BYTES:
                self._find("ledger_entry", f"ledger/{index * TILE_WIDTH + at}", "names no writer")
                continue
            if marks and any(mark in entry for mark in marks):
                self._add_approval(index * TILE_WIDTH + at, entry)
            if REMOVAL_MARK in entry:
                self.removals.append(entry)
            self.chains.setdefault(writer[:-2].decode("utf-8", "replace"), Chain()).add(one)
            if MARK in entry and (rotation := find_rotation(index * TILE_WIDTH + at, entry)) is not None:
                self.rotations.append(rotation)
        for tile in self._frontier.append(b"".join(found)):
            if tile.level:
                self._compare(tile)
        self._report.checked["tiles"] += 1

    def _add_approval(self, index: int, entry: bytes) -> None:
        assert self._approvals is not None
        try:
            leaf = decode_leaf(entry)
            check_leaf(leaf, str(leaf.get("writer")))
        except EvidenceFault as fault:
            self._report.fault(f"ledger/{index}", fault)
            return
        self._approvals.add(leaf)

    def _compare(self, tile: Tile) -> None:
        subject = tile_path(tile.level, tile.index, tile.width)
        self._report.checked["tiles"] += 1
        try:
            stored = self._stored.read(tile.level, tile.index, tile.width)
        except EvidenceFault as fault:
            self._report.fault(subject, fault)
            return
        if stored != tile.hashes:
            self._find("tile_differs", subject, "is not what the tiles below it give")

    def _find(self, name: str, subject: str, words: str) -> None:
        self._report.add([Finding(name, subject, words)])


class SealedJournal:
    """Compares one journal with what the ledger has of its writer: `add` each entry in order, then `finish`."""

    def __init__(self, writer: str, sealed: Chain | None, report: Report) -> None:
        self._writer = writer
        self._sealed = sealed or Chain()
        self._report = report
        self._chain = Chain()

    def add(self, leaf: bytes) -> None:
        """Take the next entry of the journal."""
        if self._chain.count < self._sealed.count:
            self._chain.add(leaf_hash(leaf))
        else:
            self._report.checked["entries not sealed yet"] += 1

    def finish(self) -> None:
        """Say whether the journal is what was sealed."""
        if self._chain.count < self._sealed.count:
            words = f"the ledger has {self._sealed.count} entries of it, and {self._chain.count} are left"
            self._report.add([Finding("journal_shorter", self._writer, words)])
        elif self._chain.digest() != self._sealed.digest():
            words = "an entry is another than was sealed, or in another place"
            self._report.add([Finding("journal_differs", self._writer, words)])
