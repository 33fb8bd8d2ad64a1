# SPDX-License-Identifier: Apache-2.0
"""Receipts out of a ledger: one entry with the proof that it is in the signed tree (docs/spec/receipt.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatebook.evidence.checkpoint import open_checkpoint
from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.note import Verifier
from gatebook.evidence.receipt import Receipt
from gatebook.evidence.tree import TILE_WIDTH, inclusion_proof
from gatebook.model.errors import OperatorFault, quoted
from gatebook.vault.ledger import LedgerFolder

DECIDED = frozenset({"operation.intent", "operation.refused"})
OUTCOME = frozenset({"operation.outcome"})
_OPERATION = re.compile(r"[A-Za-z0-9_]{1,64}\.[0-9]{1,16}")
_NOT_SEALED = "an entry is sealed a second after it was written; see `gatebook ledger show`"


def make_receipt(ledger: LedgerFolder, wanted: str, events: frozenset[str]) -> Receipt:
    """Return the receipt of an entry: `wanted` is its number in the ledger, from 0, or the id of an operation.

    Of an operation it is the newest entry of one of the `events`. OperatorFault where there is none, EvidenceFault
    where the ledger cannot be read.
    """
    note = ledger.read_checkpoint()
    size = open_checkpoint(note, Verifier.parse(ledger.read_vkey())).size
    if wanted.isascii() and wanted.isdigit():
        index = int(wanted)
        if index >= size:
            raise OperatorFault(f"the ledger has {size} entries, the first is 0", _NOT_SEALED)
        entry = ledger.entries(index // TILE_WIDTH, size)[index % TILE_WIDTH]
    elif _OPERATION.fullmatch(wanted):
        index, entry = _find(ledger, size, wanted, events)
    else:
        raise OperatorFault(
            f"{quoted(wanted)} is neither an entry's number nor an operation's id", "see `gatebook sessions show`"
        )
    return Receipt(entry, index, tuple(inclusion_proof(ledger, index, size)), note)


def _find(ledger: LedgerFolder, size: int, operation: str, events: frozenset[str]) -> tuple[int, bytes]:
    mark = f'"operation":"{operation}"'.encode()
    for index, entry in _backwards(ledger, size):
        if mark in entry:
            leaf = decode_leaf(entry)
            if leaf.get("operation") == operation and leaf["event"] in events:
                return index, entry
    raise OperatorFault(f"no such entry of operation {quoted(operation)} is sealed", _NOT_SEALED)


def _backwards(ledger: LedgerFolder, size: int) -> Iterator[tuple[int, bytes]]:
    for bundle in reversed(range((size + TILE_WIDTH - 1) // TILE_WIDTH)):
        entries = ledger.entries(bundle, size)
        for at in reversed(range(len(entries))):
            yield bundle * TILE_WIDTH + at, entries[at]
