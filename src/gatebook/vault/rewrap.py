# SPDX-License-Identifier: Apache-2.0
"""Rewraps the key files of recordings under the current key, one by one, while a gate may be running.

A key file that is erased meanwhile stays erased: the new one takes its place by an exchange of names, which fails where
there is nothing to exchange. After a crash half way a file holds its old content or its new one, and whatever lies
beside it is removed at the next run.
"""

from __future__ import annotations

import ctypes
import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gatebook.evidence.faults import EvidenceFault
from gatebook.model.errors import OperatorFault
from gatebook.vault.keys import MAX_HEAD_BYTES, parse_key_file
from gatebook.vault.keystore import KeyRing
from gatebook.vault.recordings import SESSION, Recordings
from gatebook.vault.transit import KeyStoreFault

BESIDE: Final = ".rewrap-"  # of names that a key file has while it is made
MAX_FAULTS: Final = 100  # LIMIT: that are told one by one

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


@dataclass(slots=True)
class Rewrapped:
    """What came of it: files rewrapped, files that were under the current key already, files erased meanwhile."""

    rewrapped: int = 0
    current: int = 0
    erased: int = 0
    failed: int = 0
    faults: list[tuple[str, EvidenceFault]] = field(default_factory=list)

    def fail(self, session: str, fault: EvidenceFault) -> None:
        """Count a file that stays as it was."""
        self.failed += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append((session, fault))


def rewrap(recordings: Recordings, ring: KeyRing, tell: Callable[[int], None] = lambda _count: None) -> Rewrapped:
    """Rewrap every key file that is not under the current key; `tell` is called with how many were looked at.

    A file that cannot be opened is counted and left as it is. KeyStoreFault where a key store does not answer,
    OperatorFault where files cannot be written: what was done by then stays done, and it may be called again.
    """
    done = Rewrapped()
    for count, path in enumerate(_key_files(recordings.folder), 1):
        session = path.stem
        try:
            _rewrap_file(path, session, ring, done)
        except KeyStoreFault:
            raise
        except EvidenceFault as fault:
            done.fail(session, fault)
        except OSError as fault:
            words = (fault.strerror or "unknown error").lower()
            raise OperatorFault(f"the key file of {session} cannot be written: {words}", "see the disk") from fault
        tell(count)
    return done


def _rewrap_file(path: Path, session: str, ring: KeyRing, done: Rewrapped) -> None:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:
            head = file.read(MAX_HEAD_BYTES + 1)
    except FileNotFoundError:
        done.erased += 1
        return
    if not head or parse_key_file(session, head).kek == ring.id:  # a gate has just made it, and is about to write
        done.current += 1
        return
    if _replace(path, ring.wrap(session, ring.unwrap(session, head))):
        done.rewrapped += 1
    else:
        done.erased += 1


def _replace(path: Path, content: bytes) -> bool:
    """Put content in the place of a file, whole and synced; whether the file was still there."""
    descriptor, beside = tempfile.mkstemp(prefix=f"{BESIDE}{path.stem}-", dir=path.parent)  # for its owner only
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            exchange(Path(beside), path)
        except FileNotFoundError:
            return False
    finally:
        Path(beside).unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def exchange(one: Path, other: Path) -> None:
    """Exchange the names of two files at once. FileNotFoundError if one is not there, OSError.

    Linux 3.15 and glibc 2.28 have it; Python has no door to it. A rename would bring back a file that was just erased.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        if number == errno.EINVAL:
            number = errno.ENOTSUP  # so a file system answers that cannot
        raise OSError(number, os.strerror(number), str(one))


def _key_files(folder: Path) -> Iterator[Path]:
    """Yield the key files; what a crash left beside them is removed."""
    for left in folder.glob(f"*/{BESIDE}*"):
        left.unlink(missing_ok=True)
    for path in sorted(folder.glob("*/*.key")):
        if SESSION.fullmatch(path.stem):
            yield path
