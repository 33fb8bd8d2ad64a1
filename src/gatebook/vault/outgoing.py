# SPDX-License-Identifier: Apache-2.0
"""Sealed entries from a cursor on, in order, each shown to be in the signed tree before it is handed out.

Who changes a bundle, a tile or the checkpoint makes this raise an EvidenceFault; nothing changed leaves. Held in
memory: one bundle, and what `take` returns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint
from gatebook.evidence.entry import EntryFault, decode_leaf, parse_time
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Verifier
from gatebook.evidence.tree import (
    EMPTY_ROOT,
    HASH_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Frontier,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    tile_root,
    verify_consistency,
    verify_inclusion,
)
from gatebook.model.errors import quoted
from gatebook.vault.cursor import Cursor, CursorFault, ExportFolder
from gatebook.vault.following import newest_key
from gatebook.vault.ledger import LedgerFolder

TRIES = 5  # the notary drops a partial tile while it is being opened
PAUSE_S = 0.05
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Piece:
    """Entries side by side in the ledger, with their leaf hashes; the first has the index `first`."""

    first: int
    entries: Sequence[bytes]
    hashes: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class _Bundle:
    index: int
    entries: list[bytes]
    hashes: list[bytes]


@dataclass(frozen=True, slots=True)
class _Within:
    """Tiles of a smaller tree, cut from those of the tree of `size`: narrower partial ones were perhaps never there."""

    ledger: LedgerFolder
    size: int

    def read(self, level: int, index: int, width: int) -> bytes:
        """See `Tiles`."""
        there = min(TILE_WIDTH, (self.size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH)
        return self.ledger.read(level, index, there)[: width * HASH_BYTES]


class Outgoing:
    """What is still to be acknowledged of a ledger. Not for several threads at once."""

    def __init__(self, ledger: LedgerFolder, origin: str, cursor: Cursor | None, now: Callable[[], datetime]) -> None:
        """Begin at a cursor, or at the first entry. CursorFault for one of another ledger than `origin`."""
        if cursor is not None and cursor.origin != origin:
            raise CursorFault(f"the cursor is of the ledger {quoted(cursor.origin)}, not of {quoted(origin)}")
        self._ledger = ledger
        self._now = now
        self._cursor = cursor or Cursor(origin, "", 0, EMPTY_ROOT, now())
        self._verifier: Verifier | None = None
        self._note = b""
        self._checkpoint = Checkpoint(origin, 0, EMPTY_ROOT)
        self._frontier: Frontier | None = None
        self._bundle: _Bundle | None = None
        self._next_time: tuple[int, datetime] | None = None

    @property
    def cursor(self) -> Cursor:
        """What was acknowledged."""
        return self._cursor

    @property
    def behind(self) -> int:
        """Entries that are sealed and not acknowledged, as of the last `refresh`."""
        return self._checkpoint.size - self._cursor.next

    def refresh(self) -> None:
        """Read the checkpoint, which must continue what was acknowledged. CursorFault, EvidenceFault."""
        if self._cursor.next == 0 and not self._note and not self._ledger.exists():
            return  # no notary was ever here
        _again(self._refresh)

    def take(self, most: int, most_bytes: int) -> Piece:
        """Return the entries behind the cursor: at most so many, and so many bytes of them, but one if there is one.

        EvidenceFault where one is not what was sealed.
        """
        entries: list[bytes] = []
        hashes: list[bytes] = []
        index, size = self._cursor.next, 0
        while index < self._checkpoint.size and len(entries) < most:
            bundle = self._bundle_of(index)
            at = index % TILE_WIDTH
            size += len(bundle.entries[at])
            if entries and size > most_bytes:
                break
            entries.append(bundle.entries[at])
            hashes.append(bundle.hashes[at])
            index += 1
        return Piece(self._cursor.next, entries, hashes)

    def acknowledge(self, piece: Piece, *, sent: bool = True) -> Cursor:
        """Return the cursor behind a piece that was taken and is acknowledged; on from there.

        `sent` is False where nothing of it was to be sent: then nobody acknowledged anything.
        """
        assert piece.first == self._cursor.next, "pieces are acknowledged in order"
        assert self._frontier is not None, "it was refreshed before anything was taken"
        self._frontier.append(b"".join(piece.hashes))
        end = piece.first + len(piece.entries)
        acknowledged = self._now() if sent else self._cursor.acknowledged
        self._cursor = replace(self._cursor, next=end, root=self._frontier.root(), acknowledged=acknowledged)
        return self._cursor

    def waiting_s(self) -> float:
        """Return for how many seconds the entry behind the cursor has waited, but not from before the export began.

        0 where none waits. EvidenceFault as `take`.
        """
        if not self.behind:
            return 0.0
        if self._next_time is None or self._next_time[0] != self._cursor.next:
            entry = self._bundle_of(self._cursor.next).entries[self._cursor.next % TILE_WIDTH]
            self._next_time = self._cursor.next, max(_time_of(entry) or self._cursor.since, self._cursor.since)
        return max(0.0, (self._now() - self._next_time[1]).total_seconds())

    def _refresh(self) -> None:
        note = self._ledger.read_checkpoint()
        if note == self._note:
            return
        verifier, checkpoint = self._open(note)
        old, size = self._cursor.next, checkpoint.size
        if size < old:
            raise CursorFault(f"the receiver has acknowledged {old} entries, and the ledger has {size}")
        if size < self._checkpoint.size:
            raise EvidenceFault("ledger_fork", f"the ledger had {self._checkpoint.size} entries, and has {size}")
        try:
            proof = consistency_proof(self._ledger, old, size)
            verify_consistency(old, self._cursor.root, size, checkpoint.root, proof)
        except EvidenceFault as fault:
            words = f"the ledger does not continue the {old} entries that are acknowledged: {fault.message}"
            raise EvidenceFault(fault.finding, words) from fault
        if self._frontier is None:
            frontier = Frontier.load(_Within(self._ledger, size), old)
            if frontier.root() != self._cursor.root:
                raise CursorFault(f"the tiles do not give the root over the {old} entries that are acknowledged")
            self._frontier = frontier
        self._cursor = replace(self._cursor, key=verifier.text())
        self._verifier, self._note, self._checkpoint = verifier, note, checkpoint

    def _open(self, note: bytes) -> tuple[Verifier, Checkpoint]:
        """Return who signed the checkpoint, and it: the key known so far, or one that a change of the key leads to."""
        if self._verifier is not None:
            try:
                return self._verifier, open_checkpoint(note, self._verifier)
            except EvidenceFault:
                pass  # the key may have changed: if it has not, what follows says the same
        verifier = self._read_key()
        return verifier, open_checkpoint(note, verifier)

    def _read_key(self) -> Verifier:
        key, known = self._ledger.read_vkey(), self._cursor.key
        if known and key != known and newest_key(self._ledger, known) != key:
            raise CursorFault("the cursor is of a ledger with another key, and no change of the key leads to this one")
        verifier = Verifier.parse(key)
        if verifier.name != self._cursor.origin:
            raise CursorFault(
                f"the ledger is {quoted(verifier.name)}, and the configuration says {quoted(self._cursor.origin)}"
            )
        return verifier

    def _bundle_of(self, index: int) -> _Bundle:
        """Return the bundle of an entry; it is verified once for each width."""
        number, size = index // TILE_WIDTH, self._checkpoint.size
        width = min(TILE_WIDTH, size - number * TILE_WIDTH)
        if self._bundle is None or self._bundle.index != number or len(self._bundle.entries) != width:
            self._bundle = _again(lambda: self._read_bundle(number, width))
        return self._bundle

    def _read_bundle(self, number: int, width: int) -> _Bundle:
        size, root = self._checkpoint.size, self._checkpoint.root
        entries = self._ledger.entries(number, size)
        hashes = [leaf_hash(entry) for entry in entries]
        # The way of the bundle's first entry to the root, without the steps inside the bundle, is the bundle's own way
        # in the tree of bundles: subtrees of 256 leaves are whole, but for the last, which moves up as a leaf does.
        inside = (width - 1).bit_length()
        proof = inclusion_proof(self._ledger, number * TILE_WIDTH, size)[inside:]
        try:
            verify_inclusion(tile_root(b"".join(hashes)), number, (size - 1) // TILE_WIDTH + 1, proof, root)
        except EvidenceFault as fault:
            first = number * TILE_WIDTH
            words = f"entries {first} to {first + width - 1} are not what was sealed; none of them is exported"
            raise EvidenceFault("ledger_inclusion", words) from fault
        return _Bundle(number, entries, hashes)


@dataclass(frozen=True, slots=True)
class ExportStanding:
    """What there is to tell of an export. `refused` says why it cannot go on, empty where it can."""

    name: str
    next: int
    behind: int
    waiting_s: float
    acknowledged: datetime | None
    error: str
    error_at: str
    alarm: bool
    runs: bool
    refused: str


def read_export_standing(
    ledger: LedgerFolder, origin: str, files: ExportFolder, name: str, now: Callable[[], datetime]
) -> ExportStanding:
    """Return how an export stands, by its files; it may be running."""
    state, runs = files.read_state(), files.is_locked()
    cursor: Cursor | None = None
    behind, waiting_s, refused = 0, 0.0, ""
    try:
        cursor = files.read_cursor()
        outgoing = Outgoing(ledger, origin, cursor, now)
        outgoing.refresh()
        behind, waiting_s = outgoing.behind, outgoing.waiting_s()
    except EvidenceFault as fault:
        refused = f"{fault.finding}: {fault.message}"
    return ExportStanding(
        name,
        cursor.next if cursor else 0,
        behind,
        waiting_s,
        cursor.acknowledged if cursor else None,
        state.error,
        state.error_at,
        state.alarm,
        runs,
        refused,
    )


def _time_of(entry: bytes) -> datetime | None:
    try:
        moment = decode_leaf(entry).get("time")
        return parse_time(moment if isinstance(moment, str) else "")
    except EntryFault:
        return None


def _again(work: Callable[[], T]) -> T:
    """Do it, again where it fails: the notary may just be exchanging files."""
    for left in reversed(range(TRIES)):
        try:
            return work()
        except CursorFault:
            raise
        except EvidenceFault:
            if not left:
                raise
            time.sleep(PAUSE_S)
    raise AssertionError("the last try returns or raises")
