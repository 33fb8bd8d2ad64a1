# SPDX-License-Identifier: Apache-2.0
"""The account of a whole data folder: each writer's entries, sealed ones out of the ledger, the rest out of journals.

The ledger is verified as it is read. Of journals only what is not sealed yet is read, and that it continues what was
sealed; whether sealed parts of journals, private parts and recordings are whole is for `vault.verification`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from gatebook.evidence.account import ALWAYS, Account, Period
from gatebook.evidence.checkpoint import open_checkpoint
from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import EntryFault, Leaf, decode_leaf, parse_time
from gatebook.evidence.events import check_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import Record
from gatebook.evidence.note import Verifier
from gatebook.evidence.tiles import decode_bundle
from gatebook.evidence.tree import TILE_WIDTH
from gatebook.evidence.verify import JournalCheck, JournalWatch, Report
from gatebook.evidence.verify_ledger import LedgerCheck
from gatebook.vault.journal import JournalReader, list_journals, list_segments, writer_lives
from gatebook.vault.ledger import CHECKPOINT, LedgerFolder
from gatebook.vault.notary import STATE, Folders


@dataclass(slots=True)
class BookAccount:
    """The accounts by writer, and how the seal stands. `report` is of the ledger and of how journals continue it.

    `sealed` is the size of the ledger, `signed_at` the time of its checkpoint's file; `not_sealed` counts entries by
    writer, of which the oldest was written at `waiting_since`.
    """

    period: Period
    accounts: dict[str, Account] = field(default_factory=dict)
    sealed: int = 0
    signed_at: datetime | None = None
    not_sealed: dict[str, int] = field(default_factory=dict)
    waiting_since: datetime | None = None
    report: Report = field(default_factory=Report)

    @property
    def ok(self) -> bool:
        """Whether everything is accounted for."""
        return all(one.ok for one in self.reports())

    def reports(self) -> list[Report]:
        """Return what was found, of the ledger first, then of each writer."""
        return [self.report, *(self.accounts[writer].report for writer in sorted(self.accounts))]


def account_for(folders: Folders, heartbeat_s: int, now: datetime, period: Period = ALWAYS) -> BookAccount:
    """Account for a data folder. Only reads; a gate may be running. `now` is aware."""
    book = _Reading(BookAccount(period), heartbeat_s)
    book.read_ledger(folders)  # first: what is sealed now is in the journals that are read afterwards
    living = {folder.name: writer_lives(folder) for folder in list_journals(folders.journals)}
    for writer, lived in living.items():
        book.read_journal(folders.journals / writer)
        # Before or after: what is open in one that ends or starts meanwhile is no gap.
        living[writer] = lived or writer_lives(folders.journals / writer)
    for writer in sorted(book.sealed.keys() - living.keys()):
        words = "the ledger has entries of it, but the journal is gone"
        book.account.report.add([Finding("journal_missing", writer, words)])
    for writer, account in book.account.accounts.items():
        account.finish(now, writer_lives=living.get(writer, False))
    return book.account


@dataclass(slots=True)
class _Sealed:
    """What the ledger has of one writer: how many entries, and the last."""

    count: int = 0
    last: bytes = b""


class _Reading:
    """Reads a book into accounts."""

    def __init__(self, account: BookAccount, heartbeat_s: int) -> None:
        self.account = account
        self.sealed: dict[str, _Sealed] = {}
        self._heartbeat_s = heartbeat_s

    def read_ledger(self, folders: Folders) -> None:
        """Verify the ledger and take its entries. What is wrong is in the report."""
        ledger, report = LedgerFolder(folders.ledger), self.account.report
        if not ledger.exists() and not (folders.notary / STATE).exists():
            return
        try:
            checkpoint = open_checkpoint(ledger.read_checkpoint(), Verifier.parse(ledger.read_vkey()))
        except EvidenceFault as fault:
            report.fault("checkpoint", fault)
            return
        self.account.sealed = checkpoint.size
        self.account.signed_at = datetime.fromtimestamp((folders.ledger / CHECKPOINT).stat().st_mtime, UTC)
        LedgerCheck(_Heard(ledger, self), checkpoint, report).check()

    def take_sealed(self, first: int, entries: Iterable[bytes]) -> None:
        """Take entries of the ledger, from entry `first` on."""
        for index, entry in enumerate(entries, first):
            leaf = self._take(f"ledger/{index}", entry)
            if leaf is not None:
                sealed = self.sealed.setdefault(str(leaf["writer"]), _Sealed())
                sealed.count += 1
                sealed.last = entry

    def read_journal(self, folder: Path) -> None:
        """Take the entries of a journal that are not sealed, which must continue those that are."""
        writer, sealed = folder.name, self.sealed.get(folder.name, _Sealed())
        # From the segment that holds the last sealed entry, or the next where that one is gone.
        begin = max((one for one in list_segments(folder) if one <= sealed.count + 1), default=0)
        if begin == sealed.count + 1 and begin > 1:
            begin = max((one for one in list_segments(folder) if one <= sealed.count), default=begin)
        watcher = JournalWatch(JournalCheck(writer, self.account.report), self.account.report)
        reached = begin - 1
        for record in JournalReader(folder, watcher, from_segment=begin).read():
            reached = record.number
            self._take_record(writer, record, sealed)
        if reached < sealed.count:
            words = f"the ledger has {sealed.count} entries of it, and it ends with entry {reached}"
            self.account.report.add([Finding("journal_shorter", writer, words)])

    def _take_record(self, writer: str, record: Record, sealed: _Sealed) -> None:
        subject, report = f"{writer}/{record.number}", self.account.report
        if record.number == sealed.count and record.leaf != sealed.last:
            words = "an entry is another than was sealed, or in another place"
            report.add([Finding("journal_differs", writer, words)])
        if record.number <= sealed.count:
            return
        if not record.link_holds:
            words = "the entry is not what its link says: it or a neighbour was changed"
            report.add([Finding("journal_link", subject, words)])
        leaf = self._take(subject, record.leaf, writer)
        if leaf is not None:
            waiting = self.account.not_sealed
            waiting[writer] = waiting.get(writer, 0) + 1
            at = parse_time(str(leaf["time"]))
            self.account.waiting_since = min(self.account.waiting_since or at, at)

    def _take(self, subject: str, data: bytes, writer: str = "") -> Leaf | None:
        """Take a leaf into the account of its writer, and return it; None if it is no leaf, or another's."""
        try:
            leaf = decode_leaf(data)
            writer = writer or str(leaf.get("writer"))
            check_leaf(leaf, writer)
        except EntryFault as fault:
            self.account.report.fault(subject, fault)
            return None
        if writer not in self.account.accounts:
            self.account.accounts[writer] = Account(writer, self._heartbeat_s, self.account.period)
        self.account.accounts[writer].add(leaf)
        return leaf


@dataclass(frozen=True, slots=True)
class _Heard:
    """A ledger that tells which entries are read."""

    ledger: LedgerFolder
    reading: _Reading

    def read(self, level: int, index: int, width: int) -> bytes:
        """See `Stored`."""
        return self.ledger.read(level, index, width)

    def read_bundle(self, index: int, width: int) -> bytes:
        """See `Stored`."""
        data = self.ledger.read_bundle(index, width)
        self.reading.take_sealed(index * TILE_WIDTH, decode_bundle(data, width))
        return data
