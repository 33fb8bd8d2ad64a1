# SPDX-License-Identifier: Apache-2.0
"""A data folder made byte by byte, as a gate leaves it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from gatebook.model.secret import Secret
from gatebook.vault.keys import parse_key
from gatebook.vault.recordings import Recordings, shard_of
from support.evidence import KEK, SESSION, header, key_file, records

Entries = Sequence[bytes | tuple[bytes, bytes]]


def put_journal(root: Path, *segments: Entries, writer: str = "gate", padding: int = 4096) -> Path:
    """Write a journal with these segments and return its folder."""
    folder = root / writer
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "lock").touch()
    first, link = 1, bytes(32)
    for entries in segments:
        head = header(first, link, writer.encode())
        data, link = records(entries, link)
        (folder / f"{first:020}.seg").write_bytes(head + data + bytes(padding))
        first += len(entries)
    return folder


def put_recording(root: Path, data: bytes, session: str = SESSION, key: bytes | None = None) -> Path:
    """Write a recording with its key file and return its path."""
    folder = root / shard_of(session)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{session}.rec"
    path.write_bytes(data)
    path.with_suffix(".key").write_bytes(key_file(session) if key is None else key)
    return path


def recordings(root: Path) -> Recordings:
    return Recordings(root, parse_key(Secret(KEK.hex())))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a journal's lock, as its living writer does."""
    descriptor = os.open(folder / "lock", os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
