# SPDX-License-Identifier: Apache-2.0
"""Receipts: the proof that one entry is in the ledger, as a text that can be checked alone.

SPEC: docs/spec/receipt.md. Source: C2SP tlog-proof. Text: the line of the version, `extra` with the entry in base64,
`index` in decimal, one hash a line, an empty line, the checkpoint's note. Bounds: entry 1 to 65,535 bytes, index below
2^63, 63 hashes, the note 1 MiB. Refused beyond the source: a receipt without an entry. Everything else raises
ReceiptFault, or NoteFault or CheckpointFault where the checkpoint in it is at fault; nothing else is raised.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint, parse_decimal
from gatebook.evidence.entry import MAX_LEAF_BYTES
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import MAX_NOTE_BYTES, Verifier, decode_base64, parse_note
from gatebook.evidence.tree import HASH_BYTES, MAX_INCLUSION_HASHES, MAX_SIZE, leaf_hash, verify_inclusion

VERSION_LINE = "c2sp.org/tlog-proof@v1"
MAX_RECEIPT_BYTES = MAX_NOTE_BYTES + (1 << 17)  # 88 KiB of entry in base64, 3 KiB of hashes

_EXTRA = "extra "
_INDEX = "index "


class ReceiptFault(EvidenceFault):
    """A receipt has not its form."""

    code = "receipt"


@dataclass(frozen=True, slots=True)
class Receipt:
    """An entry, its place in the ledger from 0, the hashes beside its way to the root, and the signed checkpoint.

    Fault as of the module if it could not be written. That it has its form says nothing yet: see `verify`.
    """

    entry: bytes
    index: int
    proof: tuple[bytes, ...]
    checkpoint_note: bytes

    def __post_init__(self) -> None:
        """Refuse what `text` could not say so that `parse` reads it."""
        if not 1 <= len(self.entry) <= MAX_LEAF_BYTES:
            raise ReceiptFault("receipt_form", f"an entry cannot have {len(self.entry)} bytes")
        if not 0 <= self.index <= MAX_SIZE:
            raise ReceiptFault("receipt_form", f"no entry has the index {self.index}")
        if len(self.proof) > MAX_INCLUSION_HASHES or any(len(one) != HASH_BYTES for one in self.proof):
            raise ReceiptFault("receipt_form", "a proof has more than 63 hashes, or others than of 32 bytes")
        Checkpoint.parse(parse_note(self.checkpoint_note).text)

    @classmethod
    def parse(cls, data: bytes) -> Receipt:
        """Parse a receipt. Fault as of the module unless the bytes are exactly what `text` gives."""
        if len(data) > MAX_RECEIPT_BYTES:
            raise ReceiptFault("receipt_form", f"a receipt of {len(data)} bytes is longer than {MAX_RECEIPT_BYTES}")
        head, _, note = data.partition(b"\n\n")
        if not head.isascii():
            raise ReceiptFault("receipt_form", "a receipt is not ASCII above its checkpoint")
        lines = head.decode().split("\n")
        if len(lines) < 3 or lines[0] != VERSION_LINE:
            raise ReceiptFault("receipt_form", f"a receipt does not begin with {VERSION_LINE}, an entry and an index")
        if not lines[1].startswith(_EXTRA) or not lines[2].startswith(_INDEX):
            raise ReceiptFault("receipt_form", "a receipt has no entry, or no index below it")
        entry = decode_base64(lines[1].removeprefix(_EXTRA))
        index = parse_decimal(lines[2].removeprefix(_INDEX))
        if entry is None or index is None:
            raise ReceiptFault("receipt_form", "the entry is not base64, or the index not a decimal")
        return cls(entry, index, tuple(map(_parse_hash, lines[3:])), note)

    def text(self) -> bytes:
        """Return the text that goes into a file ending in `.tlog-proof`."""
        lines = [VERSION_LINE, _EXTRA + _encode(self.entry), f"{_INDEX}{self.index}", *map(_encode, self.proof), "", ""]
        return "\n".join(lines).encode() + self.checkpoint_note

    def verify(self, verifier: Verifier) -> Checkpoint:
        """Return the checkpoint, if the key has signed it and the entry stands at the index in its tree.

        NoteFault if the key has not, CheckpointFault if the checkpoint is of another ledger, ProofFault if the entry is
        not shown to be in it. `verifier` must not come from where the receipt came from.
        """
        checkpoint = open_checkpoint(self.checkpoint_note, verifier)
        verify_inclusion(leaf_hash(self.entry), self.index, checkpoint.size, self.proof, checkpoint.root)
        return checkpoint


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _parse_hash(line: str) -> bytes:
    decoded = decode_base64(line)
    if decoded is None:
        raise ReceiptFault("receipt_form", "a hash of a proof is not base64")
    return decoded
