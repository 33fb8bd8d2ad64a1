# SPDX-License-Identifier: Apache-2.0
"""The notary: seals the journals of all writers into one ledger and signs a checkpoint of it.

SPEC: docs/spec/ledger.md, "Notary". One process per data folder. Whatever goes wrong ends it: a disk that fails by
OSError, evidence that is not what was sealed by Tampered. It starts again from what is on disk, by the same code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint, sign
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import segment_name
from gatebook.evidence.note import Signer, countersign, parse_note
from gatebook.evidence.removal import decode_kept, encode_kept
from gatebook.evidence.rotation import WRITER, is_signed
from gatebook.evidence.sealed import Place, Sealed, decode_sealed
from gatebook.evidence.tiles import entries_path, tile_path
from gatebook.evidence.tree import EMPTY_ROOT, TILE_WIDTH, Frontier, Tile
from gatebook.evidence.witnessed import Seen, decode_seen, encode_seen
from gatebook.model.errors import OperatorFault, quoted
from gatebook.vault.cosigning import Witnesses
from gatebook.vault.journal import list_journals, list_segments, writer_lives
from gatebook.vault.ledger import (
    CHECKPOINT,
    COSIGNED,
    FILE_MODE,
    ROTATIONS,
    SECRET_MODE,
    VKEY,
    Disk,
    LedgerFolder,
    take_lock,
)
from gatebook.vault.rotating import KEY, ROTATION, Wish, check_key, entered_rotations, foreign_rotation, read_wish
from gatebook.vault.sealing import JournalTail, Tampered, audit, audit_last_segment

BATCH_ENTRIES = 1 << 17  # LIMIT: sealed under one checkpoint; more waits for the next
TORN_PASSES = 8  # passes that a record may stay unfinished while its writer lives
STATE = "state"
REMOVED = "removed"
WITNESSES = "witnesses"


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a notary reads and writes."""

    journals: Path
    ledger: Path
    notary: Path


@dataclass(frozen=True, slots=True)
class Sealing:
    """What one pass did: entries sealed, and the size of the tree now."""

    entries: int
    size: int


class NotaryBusy(OperatorFault):
    """Another notary seals this data folder."""

    code = "notary"


