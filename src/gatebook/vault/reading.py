# SPDX-License-Identifier: Apache-2.0
"""The journals of a data folder read whole: what the notary removed of them comes from the ledger and private files.

SPEC: docs/spec/journal.md, "Reading across it". Safe beside a gate and a notary that are at work: what is removed while
it is read is found where it went.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gatebook.evidence.checkpoint import open_checkpoint
from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import JournalFault, Position, Record
from gatebook.evidence.note import Verifier
from gatebook.evidence.removal import MARK, Removal, parse_removal
from gatebook.evidence.rotation import WRITER
from gatebook.evidence.tree import TILE_WIDTH
from gatebook.vault.journal import JournalReader, Watcher
from gatebook.vault.ledger import LedgerFault, LedgerFolder
from gatebook.vault.notary import Folders
from gatebook.vault.private_files import PrivateFiles
from gatebook.vault.recordings import Recordings

_PRIVATE = b'"private":"sha256:'
_LENGTH = struct.Struct(">I")

Wants = Callable[[bytes], bool]
"""Says whether the private part of a leaf is wanted."""


class BookReader:
    """Reads all journals of a data folder, one after another.

    `key` is the notary's, where another is not to be trusted than that of `ledger.vkey`.
    """

    def __init__(self, folders: Folders, recordings: Recordings, key: str = "") -> None:
        self._key = key
        self.folders = folders
        self.recordings = recordings
        self.ledger = LedgerFolder(folders.ledger)

    def read(self, folder: Path, watcher: Watcher, wants: Wants) -> Iterator[Record]:
        """Yield all entries of a journal; of removed segments with the private parts that are wanted."""
        return self._read(folder, watcher, wants, None)

    def follow(self, folder: Path, watcher: Watcher) -> JournalReader:
        """Return a reader of a journal that may be asked again for what has come since; without private parts."""
        files = PrivateFiles(self.recordings, folder.name, watcher.fault, all_wanted=False)
        entries = WriterEntries(self.ledger, folder.name, self._key)
        removed = _Removed(folder.name, entries, files, watcher, wants=lambda _: False, removals=None)
        return JournalReader(folder, watcher, fill=removed.fill)

    def verify(self, folder: Path, watcher: Watcher, removals: Removals) -> Iterator[Record]:
        """Yield all entries of a journal; only removals that are told make up for a segment that is not there.

        Their links are computed; the watcher is told what does not give them, and of private parts that are damaged.
        """
        return self._read(folder, watcher, lambda _: True, removals)

    def _read(self, folder: Path, watcher: Watcher, wants: Wants, removals: Removals | None) -> Iterator[Record]:
        files = PrivateFiles(self.recordings, folder.name, watcher.fault, all_wanted=removals is not None)
        entries = WriterEntries(self.ledger, folder.name, self._key)
        removed = _Removed(folder.name, entries, files, watcher, wants=wants, removals=removals)
        try:
            yield from JournalReader(folder, watcher, fill=removed.fill).read()
        finally:
            files.close()


class WriterEntries:
    """The entries of one writer in the ledger, in their order."""

    def __init__(self, ledger: LedgerFolder, writer: str, key: str = "") -> None:
        self._ledger = ledger
        self._key = key
        self._end = f'"writer":"{writer}"}}'.encode()  # the last member of every canonical leaf
        self._size = 0
        self._index = 0
        self._number = 1  # of the writer's next entry

    def read(self, begin: int, until: int) -> Iterator[bytes]:
        """Yield the writer's entries `begin` to below `until`, as far as they are sealed. EvidenceFault."""
        if begin < self._number:
            self._index, self._number = 0, 1
        while self._number < until:
            if self._index >= self._size:
                self._size = read_size(self._ledger, self._key)
                if self._index >= self._size:
                    return
            for entry in self._rest_of_bundle():
                self._index += 1
                if entry.endswith(self._end):
                    self._number += 1
                    if self._number > begin:
                        yield entry
                    if self._number >= until:
                        return

    def _rest_of_bundle(self) -> list[bytes]:
        bundle, at = divmod(self._index, TILE_WIDTH)
        try:
            return self._ledger.entries(bundle, self._size)[at:]
        except LedgerFault:
            self._size = read_size(
                self._ledger, self._key
            )  # the notary may just have put a whole one in place of a partial
            return self._ledger.entries(bundle, self._size)[at:]


