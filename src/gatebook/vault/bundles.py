# SPDX-License-Identifier: Apache-2.0
"""Bundles out of a data folder: gathered from ledger, journals and recordings, sealed, written; and opened again.

SPEC: docs/spec/bundle.md. Making has an order: what is selected is read, the manifest's hash is entered, the notary
seals that entry, and only then is anything written. EvidenceFault where evidence cannot be read, OperatorFault,
OSError.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from gatebook.evidence import bundle
from gatebook.evidence.approvals import Approvals
from gatebook.evidence.bundle import Listed, Manifest
from gatebook.evidence.bundle_archive import MAX_ARCHIVE_BYTES, ArchiveWriter
from gatebook.evidence.bundle_check import count
from gatebook.evidence.bundle_entries import (
    MAX_ENTRIES,
    SESSION,
    BundleFault,
    encode_entries,
    encode_keys,
    encode_private,
)
from gatebook.evidence.bundle_page import render_page
from gatebook.evidence.bundle_policies import PolicySet, hashes_in
from gatebook.evidence.bundle_proof import make_proof
from gatebook.evidence.bundle_readme import render_readme
from gatebook.evidence.bundle_selection import Selection, Selector
from gatebook.evidence.bundle_story import tell
from gatebook.evidence.checkpoint import open_checkpoint
from gatebook.evidence.entry import Leaf, decode_leaf, format_hash, format_time
from gatebook.evidence.events import check_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Verifier
from gatebook.evidence.private import PrivateParts
from gatebook.evidence.receipt import Receipt
from gatebook.evidence.recording import HEADER_BYTES
from gatebook.evidence.tree import TILE_WIDTH, inclusion_proof
from gatebook.model.errors import OperatorFault
from gatebook.model.secret import Secret
from gatebook.vault.journal import Faults, list_journals
from gatebook.vault.ledger import LedgerFolder
from gatebook.vault.notary import Folders
from gatebook.vault.reading import BookReader
from gatebook.vault.recordings import Recordings

FILE_MODE = 0o600
PIECE_BYTES = 1 << 20
_LEARNED = (b'"event":"session.', b'"event":"evidence.purged', b'"event":"consent.given', b'"approval')


@dataclass(frozen=True, slots=True)
class Asked:
    """What a bundle is to hold, and what its manifest says of who made it, when and why."""

    selection: Selection
    made_at: datetime
    by: str
    purpose: str
    version: str
    policies: PolicySet
    with_contents: bool = False


@dataclass(slots=True)
class _Gathered:
    """What was selected. `ends` are lengths in bytes of the recordings that are there.

    `not_sealed` counts, for each writer, entries of its journal beyond the ledger of `size`.
    """

    size: int
    verifier: Verifier
    entries: dict[int, bytes] = field(default_factory=dict)
    leaves: dict[int, Leaf] = field(default_factory=dict)
    private: dict[int, bytes] = field(default_factory=dict)
    keys: dict[str, Secret] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)
    not_sealed: dict[str, int] = field(default_factory=dict)

    @property
    def sessions(self) -> list[str]:
        """Ids of the sessions that start here."""
        return sorted(str(leaf["session"]) for leaf in self.leaves.values() if leaf["event"] == "session.start")


class BundleMaker:
    """Makes one bundle: construct it, `enter` what `manifest_hash` says, `seal`, `write`."""

    def __init__(self, folders: Folders, recordings: Recordings, asked: Asked) -> None:
        """Gather what is selected. OperatorFault if that is nothing."""
        self._ledger = LedgerFolder(folders.ledger)
        self._recordings = recordings
        self._gathered = _gather(folders, self._ledger, recordings, asked.selection)
        if asked.with_contents:
            self._gathered.keys = _keys_of(recordings, self._gathered.sessions)
        self._members, self.manifest = _compose(self._gathered, asked, recordings)
        self._scanned = self._gathered.size
        self._note = b""
        self._receipt = b""
        self._hashes = b""

    @property
    def manifest_hash(self) -> str:
        """The hash that is to be entered as `evidence.exported` before `seal`."""
        return format_hash(self.manifest.encode())

    @property
    def unsettled(self) -> list[str]:
        """What is not whole in the ledger yet, and may be within a second or two.

        Sessions that ended and whose recording was not sealed then, and requests of which the ledger has not all:
        journals are sealed one after another.
        """
        events = {name: set[str]() for name in self._gathered.sessions}
        for leaf in self._gathered.leaves.values():
            if leaf.get("session") in events:
                events[str(leaf["session"])].add(str(leaf["event"]))
        late = [name for name, seen in events.items() if "session.end" in seen and "recording.sealed" not in seen]
        approvals = Approvals()
        for leaf in self._gathered.leaves.values():
            approvals.add(leaf)
        return late + [finding.subject for finding in approvals.finish()]

    def seal(self) -> bool:
        """Look whether the entry with the manifest's hash is sealed by now, and prove everything if so."""
        note = self._ledger.read_checkpoint()
        size = open_checkpoint(note, self._gathered.verifier).size
        mark = f'"manifest":"{self.manifest_hash}"'.encode()
        for index, entry in _entries(self._ledger, self._scanned, size):
            if mark in entry and decode_leaf(entry).get("event") == "evidence.exported":
                proof = tuple(inclusion_proof(self._ledger, index, size))
                self._note, self._receipt = note, Receipt(entry, index, proof, note).text()
                self._hashes = make_proof(self._ledger, sorted(self._gathered.entries), size)
                return True
        self._scanned = size
        return False

    def write(self, path: Path) -> None:
        """Write the bundle at once, for its owner only. OSError; OperatorFault if it is not sealed."""
        if not self._receipt:
            raise OperatorFault("a bundle is written once it is sealed", "see `gatebook ledger show`")
        descriptor, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                os.fchmod(file.fileno(), FILE_MODE)
                self._write(ArchiveWriter(file.write))
                file.flush()
                os.fsync(file.fileno())
            Path(beside).replace(path)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise

    def _write(self, writer: ArchiveWriter) -> None:
        whole = self._members | {
            bundle.MANIFEST: self.manifest.encode(),
            bundle.RECEIPT: self._receipt,
            bundle.CHECKPOINT: self._note,
            bundle.HASHES: self._hashes,
        }
        for name in sorted(whole, key=bundle.place_of):
            writer.add(name, len(whole[name]), zlib.crc32(whole[name]), [whole[name]])
        for session, end in sorted(self._gathered.ends.items(), key=lambda item: bundle.recording_name(item[0])):
            checksum = 0
            for piece in _pieces(self._recordings, session, end):
                checksum = zlib.crc32(piece, checksum)
            writer.add(bundle.recording_name(session), end, checksum, _pieces(self._recordings, session, end))
        writer.finish()