class Notary:
    """One notary. `close` gives its lock back."""

    def __init__(
        self, disk: Disk, lock: BinaryIO, folders: Folders, signer: Signer, *, sealed: Sealed, witnesses: Witnesses
    ) -> None:
        self._disk = disk
        self._lock = lock
        self._folders = folders
        self._signer = signer
        self._wish: Wish | None = None  # while it is there, both keys sign
        self._ledger = LedgerFolder(folders.ledger)
        self._sealed = sealed
        self._witnesses = witnesses
        self._published = b""
        self._cosigned: bytes | None = None
        self._seen = witnesses.seen()
        self._bundle = b""
        self._torn: dict[str, int] = {}
        self._kept = read_kept(folders)

    @property
    def vkey(self) -> str:
        """The key with which its checkpoints are verified."""
        return self._signer.verifier.text()

    @property
    def size(self) -> int:
        """Entries sealed."""
        return self._sealed.size

    @property
    def published(self) -> bytes:
        """The checkpoint as it is published."""
        return self._published

    @property
    def folders(self) -> Folders:
        """Where it reads and writes."""
        return self._folders

    @property
    def vouched(self) -> int:
        """Entries below the newest checkpoint that is published and, where there are witnesses, has its quorum."""
        if not self._witnesses.are_there:
            return self._sealed.size
        return 0 if self._cosigned is None else Checkpoint.parse(parse_note(self._cosigned).text).size

    @property
    def places(self) -> Mapping[str, Place]:
        """How far each journal is sealed."""
        return self._sealed.writers

    def kept(self, writer: str) -> Place:
        """Return where the part of a journal begins that was not removed."""
        return self._kept.get(writer, Place())

    def forget(self, writer: str, kept: Place) -> None:
        """Remember that what stands before a place is removed from now on: on disk when this returns. OSError."""
        removed = self._kept | {writer: kept}
        self._disk.replace(self._folders.notary / REMOVED, encode_kept(removed), SECRET_MODE)
        self._kept = removed

    @classmethod
    def open(cls, folders: Folders, origin: str, seed: bytes, disk: Disk, witnesses: Witnesses | None = None) -> Notary:
        """Take the lock, read key and state, and publish what was signed and not published.

        `seed` becomes the key where there is none and nothing was ever sealed; `witnesses` are asked from here on until
        it is closed. NotaryBusy where another notary runs,
        Tampered where state, checkpoint and tiles contradict each other, OSError.
        """
        folders.notary.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            lock = take_lock(folders.notary / "lock")
        except BlockingIOError as fault:
            words = f"another notary seals this data folder ({quoted(str(folders.notary))})"
            raise NotaryBusy(words, "let it, or stop it first") from fault
        try:
            return cls._open(folders, origin, seed, disk, lock=lock, witnesses=witnesses or Witnesses())
        except BaseException:
            lock.close()
            raise

    @classmethod
    def _open(
        cls, folders: Folders, origin: str, seed: bytes, disk: Disk, *, lock: BinaryIO, witnesses: Witnesses
    ) -> Notary:
        sealed = _read_state(folders)
        signer = _read_key(folders, origin, seed, disk, is_new=sealed is None)
        ledger = LedgerFolder(folders.ledger)
        folders.ledger.mkdir(mode=0o755, parents=True, exist_ok=True)
        if sealed is None:
            if ledger.exists():
                raise Tampered("notary_state", "there is a ledger, but the notary's state is gone")
            checkpoint = sign(Checkpoint(origin, 0, EMPTY_ROOT), signer)
            sealed = Sealed(0, EMPTY_ROOT, checkpoint, {})
            disk.replace(folders.notary / STATE, sealed.encode(), SECRET_MODE)
        check_key(signer, entered_rotations(folders.journals / WRITER), read_wish(folders.notary))
        notary = cls(disk, lock, folders, signer, sealed=sealed, witnesses=witnesses)
        notary._check_published()
        for writer, place in sealed.writers.items():
            audit_last_segment(folders.journals / writer, place)
        notary._load_bundle()
        disk.replace(folders.ledger / VKEY, f"{notary.vkey}\n".encode(), FILE_MODE)
        witnesses.offer(sealed.checkpoint, notary._published)
        notary.publish()
        witnesses.start(ledger)
        return notary

    def seal(self) -> Sealing:
        """Seal what was written since, at most `BATCH_ENTRIES`. Tampered, OSError: nothing was signed then."""
        frontier = Frontier.load(self._ledger, self._sealed.size)
        published = frontier.partials()
        writers = dict(self._sealed.writers)
        done: list[str] = []
        journals = list_journals(self._folders.journals)
        for folder in journals:
            place = writers.pop(folder.name, Place())
            tail = JournalTail(folder, place)
            if not tail.is_there():
                raise Tampered("journal_changed", f"{folder.name}/{place.segment}: what was sealed is cut or gone")
            self._take(tail, frontier, done, BATCH_ENTRIES - (frontier.size - self._sealed.size))
            if tail.place != place:
                self._sync(folder, place, tail.place)
            writers[folder.name] = tail.place
            self._watch_torn(tail)
        missing = self._sealed.writers.keys() - {folder.name for folder in journals}
        if missing:
            raise Tampered("journal_changed", f"{min(missing)}: the journal is gone")
        entries = frontier.size - self._sealed.size
        if entries:
            self._sign(frontier, published, writers, done)
        else:
            self.publish()
        return Sealing(entries, self._sealed.size)

    def publish(self) -> None:
        """Publish the newest checkpoint with the cosignatures that have come, where that changes anything. OSError."""
        note = self._witnesses.signed(self._sealed.checkpoint)
        if note != self._published:
            self._disk.replace(self._folders.ledger / CHECKPOINT, note, FILE_MODE)
            self._published = note
        cosigned = self._witnesses.quorate()
        if cosigned not in {None, self._cosigned}:
            self._disk.replace(self._folders.ledger / COSIGNED, cosigned or b"", FILE_MODE)
            self._cosigned = cosigned
        seen = self._witnesses.seen()
        if seen != self._seen:
            self._disk.replace(self._folders.notary / WITNESSES, encode_seen(seen), SECRET_MODE)
            self._seen = seen

    def begin_rotation(self, wish: Wish) -> None:
        """Sign with both keys from here on, and let the entry of this change be sealed. Tampered for another's key."""
        if wish.old != self.vkey or wish.signer.name != self._signer.name:
            raise Tampered("notary_state", "the wish for another key is not for this one")
        self._wish = wish

    def hand_over(self) -> None:
        """Give the old key up, once a tree with the entry is signed by both. May be called again after a crash.

        Each file is readable under the new key before the key itself is replaced, and under the old one until then.
        """
        wish, ledger = self._wish, self._folders.ledger
        assert wish is not None, "it was begun"
        checkpoint = open_checkpoint(self._sealed.checkpoint, wish.signer.verifier)
        handover = ledger / ROTATIONS / str(checkpoint.size)
        self._disk.replace(handover, self._sealed.checkpoint, FILE_MODE)
        self._witnesses.countersign(wish.signer)
        self.publish()
        if self._cosigned is not None and not is_signed(self._cosigned, wish.signer.verifier):
            self._cosigned = countersign(self._cosigned, wish.signer)
            self._disk.replace(ledger / COSIGNED, self._cosigned, FILE_MODE)
        self._disk.replace(self._folders.notary / KEY, f"{wish.signer.text()}\n".encode(), SECRET_MODE)
        self._signer, self._wish = wish.signer, None
        self._disk.replace(ledger / VKEY, f"{self.vkey}\n".encode(), FILE_MODE)
        self.forget_wish()

    def forget_wish(self) -> None:
        """Remove the wish for another key, which is done. OSError."""
        self._disk.remove(self._folders.notary / ROTATION)

    def audit(self) -> Iterator[None]:
        """Read again all that is sealed; yields now and then. Tampered if a byte of it is another."""
        for writer, place in sorted(self._sealed.writers.items()):
            yield from audit(self._folders.journals / writer, place, partial(self.kept, writer))

    def close(self) -> None:
        """Ask no witness any more, and give the lock back."""
        self._witnesses.close()
        self._lock.close()

    def _take(self, tail: JournalTail, frontier: Frontier, done: list[str], room: int) -> None:
        """Write what a journal has, tile by tile, into the frontier; `done` gets the full tiles' paths."""
        while room > 0 and (piece := tail.take(min(room, TILE_WIDTH - frontier.size % TILE_WIDTH))) is not None:
            room -= piece.count
            if foreign_rotation(piece.bundle, self._wish):
                raise Tampered(
                    "notary_key", f"{tail.folder.name}: an entry changes the notary's key, which nobody asked it"
                )
            self._bundle += piece.bundle
            full = list(frontier.append(piece.hashes))
            if full:
                index = frontier.size // TILE_WIDTH - 1
                self._ledger.write_bundle(self._disk, index, TILE_WIDTH, self._bundle)
                self._ledger.write_tiles(self._disk, full)
                done += [entries_path(index), *(tile_path(tile.level, tile.index) for tile in full)]
                self._bundle = b""

    def _sync(self, folder: Path, before: Place, after: Place) -> None:
        """Sync each segment that was read."""
        for first in list_segments(folder):
            if before.segment <= first <= after.segment:
                self._disk.sync_data(folder / segment_name(first))

    def _sign(self, frontier: Frontier, published: list[Tile], writers: Mapping[str, Place], done: list[str]) -> None:
        # What a published checkpoint needs is never written again, not even the same: a kill would leave it cut.
        self._ledger.write_tiles(self._disk, [tile for tile in frontier.partials() if tile not in published])
        width = frontier.size % TILE_WIDTH
        if width:
            self._ledger.write_bundle(self._disk, frontier.size // TILE_WIDTH, width, self._bundle)
        self._disk.sync()
        root = frontier.root()
        checkpoint = sign(Checkpoint(self._signer.verifier.name, frontier.size, root), self._signer)
        if self._wish is not None:
            checkpoint = countersign(checkpoint, self._wish.signer)
        sealed = Sealed(frontier.size, root, checkpoint, dict(writers))
        self._disk.replace(self._folders.notary / STATE, sealed.encode(), SECRET_MODE)
        # Killed before this line the checkpoint never was; behind it, it is published at the next start.
        self._sealed = sealed
        # Not before: a witness must never have seen a checkpoint that a killed notary does not know.
        self._witnesses.offer(checkpoint)
        self._witnesses.wait()
        self.publish()
        for path in done:
            self._ledger.drop_partials(self._disk, path)

    def _watch_torn(self, tail: JournalTail) -> None:
        """Stop where bytes behind the sealed place stay no record: a writer that lives finishes in milliseconds."""
        name = tail.folder.name
        if not tail.torn or not writer_lives(tail.folder):  # what a crash left, the writer's next start sets aside
            self._torn.pop(name, None)
            return
        self._torn[name] = self._torn.get(name, 0) + 1
        if self._torn[name] >= TORN_PASSES:
            raise Tampered("journal_torn", f"{name}/{tail.place.number}: {tail.torn}")

    def _check_published(self) -> None:
        """The tiles must give the state's root, and nothing newer or else may be published."""
        sealed, verifier = self._sealed, self._signer.verifier
        try:
            ours = open_checkpoint(sealed.checkpoint, verifier)
            root = Frontier.load(self._ledger, sealed.size).root()
            note = self._ledger.read_checkpoint() if self._ledger.exists() else sealed.checkpoint
            published = open_checkpoint(note, verifier)
            cosigned = self._ledger.read_cosigned()
            witnessed = ours if cosigned is None else open_checkpoint(cosigned, verifier)
        except EvidenceFault as fault:
            raise Tampered(fault.finding, fault.message, fault.hint) from fault
        if (ours.size, ours.root) != (sealed.size, sealed.root):
            raise Tampered("notary_state", "the notary's state is not what its checkpoint says")
        if root != sealed.root:
            raise Tampered("ledger_root", "the tiles do not give the root that was signed")
        for one in (published, witnessed):
            if one != ours and one.size >= ours.size:
                raise Tampered("checkpoint_unknown", "a checkpoint is published that the notary's state is behind")
        if published == ours and self._ledger.exists():
            self._published = note
        self._cosigned = cosigned

    def _load_bundle(self) -> None:
        width = self._sealed.size % TILE_WIDTH
        if width:
            self._bundle = self._ledger.read_bundle(self._sealed.size // TILE_WIDTH, width)


def read_seen(notary: Path) -> dict[str, Seen]:
    """Return what a notary remembers of its witnesses; nothing where it cannot be read."""
    try:
        return decode_seen((notary / WITNESSES).read_bytes())
    except OSError:
        return {}


def _read_state(folders: Folders) -> Sealed | None:
    try:
        data = (folders.notary / STATE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return decode_sealed(data)
    except EvidenceFault as fault:
        raise Tampered(fault.finding, fault.message) from fault


def read_kept(folders: Folders) -> dict[str, Place]:
    """Return where the part of each journal begins that was not removed, for those of which some was. Tampered."""
    try:
        return decode_kept((folders.notary / REMOVED).read_bytes())
    except FileNotFoundError:
        return {}
    except EvidenceFault as fault:
        raise Tampered(fault.finding, fault.message) from fault


def _read_key(folders: Folders, origin: str, seed: bytes, disk: Disk, *, is_new: bool) -> Signer:
    path = folders.notary / KEY
    try:
        text = path.read_text("utf-8").strip()
    except FileNotFoundError as fault:
        if not is_new:
            hint = "put it back from where it is kept; without it the ledger cannot go on"
            raise OperatorFault(f"the notary's key {quoted(str(path))} is gone", hint) from fault
        signer = Signer.make(origin, seed)
        disk.replace(path, f"{signer.text()}\n".encode(), SECRET_MODE)
        return signer
    signer = Signer.parse(text)
    if signer.verifier.name != origin:
        raise OperatorFault(
            f"the ledger's origin is {quoted(signer.verifier.name)}, not {quoted(origin)}",
            "set `ledger.origin` to what it was: another origin is another ledger",
        )
    return signer
