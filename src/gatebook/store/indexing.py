# SPDX-License-Identifier: Apache-2.0
"""The index kept up with the ledger: what is not indexed yet is read, compared with the signed tree, and taken up."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gatebook.evidence.checkpoint import Checkpoint
from gatebook.evidence.entry import EntryFault, parse_time
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.query import Posting, micros, posting_of, read_quickly
from gatebook.evidence.tiles import decode_bundle
from gatebook.evidence.tree import (
    HASH_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Frontier,
    consistency_proof,
    leaf_hash,
    verify_consistency,
)
from gatebook.evidence.verify_ledger import Stored
from gatebook.store.index import REBUILD, Cursor, Index, IndexFault

BATCH_ENTRIES = 4096  # LIMIT: taken up at once; their terms are in memory
BATCH_TERMS = 1 << 18  # LIMIT: as above; an entry has some thousands at most
RETRY_S = 0.05


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger whose checkpoint is verified: its files, the checkpoint, and the verifier key that signed it."""

    stored: Stored
    checkpoint: Checkpoint
    key: str


@dataclass(frozen=True, slots=True)
class Behind:
    """What of a ledger is not indexed: entries, and seconds from the newest entry indexed to the newest sealed."""

    entries: int
    seconds: float


def check_same(cursor: Cursor, ledger: Ledger) -> None:
    """Raise IndexFault unless what was indexed is the beginning of this ledger. EvidenceFault if it cannot be read."""
    size, signed = cursor.size, ledger.checkpoint
    # By name alone: its key may be changed, and what was indexed is proven to be the beginning of what is signed now.
    if cursor.key.partition("+")[0] != signed.origin:
        raise IndexFault("the index is of another ledger", REBUILD)
    if size > signed.size:
        words = f"the index has {size:,} entries and the ledger {signed.size:,}: the ledger was put back or made anew"
        raise IndexFault(words, f"see `gatebook ledger verify`, then {REBUILD}")
    try:
        _check_past(size, cursor.root, ledger)
    except EvidenceFault as fault:
        words = f"the index is not of this ledger, or the ledger is damaged: {fault.message}"
        raise IndexFault(words, f"see `gatebook ledger verify`, then {REBUILD}") from fault


def catch_up(index: Index, ledger: Ledger) -> Iterator[Cursor]:
    """Take up what is sealed and not indexed; yield how far after each batch. May be left at any of them.

    IndexFault as `check_same`; EvidenceFault where entries are not those of the signed tree: they are not taken up.
    """
    cursor, size = index.cursor(), ledger.checkpoint.size
    check_same(cursor, ledger)
    frontier = Frontier.load(_Widest(ledger), cursor.size)
    while cursor.size < size:
        postings = _read_batch(ledger, frontier)
        root = frontier.root()
        _check_past(frontier.size, root, ledger)
        newest = max((one.at_us for one in postings if one.at_us is not None), default=0)
        before, cursor = cursor, Cursor(ledger.key, frontier.size, root, max(cursor.newest_us, newest))
        index.extend(before, postings, cursor)
        yield cursor


class _Widest:
    """Tiles of a tree within the signed one: of partial tiles only those that the signed tree has need be there."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def read(self, level: int, index: int, width: int) -> bytes:
        """See `evidence.tree.Tiles`."""
        there = min(TILE_WIDTH, (self._ledger.checkpoint.size >> TILE_HEIGHT * level) - index * TILE_WIDTH)
        return self._ledger.stored.read(level, index, there)[: width * HASH_BYTES]


def _check_past(size: int, root: bytes, ledger: Ledger) -> None:
    """Raise EvidenceFault unless a tree is the beginning of the signed one."""
    signed = ledger.checkpoint
    verify_consistency(size, root, signed.size, signed.root, consistency_proof(ledger.stored, size, signed.size))


def _read_batch(ledger: Ledger, frontier: Frontier) -> list[Posting]:
    """Return what an index keeps of the next entries, and put them into the frontier."""
    postings: list[Posting] = []
    terms = 0
    while frontier.size < ledger.checkpoint.size and len(postings) < BATCH_ENTRIES and terms < BATCH_TERMS:
        first = frontier.size
        hashes = bytearray()
        for at, entry in enumerate(read_bundle(ledger, first // TILE_WIDTH)[first % TILE_WIDTH :]):
            postings.append(posting_of(first + at, entry))
            hashes += leaf_hash(entry)
            terms += len(postings[-1].terms)
            if terms >= BATCH_TERMS:
                break
        frontier.append(bytes(hashes))
    return postings


def read_bundle(ledger: Ledger, number: int) -> list[bytes]:
    """Return the entries of a bundle, as far as the checkpoint goes. EvidenceFault if they are not there."""
    width = min(TILE_WIDTH, ledger.checkpoint.size - number * TILE_WIDTH)
    return decode_bundle(ledger.stored.read_bundle(number, width), width)


def behind(cursor: Cursor, ledger: Ledger) -> Behind:
    """Return how far an index is behind its ledger. EvidenceFault if the newest entry cannot be read."""
    missing = ledger.checkpoint.size - cursor.size
    if missing <= 0:
        return Behind(0, 0.0)
    indexed_us = cursor.newest_us or _time_us(read_bundle(ledger, 0)[0])
    newest_us = _time_us(read_bundle(ledger, (ledger.checkpoint.size - 1) // TILE_WIDTH)[-1])
    return Behind(missing, max(0.0, (newest_us - indexed_us) / 1e6))


def _time_us(entry: bytes) -> int:
    try:
        return micros(parse_time(str((read_quickly(entry) or {}).get("time"))))
    except EntryFault:
        return 0


@contextmanager
def extending(path: Path, wait_s: float) -> Iterator[bool]:
    """Hold the lock of whoever extends or removes the index at a path; gives whether it could be had in time.

    OSError where the lock's file cannot be opened, as in a folder that may only be read.
    """
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield _lock(descriptor, time.monotonic() + wait_s)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, deadline: float) -> bool:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(RETRY_S)
        else:
            return True
