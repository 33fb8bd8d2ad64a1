# SPDX-License-Identifier: Apache-2.0
"""The ledger as files: tiles, bundles and checkpoint, read by anybody and written by the notary alone.

SPEC: docs/spec/ledger.md, "Folder". Everything that is written goes through a `Disk`, so that tests can make each step
fail. What cannot be read raises LedgerFault; what cannot be written raises OSError.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.tiles import decode_bundle, entries_path, tile_path
from gatebook.evidence.tree import HASH_BYTES, TILE_WIDTH, Tile

FILE_MODE = 0o644
SECRET_MODE = 0o600
FOLDER_MODE = 0o755
SECRET_FOLDER_MODE = 0o700
CHECKPOINT = "checkpoint"
COSIGNED = "checkpoint.cosigned"
VKEY = "ledger.vkey"
STAMPS = "timestamp"
ROTATIONS = "rotation"
_STAMP = re.compile(r"(0|[1-9][0-9]{0,18})\.tsr")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})")
MAX_NOTE_BYTES = 1 << 20
SYNC_THREADS = 8
OPEN_FILES = 256  # LIMIT: written and not synced yet
MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + 65_535)


class LedgerFault(EvidenceFault):
    """A file of the ledger is missing, cannot be read, or has another length than the tree asks for."""

    code = "ledger"


class Disk(Protocol):
    """What the notary does to files, step by step. Each raises OSError where it fails; then nothing may be signed."""

    def write(self, path: Path, data: bytes) -> None:
        """Write a file anew, making folders as needed; `sync` makes it last."""

    def sync(self) -> None:
        """Sync what was written since the last call, and its folders."""

    def replace(self, path: Path, data: bytes, mode: int) -> None:
        """Put a whole file in place of another at once, making its folder as needed; on disk when this returns."""

    def sync_data(self, path: Path) -> None:
        """Sync the content of a file that somebody else writes."""

    def remove(self, path: Path) -> None:
        """Remove a file that nobody needs any more; one that is gone is none."""

    def extend(self, path: Path, at: int, data: bytes) -> None:
        """Cut a file at `at` and write behind, making it and its folder as needed; `sync` makes it last."""

    def sync_folder(self, path: Path) -> None:
        """Make last what was made and removed in a folder."""


class SystemDisk:
    """The disk. Files are synced by several threads: the file system commits what comes together as one."""

    def __init__(self) -> None:
        self._folders: set[Path] = set()
        self._written: list[int] = []
        self._threads = ThreadPoolExecutor(SYNC_THREADS, "gatebook-sync")

    def write(self, path: Path, data: bytes) -> None:
        """See `Disk`."""
        if len(self._written) >= OPEN_FILES:
            self._sync_written()
        self._make(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        self._written.append(descriptor)
        _write(descriptor, data)
        self._folders.add(path.parent)

    def sync(self) -> None:
        """See `Disk`."""
        self._sync_written()
        folders, self._folders = self._folders, set()
        for done in [self._threads.submit(sync_folder, folder) for folder in folders]:
            done.result()

    def _sync_written(self) -> None:
        written, self._written = self._written, []
        for done in [self._threads.submit(_sync_and_close, descriptor) for descriptor in written]:
            done.result()

    def replace(self, path: Path, data: bytes, mode: int) -> None:
        """See `Disk`."""
        if not path.parent.is_dir():
            path.parent.mkdir(mode=FOLDER_MODE)
            sync_folder(path.parent.parent)
        beside = path.with_name(f"{path.name}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
        try:
            _write(descriptor, data)
        finally:
            _sync_and_close(descriptor)
        beside.replace(path)
        sync_folder(path.parent)

    def sync_data(self, path: Path) -> None:
        """See `Disk`."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def remove(self, path: Path) -> None:
        """See `Disk`."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()

    def extend(self, path: Path, at: int, data: bytes) -> None:
        """See `Disk`. The file is for the owner of its folder only, whoever that is."""
        if len(self._written) >= OPEN_FILES:
            self._sync_written()
        self._make(path.parent, SECRET_FOLDER_MODE)
        # A notary under another user may do more than the folder's owner: no link must lead it elsewhere.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(path.name, flags, SECRET_MODE, dir_fd=folder)
            owner = os.fstat(folder)
        finally:
            os.close(folder)
        self._written.append(descriptor)
        self._folders.add(path.parent)
        if os.fstat(descriptor).st_uid != owner.st_uid:
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        os.ftruncate(descriptor, at)
        os.lseek(descriptor, at, os.SEEK_SET)
        _write(descriptor, data)

    def sync_folder(self, path: Path) -> None:
        """See `Disk`."""
        sync_folder(path)

    def _make(self, folder: Path, mode: int = FOLDER_MODE) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent, mode)
        folder.mkdir(mode=mode, exist_ok=True)
        self._folders.add(folder.parent)


class LedgerFolder:
    """The files of one ledger. Reads tiles for the functions of `evidence.tree`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        """Whether anything was ever published here."""
        return (self.path / CHECKPOINT).exists()

    def read(self, level: int, index: int, width: int) -> bytes:
        """Return the first `width` hashes of a tile. LedgerFault `tile_missing` if they are not all there."""
        path = self._partial_or_whole(tile_path(level, index, width), tile_path(level, index))
        data = _read(path, TILE_WIDTH * HASH_BYTES, "tile_missing")
        if len(data) < width * HASH_BYTES:
            raise LedgerFault("tile_missing", f"{_short(path)} has fewer hashes than the tree asks for")
        return data[: width * HASH_BYTES]

    def read_bundle(self, index: int, width: int) -> bytes:
        """Return the first `width` entries of a bundle. LedgerFault `tile_missing` if they are not all there."""
        path = self._partial_or_whole(entries_path(index, width), entries_path(index))
        data = _read(path, MAX_BUNDLE_BYTES, "tile_missing")
        end = 0
        for _ in range(width):
            end += 2 + int.from_bytes(data[end : end + 2])
        if end > len(data):
            raise LedgerFault("tile_missing", f"{_short(path)} has fewer entries than the tree asks for")
        return data[:end]

    def entries(self, index: int, size: int) -> list[bytes]:
        """Return the entries of a bundle, as far as a tree of `size` has them. EvidenceFault if they are not there."""
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        return decode_bundle(self.read_bundle(index, width), width)

    def read_checkpoint(self) -> bytes:
        """Return the published checkpoint. LedgerFault `checkpoint_missing`."""
        return _read(self.path / CHECKPOINT, MAX_NOTE_BYTES, "checkpoint_missing")

    def read_cosigned(self) -> bytes | None:
        """Return the newest checkpoint that a quorum of witnesses has cosigned; None where there was none yet."""
        path = self.path / COSIGNED
        return _read(path, MAX_NOTE_BYTES, "checkpoint_missing") if path.exists() else None

    def read_vkey(self) -> str:
        """Return the published verifier key. LedgerFault `checkpoint_key`."""
        data = _read(self.path / VKEY, MAX_NOTE_BYTES, "checkpoint_key")
        return data.decode("utf-8", "replace").strip()

    def stamp_paths(self, size: int) -> tuple[Path, Path]:
        """Return where the checkpoint of a size is as it was stamped, and where its time stamp."""
        folder = self.path / STAMPS
        return folder / str(size), folder / f"{size}.tsr"

    def stamped_sizes(self) -> list[int]:
        """Return the sizes of which there is a time stamp, ascending."""
        return _sizes(self.path / STAMPS, _STAMP)

    def read_handovers(self) -> list[bytes]:
        """Return the checkpoints that two keys have signed, one for each change of the key. LedgerFault."""
        folder = self.path / ROTATIONS
        return [_read(folder / str(size), MAX_NOTE_BYTES, "checkpoint_missing") for size in _sizes(folder, _SIZE)]

    def read_stamp(self, size: int) -> tuple[bytes, bytes]:
        """Return a checkpoint as it was stamped, and its time stamp. LedgerFault `timestamp_missing`."""
        note, response = self.stamp_paths(size)
        return _read(note, MAX_NOTE_BYTES, "timestamp_missing"), _read(response, MAX_NOTE_BYTES, "timestamp_missing")

    def write_tiles(self, disk: Disk, tiles: Iterable[Tile]) -> None:
        """Write tiles, full or partial."""
        for tile in tiles:
            disk.write(self.path / tile_path(tile.level, tile.index, tile.width), tile.hashes)

    def write_bundle(self, disk: Disk, index: int, width: int, bundle: bytes) -> None:
        """Write an entry bundle."""
        disk.write(self.path / entries_path(index, width), bundle)

    def drop_partials(self, disk: Disk, path: str) -> None:
        """Remove the partial forms of a tile or bundle whose full form is published; `path` is the full one's."""
        folder = self.path / f"{path}.p"
        if not folder.is_dir():
            return
        for partial in folder.iterdir():
            disk.remove(partial)
        with contextlib.suppress(OSError):  # an empty folder more harms nobody
            folder.rmdir()

    def _partial_or_whole(self, partial: str, whole: str) -> Path:
        """Return the path of the partial form, or of the whole where that is gone.

        A whole one beside a partial one may be what a killed notary had begun, and is written anew.
        """
        path = self.path / whole
        return self.path / partial if not path.exists() or (self.path / partial).exists() else path


def take_lock(path: Path) -> BinaryIO:
    """Lock a file, made as needed, until it is closed. BlockingIOError where another process has it."""
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, SECRET_MODE), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BaseException:
        file.close()
        raise
    return file


def _read(path: Path, limit: int, finding: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise LedgerFault(finding, f"{_short(path)} cannot be read: {words}") from fault
    if len(data) > limit:
        raise LedgerFault(finding, f"{_short(path)} is longer than it can be")
    return data


def _sizes(folder: Path, pattern: re.Pattern[str]) -> list[int]:
    """Return the sizes that files of a folder are named by, ascending."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return []
    return sorted(int(match[1]) for match in map(pattern.fullmatch, names) if match)


def _short(path: Path) -> str:
    """Return a path from the ledger's own folder on, where it can be told."""
    parts = path.parts
    return "/".join(parts[parts.index("tile") :]) if "tile" in parts else path.name


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_and_close(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Sync the names in a folder. OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