@contextmanager
def opened_bundle(path: Path) -> Iterator[memoryview]:
    """Give the bytes of a bundle's file. BundleFault if it is too long to be one or empty, OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not 0 < size <= MAX_ARCHIVE_BYTES:
            raise BundleFault("bundle_form", f"a bundle has not {size} bytes")
        # Not closed by us: views into it live as long as whoever verifies keeps them.
        yield memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ))


def _gather(folders: Folders, ledger: LedgerFolder, recordings: Recordings, selection: Selection) -> _Gathered:
    """Read the ledger twice, the journals once, and the heads of the recordings."""
    verifier = Verifier.parse(ledger.read_vkey())
    gathered = _Gathered(open_checkpoint(ledger.read_checkpoint(), verifier).size, verifier)
    sealed: Counter[str] = Counter()
    selector = Selector(selection)
    for _, entry in _entries(ledger, 0, gathered.size):
        if any(mark in entry for mark in _LEARNED):
            selector.learn(decode_leaf(entry))
    for index, entry in _entries(ledger, 0, gathered.size):
        leaf = decode_leaf(entry)
        writer = str(leaf.get("writer"))
        check_leaf(leaf, writer)
        sealed[writer] += 1
        if selector.wants(leaf):
            gathered.entries[index], gathered.leaves[index] = entry, leaf
            if len(gathered.entries) > MAX_ENTRIES:
                raise OperatorFault(
                    f"more than {MAX_ENTRIES:,} entries are selected", "select less, in several bundles"
                )
    if not gathered.entries:
        raise OperatorFault(
            "nothing that is sealed is selected", "see `gatebook sessions list` and `gatebook ledger show`"
        )
    _read_journals(BookReader(folders, recordings), gathered, sealed)
    chunks = Counter(str(leaf["session"]) for leaf in gathered.leaves.values() if leaf["event"] == "recording.chunk")
    for session in gathered.sessions:
        end = _end_of(recordings, session, chunks[session])
        if end:
            gathered.ends[session] = end
    return gathered


def _entries(ledger: LedgerFolder, begin: int, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the entries from `begin` to `size`, with their index."""
    for number in range(begin // TILE_WIDTH, (size + TILE_WIDTH - 1) // TILE_WIDTH):
        for at, entry in enumerate(ledger.entries(number, size)):
            if number * TILE_WIDTH + at >= begin:
                yield number * TILE_WIDTH + at, entry


def _read_journals(reader: BookReader, gathered: _Gathered, sealed: Mapping[str, int]) -> None:
    """Find the sealed private parts, wherever they are, and count what the ledger has not yet."""
    wanted = {
        gathered.entries[index]: index
        for index, leaf in gathered.leaves.items()
        if isinstance(leaf.get("private"), str)
    }
    for folder in list_journals(reader.folders.journals):
        waiting = -sealed.get(folder.name, 0)
        for record in reader.read(folder, Faults(), wanted.__contains__):
            waiting += 1
            if record.private and record.leaf in wanted:
                gathered.private[wanted[record.leaf]] = record.private
        if waiting > 0:
            gathered.not_sealed[folder.name] = waiting


def _keys_of(recordings: Recordings, sessions: Sequence[str]) -> dict[str, Secret]:
    keys = {session: recordings.recording_key(session) for session in sessions}
    return {session: key for session, key in keys.items() if key is not None}


def _end_of(recordings: Recordings, session: str, chunks: int) -> int:
    """Return the offset behind so many chunks of a recording; as far as it is whole, 0 where it is not there."""
    end = 0
    try:
        path = recordings.path_of(session)
        if path.is_file() and not path.is_symlink() and SESSION.fullmatch(session):
            end = min(path.stat().st_size, HEADER_BYTES)
            for chunk in recordings.chunks(session):
                if chunk.index >= chunks:
                    break
                end = chunk.end
    except EvidenceFault:
        return end  # what is wrong with it, whoever verifies the bundle will see
    return end


def _pieces(recordings: Recordings, session: str, end: int) -> Iterator[bytes]:
    with recordings.path_of(session).open("rb") as file:
        while end > 0 and (piece := file.read(min(end, PIECE_BYTES))):
            end -= len(piece)
            yield piece


def _compose(gathered: _Gathered, asked: Asked, recordings: Recordings) -> tuple[dict[str, bytes], Manifest]:
    """Return every member that the manifest lists but the recordings, and the manifest."""
    decided = hashes_in(gathered.leaves.values())
    sets = [asked.policies] if asked.policies.hash in decided else []
    members = {bundle.VKEY: f"{gathered.verifier.text()}\n".encode(), bundle.ENTRIES: encode_entries(gathered.entries)}
    if gathered.private:
        members[bundle.PRIVATE] = encode_private(gathered.private)
    if asked.with_contents:
        members[bundle.KEYS] = encode_keys(gathered.keys)
    for one in sets:
        members |= one.members()
    names = {name: memoryview(data) for name, data in members.items()}
    names |= {bundle.recording_name(session): memoryview(b"") for session in gathered.ends}
    manifest = Manifest(
        made=format_time(asked.made_at),
        by=asked.by,
        purpose=asked.purpose,
        version=asked.version,
        contents=bundle.DISCLOSED if asked.with_contents else bundle.SEALED,
        origin=gathered.verifier.name,
        size=gathered.size,
        selection=asked.selection,
        counts=count(gathered.leaves, names),
        not_sealed=gathered.not_sealed,
        undisclosed=tuple(sorted(set(gathered.sessions) - gathered.keys.keys())) if asked.with_contents else (),
        policies=tuple((one.hash, tuple(sorted(one.texts))) for one in sets),
        policies_missing=tuple(sorted(decided - {one.hash for one in sets})),
    )
    members[bundle.README] = render_readme(manifest, gathered.verifier)
    members[bundle.PAGE] = render_page(manifest, tell(gathered.leaves.items(), _opener(gathered)))
    return members, _with_members(manifest, members, gathered, recordings)


def _with_members(
    manifest: Manifest, members: Mapping[str, bytes], gathered: _Gathered, recordings: Recordings
) -> Manifest:
    listed = [Listed(name, len(data), format_hash(data)) for name, data in members.items()]
    for session, end in gathered.ends.items():
        digest = sha256()
        for piece in _pieces(recordings, session, end):
            digest.update(piece)
        listed.append(Listed(bundle.recording_name(session), end, f"sha256:{digest.hexdigest()}"))
    return replace(manifest, members=tuple(sorted(listed, key=lambda one: bundle.place_of(one.name))))


def _opener(gathered: _Gathered) -> Callable[[int, Leaf], Leaf]:
    """Return what opens the private parts of sessions whose keys are disclosed; what does not open is left out."""
    openers = {session: PrivateParts(key, session) for session, key in gathered.keys.items()}

    def opened(index: int, leaf: Leaf) -> Leaf:
        parts, sealed, seq = openers.get(str(leaf.get("session"))), gathered.private.get(index), leaf.get("seq")
        if parts is None or sealed is None or not isinstance(seq, int):
            return {}
        try:
            return parts.open(seq, sealed, str(leaf.get("private")))
        except EvidenceFault:
            return {}

    return opened
