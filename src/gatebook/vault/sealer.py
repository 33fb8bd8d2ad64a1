# SPDX-License-Identifier: Apache-2.0
"""The notary at work: it seals twice a second, reads again what is sealed, and tells its own journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

from gatebook import __version__
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.vault.cosigning import Witnesses
from gatebook.vault.journal import JournalWriter
from gatebook.vault.ledger import SystemDisk
from gatebook.vault.notary import BATCH_ENTRIES, Folders, Notary
from gatebook.vault.sealing import Tampered

WRITER = "notary"
LOCK_WAIT_S = 10.0
PASS_S = 0.5  # an entry is sealed one second after it was written at the latest
AUDIT_S = 600.0  # between readings of all that is sealed
AUDIT_STEP_S = 0.05  # LIMIT: how long a reading keeps the next sealing waiting


def run_notary(
    folders: Folders,
    *,
    origin: str,
    seed: bytes,
    now: Callable[[], datetime],
    wait: Callable[[float], str],
    opened: Callable[[str], None],
    witnesses: Witnesses | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Seal until `wait`, given seconds to wait, returns why it is to stop; seals once more then.

    `seed` (32 random bytes) is the key where there is none yet; `opened` is called with the verifier key, `tell` with
    a line for the log where there is news of `witnesses`, after an entry of it. Tampered, after an entry of it, where
    evidence is not what was sealed; NotaryBusy, OperatorFault, OSError.
    """
    # The one before it may still seal what a gate wrote that is gone.
    with JournalWriter.open(folders.journals, WRITER, sync="every", wait_s=LOCK_WAIT_S) as journal:
        try:
            witnesses = witnesses or Witnesses()
            notary = Notary.open(folders, origin, seed, SystemDisk(), witnesses=witnesses)
            try:
                stamp = Stamp(WRITER, now())
                journal.append(
                    builders.notary_start(stamp, version=__version__, origin=origin, key=notary.vkey, size=notary.size)
                )
                opened(notary.vkey)
                _work(notary, journal, now, wait, lambda: _enter_news(witnesses, journal, now, tell))
            finally:
                notary.close()
        except Tampered as fault:
            what = f"{fault.finding}: {fault.message}"
            journal.append(builders.failure(Stamp(WRITER, now()), what=what, action="nothing is sealed any more"))
            raise


def _work(
    notary: Notary,
    journal: JournalWriter,
    now: Callable[[], datetime],
    wait: Callable[[float], str],
    enter_news: Callable[[], None],
) -> None:
    audit, next_audit = notary.audit(), 0.0
    cause = ""
    while not cause:
        began = time.monotonic()
        sealing = notary.seal()
        enter_news()
        if began >= next_audit and not _advance(audit):
            audit, next_audit = notary.audit(), time.monotonic() + AUDIT_S
        behind = sealing.entries >= BATCH_ENTRIES
        cause = wait(0.0 if behind else max(0.0, PASS_S - (time.monotonic() - began)))
    while notary.seal().entries >= BATCH_ENTRIES:
        pass
    journal.append(builders.notary_stop(Stamp(WRITER, now()), cause=cause, size=notary.size))
    notary.seal()


def _enter_news(
    witnesses: Witnesses, journal: JournalWriter, now: Callable[[], datetime], tell: Callable[[str], None]
) -> None:
    for news in witnesses.news():
        journal.append(builders.failure(Stamp(WRITER, now()), what=news.what, action=news.action))
        tell(f"{news.what}: {news.action}")


def _advance(audit: Iterator[None]) -> bool:
    """Go on with an audit for a while; whether there is more of it."""
    until = time.monotonic() + AUDIT_STEP_S
    return any(time.monotonic() >= until for _ in audit)
