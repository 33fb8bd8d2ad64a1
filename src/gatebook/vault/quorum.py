# SPDX-License-Identifier: Apache-2.0
"""How old the newest checkpoint is that a quorum of witnesses has cosigned, for who depends on it.

SPEC: docs/spec/ledger.md, "A gate that refuses". Read are `checkpoint.cosigned` and its cosignatures, nothing that the
notary says of them: the keys of the witnesses come from the configuration.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatebook.evidence.checkpoint import Checkpoint
from gatebook.evidence.cosignature import CosignerKey, find_cosignatures
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import parse_note
from gatebook.vault.ledger import LedgerFolder


class QuorumWatch:
    """Reads the cosigned checkpoint of one ledger again and again. Used from one thread."""

    def __init__(self, ledger: LedgerFolder, origin: str, keys: Sequence[CosignerKey], quorum: int) -> None:
        """Make it; a quorum of 0 means all keys."""
        self._ledger = ledger
        self._origin = origin
        self._keys = keys
        self._quorum = quorum or len(keys)
        self._read = b""
        self._time: int | None = None
        self._size = 0

    def cosigned_at(self) -> int | None:
        """Return since when a quorum had cosigned the newest (seconds since 1970, by the witnesses' clocks).

        None where there is no such checkpoint, or it is not what it should be. A smaller one than was seen before is
        not taken: somebody put it back.
        """
        try:
            note = self._ledger.read_cosigned()
        except (EvidenceFault, OSError):
            return self._time  # being replaced, or not for us to read: what was seen grows old by itself
        if note is None:
            return None
        if note != self._read:
            found = self._find(note)
            if found is not None and found[0] >= self._size:
                self._size, self._time = found
            self._read = note
        return self._time

    def _find(self, note: bytes) -> tuple[int, int] | None:
        """Size of a checkpoint, and the time from which on it had its quorum; None if it has none."""
        try:
            checkpoint = Checkpoint.parse(parse_note(note).text)
            times = sorted((one.time for one in find_cosignatures(note, self._keys)), reverse=True)
        except EvidenceFault:
            return None
        if checkpoint.origin != self._origin or len(times) < self._quorum:
            return None
        return checkpoint.size, times[self._quorum - 1]
