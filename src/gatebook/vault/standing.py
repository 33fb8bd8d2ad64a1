# SPDX-License-Identifier: Apache-2.0
"""How the ledger stands: what is sealed, and how far the seal is behind the journals."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime

from gatebook.evidence.checkpoint import open_checkpoint
from gatebook.evidence.note import Verifier
from gatebook.evidence.sealed import Place, decode_sealed
from gatebook.vault.journal import list_journals, writer_lives
from gatebook.vault.ledger import CHECKPOINT, LedgerFault, LedgerFolder
from gatebook.vault.notary import STATE, Folders, read_kept, read_seen
from gatebook.vault.sealing import JournalTail

PIECE_ENTRIES = 1 << 16


@dataclass(frozen=True, slots=True)
class Standing:
    """The published checkpoint, by which key, when (file time), and entries not sealed yet by writer.

    `removed` counts entries, by writer, whose segments the notary removed.
    `witnessed` is the size of the newest checkpoint that a quorum has cosigned; `witnesses` what is known of each;
    `stamped` is the size of the newest that has a time stamp, which is not looked at, or 0.
    """

    origin: str
    size: int
    root: str
    key: str
    signed_at: datetime
    notary_lives: bool
    behind: tuple[tuple[str, int], ...]
    removed: tuple[tuple[str, int], ...]
    witnessed: int
    witnesses: tuple[WitnessStanding, ...]
    stamped: int


@dataclass(frozen=True, slots=True)
class WitnessStanding:
    """A witness: how many entries it has cosigned last, and when by its own clock; None for never."""

    name: str
    cosigned: int
    cosigned_at: datetime | None


def read_standing(folders: Folders) -> Standing:
    """Read how the ledger stands. EvidenceFault if nothing was sealed yet, or what is there cannot be read."""
    ledger = LedgerFolder(folders.ledger)
    key = ledger.read_vkey()
    verifier = Verifier.parse(key)
    checkpoint = open_checkpoint(ledger.read_checkpoint(), verifier)
    cosigned = ledger.read_cosigned()
    try:
        sealed = decode_sealed((folders.notary / STATE).read_bytes())
    except FileNotFoundError as fault:
        raise LedgerFault("notary_state", "the notary's state is gone") from fault
    behind: list[tuple[str, int]] = []
    for folder in list_journals(folders.journals):
        tail = JournalTail(folder, sealed.writers.get(folder.name, Place()))
        count = 0
        while (piece := tail.take(PIECE_ENTRIES)) is not None:
            count += piece.count
        if count:
            behind.append((folder.name, count))
    return Standing(
        origin=checkpoint.origin,
        size=checkpoint.size,
        root=base64.b64encode(checkpoint.root).decode(),
        key=key,
        signed_at=datetime.fromtimestamp((folders.ledger / CHECKPOINT).stat().st_mtime, UTC),
        notary_lives=writer_lives(folders.notary),
        behind=tuple(behind),
        removed=tuple(sorted((writer, place.number - 1) for writer, place in read_kept(folders).items())),
        witnessed=0 if cosigned is None else open_checkpoint(cosigned, verifier).size,
        witnesses=tuple(
            WitnessStanding(
                name, one.cosigned, datetime.fromtimestamp(one.cosigned_at, UTC) if one.cosigned_at else None
            )
            for name, one in sorted(read_seen(folders.notary).items())
        ),
        stamped=max(ledger.stamped_sizes(), default=0),
    )
