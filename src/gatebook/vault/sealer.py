# SPDX-License-Identifier: Apache-2.0
"""The notary at work: it seals twice a second, reads again what is sealed, and tells its own journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from gatebook import __version__
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.removal import Removal
from gatebook.evidence.rotation import WRITER
from gatebook.vault.cosigning import News, Witnesses
from gatebook.vault.journal import JournalWriter
from gatebook.vault.ledger import LedgerFolder, SystemDisk
from gatebook.vault.notary import BATCH_ENTRIES, Folders, Notary
from gatebook.vault.recordings import Recordings
from gatebook.vault.removal import Remover
from gatebook.vault.rotating import entered_rotations, read_wish
from gatebook.vault.sealing import Tampered
from gatebook.vault.stamping import Stamped, Stamper, keep_stamp

LOCK_WAIT_S = 10.0
PASS_S = 0.5  # an entry is sealed one second after it was written at the latest
AUDIT_S = 600.0  # between readings of all that is sealed
AUDIT_STEP_S = 0.05  # LIMIT: how long a reading keeps the next sealing waiting
LEAST_STEP_S = 0.02  # LIMIT: the same of removing, where sealing leaves no time; else half of what is left of a pass


@dataclass(frozen=True, slots=True)
class RemovalPlan:
    """Where private parts of removed segments go, and how old a segment must be, in seconds."""

    recordings: Recordings
    after_s: float


def run_notary(
    folders: Folders,
    *,
    origin: str,
    seed: bytes,
    now: Callable[[], datetime],
    wait: Callable[[float], str],
    opened: Callable[[str], None],
    witnesses: Witnesses | None = None,
    stamper: Stamper | None = None,
    tell: Callable[[str], None] = lambda _: None,
    removal: RemovalPlan | None = None,
) -> None:
    """Seal until `wait`, given seconds to wait, returns why it is to stop; seals once more then.

    `seed` (32 random bytes) is the key where there is none yet; `opened` is called with the verifier key, `tell` with
    a line for the log where there is news of `witnesses` or `stamper`, after an entry of it. Segments are removed as
    `removal` says, None for never. Tampered, after an entry of it, where evidence is not what was sealed; NotaryBusy,
    OperatorFault, OSError.
    """
    witnesses, stamper = witnesses or Witnesses(), stamper or Stamper()
    # The one before it may still seal what a gate wrote that is gone.
    with JournalWriter.open(folders.journals, WRITER, sync="every", wait_s=LOCK_WAIT_S) as journal:
        try:
            disk = SystemDisk()
            notary = Notary.open(folders, origin, seed, disk, witnesses=witnesses)
            enter = _Entering(journal, now, tell)
            try:
                stamper.start()
                stamp = Stamp(WRITER, now())
                journal.append(
                    builders.notary_start(stamp, version=__version__, origin=origin, key=notary.vkey, size=notary.size)
                )
                opened(notary.vkey)
                remover = _remover(notary, folders, removal, enter)

                def between(left_s: float) -> None:
                    stamper.offer(notary.size, notary.published)
                    for stamped in stamper.take():
                        keep_stamp(disk, LedgerFolder(folders.ledger), stamped)
                        enter.stamped(stamped)
                    enter.news([*witnesses.news(), *stamper.news()])
                    if remover is not None:
                        remover.advance(max(LEAST_STEP_S, left_s / 2))

                _work(notary, journal, now, wait, between)
            finally:
                stamper.close()
                notary.close()
        except Tampered as fault:
            what = f"{fault.finding}: {fault.message}"
            journal.append(builders.failure(Stamp(WRITER, now()), what=what, action="nothing is sealed any more"))
            raise


def _remover(notary: Notary, folders: Folders, plan: RemovalPlan | None, entries: _Entering) -> Remover | None:
    if plan is None:
        return None
    return Remover(
        notary,
        SystemDisk(),  # of its own: what it writes is synced when it says so, and not with tiles
        folders.journals,
        plan.recordings,
        after_s=plan.after_s,
        enter=entries,
        now=entries.now,
    )


def change_key(notary: Notary, journal: JournalWriter, now: Callable[[], datetime]) -> None:
    """Change the notary's key where that is asked for, from wherever an earlier try stopped. Tampered, OSError.

    The entry is written once, only while both keys sign; the old one never signs a tree alone that holds it.
    """
    wish = read_wish(notary.folders.notary)
    if wish is None:
        return
    if wish.key == notary.vkey:  # killed before the wish was gone
        notary.forget_wish()
        return
    notary.begin_rotation(wish)
    if not any((one.old, one.key) == (wish.old, wish.key) for one in entered_rotations(journal.folder)):
        journal.append(
            builders.notary_key(Stamp(WRITER, now()), old=wish.old, key=wish.key, reason=wish.reason, by=wish.by)
        )
    while notary.seal().entries >= BATCH_ENTRIES:
        pass
    notary.hand_over()


def _work(
    notary: Notary,
    journal: JournalWriter,
    now: Callable[[], datetime],
    wait: Callable[[float], str],
    between: Callable[[float], None],
) -> None:
    audit, next_audit = notary.audit(), 0.0
    cause = ""
    while not cause:
        began = time.monotonic()
        change_key(notary, journal, now)
        sealing = notary.seal()
        between(PASS_S - (time.monotonic() - began))
        if began >= next_audit and not _advance(audit):
            audit, next_audit = notary.audit(), time.monotonic() + AUDIT_S
        behind = sealing.entries >= BATCH_ENTRIES
        cause = wait(0.0 if behind else max(0.0, PASS_S - (time.monotonic() - began)))
    while notary.seal().entries >= BATCH_ENTRIES:
        pass
    journal.append(builders.notary_stop(Stamp(WRITER, now()), cause=cause, size=notary.size))
    notary.seal()


@dataclass(frozen=True, slots=True)
class _Entering:
    """Writes into the notary's journal what others tell it."""

    journal: JournalWriter
    now: Callable[[], datetime]
    tell: Callable[[str], None]

    def news(self, told: Iterable[News]) -> None:
        for news in told:
            self.journal.append(builders.failure(Stamp(WRITER, self.now()), what=news.what, action=news.action))
            self.tell(f"{news.what}: {news.action}")

    def stamped(self, stamped: Stamped) -> None:
        self.journal.append(
            builders.checkpoint_stamped(
                Stamp(WRITER, self.now()),
                size=stamped.size,
                stamped=stamped.proven.time,
                authority=stamped.authority,
                serial=stamped.proven.serial,
                digest=f"sha256:{sha256(stamped.response).hexdigest()}",
            )
        )

    def removed(self, removal: Removal) -> int:
        """See `Enter`."""
        return self.journal.append(builders.journal_removed(Stamp(WRITER, self.now()), removal))

    def failed(self, what: str, action: str) -> None:
        """See `Enter`."""
        self.journal.append(builders.failure(Stamp(WRITER, self.now()), what=what, action=action))
        self.tell(f"{what}: {action}")


def _advance(audit: Iterator[None]) -> bool:
    """Go on with an audit for a while; whether there is more of it."""
    until = time.monotonic() + AUDIT_STEP_S
    return any(time.monotonic() >= until for _ in audit)
