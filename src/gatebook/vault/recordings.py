# SPDX-License-Identifier: Apache-2.0
"""Recordings on disk: found by session id only, opened with the session's key, cut where a gateway was lost."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.private import PrivateParts
from gatebook.evidence.recording import (
    HEADER_BYTES,
    Chunk,
    ChunkOpener,
    Frame,
    RecordingFault,
    parse_header,
    read_chunks,
)
from gatebook.model.errors import quoted
from gatebook.model.secret import Secret
from gatebook.vault.keys import MAX_HEAD_BYTES
from gatebook.vault.keystore import KeyStore

SESSION = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(frozen=True, slots=True)
class Recordings:
    """The folder of recordings, and the store of the key-encryption keys if there is one at hand."""

    folder: Path
    key: KeyStore | None = None

    def path_of(self, session: str) -> Path:
        """Return where the recording of a session is. RecordingFault if it is no session id, whatever it points to."""
        if SESSION.fullmatch(session) is None:
            raise RecordingFault("session_id", f"{quoted(session)} is no session id")
        return self.folder / shard_of(session) / f"{session}.rec"

    def private_path(self, session: str) -> Path:
        """Return where the private parts of a session are whose segments were removed. RecordingFault as `path_of`."""
        return self.path_of(session).with_suffix(".private")

    def is_erased(self, session: str) -> bool:
        """Return whether the session's key file is gone: what it sealed nobody can read. RecordingFault, OSError."""
        return not self.path_of(session).with_suffix(".key").exists()

    def recording_key(self, session: str) -> Secret | None:
        """Return the session's key; None without key-encryption key, or where the recording was erased.

        KeyFault if the key file is not usable, RecordingFault if it cannot be read, KeyStoreFault as `KeyStore.unwrap`.
        """
        path = self.path_of(session).with_suffix(".key")
        if self.key is None:
            return None
        try:
            with _open(path) as file:
                return self.key.unwrap(session, file.read(MAX_HEAD_BYTES + 1))
        except FileNotFoundError:
            return None
        except OSError as fault:
            raise _unreadable(fault) from fault

    def private_parts(self, session: str) -> PrivateParts | None:
        """Return the opener of a session's private parts; None and faults as `recording_key`."""
        key = self.recording_key(session)
        return None if key is None else PrivateParts(key, session)

    def opener(self, session: str) -> ChunkOpener | None:
        """Return the opener of a session's chunks; None and faults as `recording_key`."""
        key = self.recording_key(session)
        return None if key is None else ChunkOpener(key, session)

    def chunks(self, session: str) -> Iterator[Chunk]:
        """Yield a recording's chunks, one in memory at a time. RecordingFault if it is not there or is malformed."""
        try:
            with _open(self.path_of(session)) as file:
                header = file.read(HEADER_BYTES)
                if not header:  # made, but its gateway died before it wrote anything
                    raise RecordingFault("recording_missing", "the recording is empty")
                parse_header(header, session)
                yield from read_chunks(file.read)
        except FileNotFoundError as fault:
            raise RecordingFault("recording_missing", "the recording is not there") from fault
        except OSError as fault:
            raise _unreadable(fault) from fault

    def frames(self, session: str) -> Iterator[Frame]:
        """Yield a recording's frames. EvidenceFault if there is no key for it, or what is there is not whole."""
        opener = self.opener(session)
        if opener is None:
            raise EvidenceFault(
                "key_missing",
                "there is no key for this recording",
                "see `evidence.recording_key` in the configuration; without its key file a recording is erased",
            )
        for chunk in self.chunks(session):
            yield from opener.open(chunk)

    def cut(self, session: str, end: int) -> int:
        """Cut a recording behind `end` and return how many bytes went; what is no whole header goes too.

        For sessions whose gateway was lost. RecordingFault if it cannot be cut; nothing to cut if it is not there.
        """
        try:
            descriptor = os.open(self.path_of(session), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return 0
        except OSError as fault:
            raise _unreadable(fault) from fault
        try:
            size = os.fstat(descriptor).st_size
            end = end if size >= HEADER_BYTES else 0
            if size > end:
                os.ftruncate(descriptor, end)
                os.fsync(descriptor)
            return max(0, size - end)
        finally:
            os.close(descriptor)

    def drop_torn_key(self, session: str) -> None:
        """Remove a key file that is not whole and has no recording beside it: its gateway died while making it.

        RecordingFault if it cannot be removed. A whole one stays, also under another key-encryption key.
        """
        path = self.path_of(session)
        key = path.with_suffix(".key")
        try:
            with _open(key) as file:
                torn = not file.read(MAX_HEAD_BYTES + 1).endswith(b"\n")
            if torn and not os.path.lexists(path):
                key.unlink()
        except FileNotFoundError:
            return
        except OSError as fault:
            raise _unreadable(fault) from fault

    def list_sessions(self) -> Iterator[str]:
        """Yield the ids of all recordings that are there."""
        if self.folder.is_dir():
            for path in sorted(self.folder.glob("*/*.rec")):
                if SESSION.fullmatch(path.stem) and self.path_of(path.stem) == path:
                    yield path.stem

    def list_private(self) -> Iterator[str]:
        """Yield the ids of all sessions that have a private file."""
        if self.folder.is_dir():
            for path in sorted(self.folder.glob("*/*.private")):
                if SESSION.fullmatch(path.stem) and self.private_path(path.stem) == path:
                    yield path.stem


def shard_of(session: str) -> str:
    """Return the sub-folder: the last two characters of the id, which are random and spread recordings evenly."""
    return session[-2:] if len(session) > 1 else "__"


def _open(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb")


def _unreadable(fault: OSError) -> RecordingFault:
    return RecordingFault("recording_unreadable", f"cannot be read: {(fault.strerror or 'unknown error').lower()}")
