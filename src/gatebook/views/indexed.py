# SPDX-License-Identifier: Apache-2.0
"""What searches and the index's own commands share: the ledger as it is signed now, and its index kept up with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gatebook.config import Settings
from gatebook.evidence.checkpoint import open_checkpoint
from gatebook.evidence.note import Verifier
from gatebook.store.index import Cursor
from gatebook.store.indexing import Ledger, catch_up, extending
from gatebook.store.sqlite_index import SqliteIndex, open_index
from gatebook.vault.ledger import LedgerFolder


def open_ledger(settings: Settings) -> Ledger:
    """Return the ledger with its newest checkpoint. EvidenceFault if there is none, or its signature is not good."""
    folder = LedgerFolder(settings.ledger_path)
    key = folder.read_vkey()
    return Ledger(folder, open_checkpoint(folder.read_checkpoint(), Verifier.parse(key)), key)


@contextmanager
def opened_index(path: Path, *, key: str = "", write: bool = False) -> Iterator[SqliteIndex]:
    """Open the index at a path. IndexFault as `open_index`."""
    index = open_index(path, key=key, write=write)
    try:
        yield index
    finally:
        index.close()


def take_up(
    path: Path, ledger: Ledger, most_s: float, wait_s: float, tell: Callable[[Cursor], None] = lambda _: None
) -> bool:
    """Take up what is missing, for `most_s` at most, one batch at least; whether nobody else was at it.

    `tell` is told after each batch. IndexFault, EvidenceFault as `catch_up`; OSError where nothing can be written.
    """
    with extending(path, wait_s) as is_ours:
        if not is_ours:
            return False
        deadline = time.monotonic() + most_s
        with opened_index(path, key=ledger.key, write=True) as index:
            for cursor in catch_up(index, ledger):
                tell(cursor)
                if time.monotonic() >= deadline:
                    break
    return True