class Removals:
    """What the ledger tells of removed segments, by writer and first entry. `met` counts those that were read."""

    def __init__(self, ledger: LedgerFolder, key: str = "") -> None:
        self._ledger = ledger
        self.key = key
        self.met = 0
        self._size = 0
        self._known: dict[tuple[str, int], Removal] = {}
        self.faults: list[tuple[str, EvidenceFault]] = []

    def take(self, entries: Iterable[bytes], size: int) -> None:
        """Take the entries that a ledger of `size` has of removed segments; others of the kind are passed over."""
        for entry in entries:
            try:
                leaf = decode_leaf(entry)
                if leaf.get("writer") != WRITER or leaf.get("event") != "journal.removed":
                    continue
                removal = parse_removal(leaf)
            except EvidenceFault as fault:
                self.faults.append((WRITER, fault))
                continue
            told = self._known.setdefault((removal.journal, removal.first), removal)
            if told != removal:  # told twice after a crash, it is the same
                words = "two entries tell of this removed segment, and differ"
                self.faults.append((f"{removal.journal}/{removal.first}", JournalFault("removal_differs", words)))
        self._size = max(self._size, size)

    def of(self, writer: str, first: int) -> Removal | None:
        """Return the removal of the segment that began with an entry; looks at what was sealed since. EvidenceFault."""
        if (writer, first) not in self._known:
            size = read_size(self._ledger, self.key)
            for bundle in range(self._size // TILE_WIDTH, (size + TILE_WIDTH - 1) // TILE_WIDTH):
                begin = max(0, self._size - bundle * TILE_WIDTH)
                self.take((one for one in self._ledger.entries(bundle, size)[begin:] if MARK in one), 0)
            self._size = max(self._size, size)
        return self._known.get((writer, first))


class _Removed:
    """The removed part of one journal."""

    def __init__(
        self,
        writer: str,
        entries: WriterEntries,
        files: PrivateFiles,
        watcher: Watcher,
        *,
        wants: Wants,
        removals: Removals | None,
    ) -> None:
        self._writer = writer
        self._entries = entries
        self._files = files
        self._watcher = watcher
        self._wants = wants
        self._removals = removals
        self.lacks = False  # whether a private part was not there

    def fill(self, begin: Position, until: int) -> Iterator[Record]:
        """See `Fill`."""
        self._files.begin = begin.number
        try:
            if self._removals is None:
                yield from self._untold(begin.number, until)
            else:
                yield from self._told(begin, until, self._removals)
        except EvidenceFault as fault:
            self._watcher.fault(f"{self._writer}/{begin.number}", fault)

    def _untold(self, begin: int, until: int) -> Iterator[Record]:
        """Whatever the ledger has; links are for who verifies."""
        for number, leaf in enumerate(self._entries.read(begin, until), begin):
            private, is_told = self._find(leaf, number)
            yield _record(number, leaf, private, b"", is_told=is_told)

    def _find(self, leaf: bytes, number: int) -> tuple[bytes, bool]:
        """Return the private part of an entry, and where there is none whether that is told."""
        place = self._place_of(leaf)
        if place is None:
            return b"", False
        private, is_told = self._files.find(place[0], number, place[1])
        self.lacks = self.lacks or not private
        return private, is_told

    def _place_of(self, leaf: bytes) -> tuple[str, int] | None:
        """Return session and seq of a leaf whose private part is wanted; None for others."""
        if _PRIVATE not in leaf or not self._wants(leaf):
            return None
        try:
            members = decode_leaf(leaf)
        except EvidenceFault:
            return None  # whoever reads the leaf meets it
        session, seq = members.get("session"), members.get("seq")
        if not isinstance(members.get("private"), str) or not isinstance(session, str):
            return None
        return (session, seq) if isinstance(seq, int) and not isinstance(seq, bool) and seq >= 0 else None

    def _told(self, begin: Position, until: int, removals: Removals) -> Iterator[Record]:
        """Segment after segment whose removal is told, with their links."""
        place = begin
        while place.number < until:
            removal = removals.of(self._writer, place.number)
            if removal is None or removal.last >= until:
                return
            if removal.before != place.link:
                self._differs(removal, "does not continue the segment before")
            link, number, self.lacks = removal.before, removal.first - 1, False
            for number, leaf in enumerate(self._entries.read(removal.first, removal.last + 1), removal.first):
                private, is_told = self._find(leaf, number)
                link = hashlib.sha256(link + _LENGTH.pack(len(leaf)) + leaf + private).digest()
                end = removal.after if number == removal.last else link
                yield _record(number, leaf, private, end, is_told=is_told)
            if number != removal.last:
                return
            if not self.lacks and link != removal.after:
                self._differs(removal, "its leaves and private parts do not give the link that it ended with")
            removals.met += 1
            place = Position(0, number + 1, removal.after)

    def _differs(self, removal: Removal, words: str) -> None:
        subject = f"{self._writer}/{removal.first}"
        self._watcher.fault(subject, JournalFault("removal_differs", f"the removed segment {words}"))


def _record(number: int, leaf: bytes, private: bytes, link: bytes, *, is_told: bool) -> Record:
    return Record(
        number=number,
        leaf=leaf,
        private=private,
        link=link,
        link_holds=True,
        end=Position(0, number + 1, link),
        lacks_private=is_told,
    )


def read_size(ledger: LedgerFolder, key: str = "") -> int:
    """Return the size of the published checkpoint; 0 where nothing was ever published. EvidenceFault."""
    if not ledger.exists():
        return 0
    return open_checkpoint(ledger.read_checkpoint(), Verifier.parse(key or ledger.read_vkey())).size
