# SPDX-License-Identifier: Apache-2.0
"""What a verifier follows beside the tree: from a key of the notary to the next, and from time stamp to time stamp.

SPEC: docs/spec/ledger.md, "Change of the key" and "Time stamps". The tree itself was checked before.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatebook.evidence.checkpoint import Checkpoint, CheckpointFault, open_checkpoint
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Verifier
from gatebook.evidence.rotation import KeyChain, find_rotation, is_signed
from gatebook.evidence.timestamp import TimestampFault, parse_roots, verify_timestamp
from gatebook.evidence.tree import (
    TILE_WIDTH,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from gatebook.evidence.verify import Report
from gatebook.vault.ledger import LedgerFolder


def is_past(ledger: LedgerFolder, older: Checkpoint, checkpoint: Checkpoint) -> bool:
    """Whether a tree is the beginning of another. EvidenceFault where tiles are missing."""
    if older.size > checkpoint.size:
        return False
    proof = consistency_proof(ledger, older.size, checkpoint.size)
    try:
        verify_consistency(older.size, older.root, checkpoint.size, checkpoint.root, proof)
    except EvidenceFault:
        return False
    return True


def follow_keys(ledger: LedgerFolder, checkpoint: Checkpoint, keys: KeyChain, notes: Sequence[bytes]) -> None:
    """Check each change of the key behind the known one: both keys have signed a tree that holds its entry.

    `notes` are the handovers, and the checkpoint. CheckpointFault `checkpoint_handover` where it is not so.
    """
    for one in keys.behind:
        old, key = Verifier.parse(one.old), Verifier.parse(one.key)
        for note in notes:
            if is_signed(note, old) and is_signed(note, key):
                both = open_checkpoint(note, old)
                if both.size > one.index and is_past(ledger, both, checkpoint):
                    break
        else:
            words = f"the key that follows by entry {one.index} is not signed in by the one before it"
            raise CheckpointFault("checkpoint_handover", words)


def newest_key(ledger: LedgerFolder, known: str) -> str:
    """Return the verifier key to which changes of the key lead from a known one; that itself where there is none.

    Of each change the entry is proven to be in a tree that both keys have signed. EvidenceFault where it is not.
    """
    key = known
    for note in ledger.read_handovers():
        if is_signed(note, Verifier.parse(key)):
            key = _change_in(ledger, note, key) or key
    return key


def _change_in(ledger: LedgerFolder, note: bytes, known: str) -> str:
    """Return the key that gets a handover, of which the known one has signed the tree; empty where there is none."""
    tree = open_checkpoint(note, Verifier.parse(known))
    for number in reversed(range((tree.size + TILE_WIDTH - 1) // TILE_WIDTH)):  # it stands among the last entries
        entries = ledger.entries(number, tree.size)
        for index, entry in reversed(list(enumerate(entries, number * TILE_WIDTH))):
            change = find_rotation(index, entry)
            if change is None or change.old != known or not is_signed(note, Verifier.parse(change.key)):
                continue
            verify_inclusion(leaf_hash(entry), index, tree.size, inclusion_proof(ledger, index, tree.size), tree.root)
            return change.key
    return ""


def check_stamps(
    ledger: LedgerFolder,
    keys: KeyChain,
    checkpoint: Checkpoint,
    report: Report,
    *,
    roots: bytes,
    sizes: Sequence[int],
) -> None:
    """Verify the time stamps of a ledger, of these sizes, and say the newest time that is proven.

    What is wrong is in the report.
    """
    try:
        known = parse_roots(roots)
        if not sizes:
            raise TimestampFault("timestamp_missing", "the ledger has no time stamp")
    except EvidenceFault as fault:
        report.fault("timestamp", fault)
        return
    for size in sizes:
        try:
            note, response = ledger.read_stamp(size)
            proven = verify_timestamp(response, note, known)
            older = keys.open(note)
            if older.size != size or not is_past(ledger, older, checkpoint):
                raise TimestampFault("timestamp_checkpoint", "what was stamped is not in the ledger's past")
        except EvidenceFault as fault:
            report.fault(f"timestamp/{size}", fault)
            continue
        report.checked["time stamps"] += 1
        if report.proven is None or proven.time > report.proven[0]:
            report.proven = (proven.time, size)
