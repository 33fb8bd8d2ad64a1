# SPDX-License-Identifier: Apache-2.0
"""Notaries whose key is changed, as the notary's own loop does it, over a disk that may fail."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from gatebook.evidence.note import Signer
from gatebook.evidence.rotation import WRITER
from gatebook.vault.cosigning import Witnesses
from gatebook.vault.journal import JournalWriter
from gatebook.vault.ledger import Disk, SystemDisk
from gatebook.vault.notary import Notary
from gatebook.vault.rotating import wish_for_key
from gatebook.vault.sealer import change_key
from support.notary import ORIGIN, SEED, folders

OLD = Signer.make(ORIGIN, SEED)
NEW = Signer.make(ORIGIN, bytes([7]) * 32)
NEWER = Signer.make(ORIGIN, bytes([8]) * 32)


def wish(root: Path, seed: int = 7, disk: Disk | None = None) -> str:
    """Ask for another key; its verifier key."""
    made = wish_for_key(
        folders(root).notary, reason="yearly", by="ada", seed=bytes([seed]) * 32, disk=disk or SystemDisk()
    )
    return made.key


def carry_out(
    root: Path,
    disk: Disk | None = None,
    witnesses: Witnesses | None = None,
    until: Callable[[], bool] = lambda: True,
) -> str:
    """Run a notary that changes its key where that is asked for, and seals once and until it is so; its key then."""
    with JournalWriter.open(folders(root).journals, WRITER, sync="every", segment_bytes=1 << 16) as journal:
        notary = Notary.open(folders(root), ORIGIN, SEED, disk or SystemDisk(), witnesses=witnesses)
        try:
            change_key(notary, journal, lambda: datetime.now(UTC))
            notary.seal()
            deadline = time.monotonic() + 10
            while not until() and time.monotonic() < deadline:
                time.sleep(0.05)
                notary.seal()
            return notary.vkey
        finally:
            notary.close()


def rotate(root: Path, seed: int = 7) -> str:
    """Change the key; the new one."""
    key = wish(root, seed)
    assert carry_out(root) == key
    return key
