# SPDX-License-Identifier: Apache-2.0
"""Where an export goes: an HTTP receiver or a file. Each acknowledges a whole batch, or nothing of it.

SPEC: docs/spec/export.md, "Sending".
"""

from __future__ import annotations

import asyncio
import os
import re
import stat
from pathlib import Path
from typing import Final, Protocol

from gatebook.config import ConfigFault, Secrets, Settings
from gatebook.config.exports import FILE
from gatebook.config.secrets import SecretRef
from gatebook.config.settings import ExportSettings
from gatebook.serve.posting import NotAcknowledged, Poster

__all__ = ["FileReceiver", "HttpReceiver", "NotAcknowledged", "Receiver", "TooLarge", "make_receiver"]

TOO_LARGE: Final = 413
FILE_MODE: Final = 0o600
_TOKEN: Final = re.compile(r"[!-~]{1,8192}")


class TooLarge(NotAcknowledged):
    """The receiver takes smaller batches only."""


class Receiver(Protocol):
    """Takes batches of lines, one at a time.

    `send` returns when all of them are kept for good where they went, and raises NotAcknowledged where that is not
    known: they are sent again then. It may be cancelled at any moment, which is NotAcknowledged too.
    """

    async def send(self, lines: list[bytes]) -> None:
        """Send a batch and wait until it is acknowledged."""

    async def close(self) -> None:
        """Let go of connections."""


def make_receiver(export: ExportSettings, settings: Settings) -> Receiver:
    """Return the receiver of an export. Nothing is opened yet."""
    folder = settings.path.parent
    if export.url.startswith(FILE):
        return FileReceiver(folder / export.url.removeprefix(FILE))
    return HttpReceiver(export.url, export.token, export.tls_roots, Secrets.beside(folder))


class HttpReceiver:
    """Posts batches to a URL, over a connection that is kept."""

    def __init__(self, url: str, token: SecretRef | None, tls_roots: Path | None, secrets: Secrets) -> None:
        self._url = url
        self._token = token
        self._secrets = secrets
        self._poster = Poster(tls_roots)

    async def send(self, lines: list[bytes]) -> None:
        """See `Receiver`."""
        headers = {"content-type": "application/x-ndjson"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._read_token(self._token)}"
        answer = await self._poster.post(self._url, headers, b"".join(lines))
        if answer.status == TOO_LARGE:
            raise TooLarge(f"the receiver answers with status {TOO_LARGE}: the batch is too large")
        if not answer.is_success:
            raise NotAcknowledged(f"the receiver answers with status {answer.status}")

    async def close(self) -> None:
        """See `Receiver`."""
        await self._poster.close()

    def _read_token(self, reference: SecretRef) -> str:
        try:
            token = self._secrets.read(reference).reveal().decode("latin-1")
        except ConfigFault as fault:
            raise NotAcknowledged(fault.message) from fault
        if _TOKEN.fullmatch(token) is None:
            raise NotAcknowledged("the token is not 1 to 8192 printable ASCII characters without a space")
        return token


class FileReceiver:
    """Appends batches to a file, which is on disk before a batch counts as acknowledged.

    It is opened by its path for each batch, so that it may be renamed away in between. What a crash left of a line is
    ended by a newline; the whole line comes again behind it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, lines: list[bytes]) -> None:
        """See `Receiver`."""
        try:
            await asyncio.to_thread(self._append, b"".join(lines))
        except OSError as fault:
            raise NotAcknowledged(
                f"the file cannot be written: {(fault.strerror or 'unknown error').lower()}"
            ) from fault

    async def close(self) -> None:
        """See `Receiver`."""

    def _append(self, data: bytes) -> None:
        is_new = not self._path.exists()
        # Not blocking: a pipe in its place must not hang the export.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, FILE_MODE)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise NotAcknowledged("the file is no regular file")
            if found.st_size and os.pread(descriptor, 1, found.st_size - 1) != b"\n":
                data = b"\n" + data
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
