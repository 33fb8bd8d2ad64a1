# SPDX-License-Identifier: Apache-2.0
"""Where an export goes: an HTTP receiver or a file. Each acknowledges a whole batch, or nothing of it.

SPEC: docs/spec/export.md, "Sending".
"""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import stat
from pathlib import Path
from typing import Final, Protocol

import httpx2

from gatebook.config import ConfigFault, Secrets, Settings
from gatebook.config.exports import FILE
from gatebook.config.secrets import SecretRef
from gatebook.config.settings import ExportSettings

REQUEST_S: Final = 30.0  # LIMIT: for a batch as a whole, from the connection to the end of the answer
CONNECT_S: Final = 5.0
MAX_ANSWER_BYTES: Final = 64 << 10  # LIMIT: what is in it is not used
TOO_LARGE: Final = 413
FILE_MODE: Final = 0o600
_TOKEN: Final = re.compile(r"[!-~]{1,8192}")


class NotAcknowledged(Exception):
    """A batch was not acknowledged; the message is one line that an operator understands."""


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
        self._tls_roots = tls_roots
        self._secrets = secrets
        self._client: httpx2.AsyncClient | None = None

    async def send(self, lines: list[bytes]) -> None:
        """See `Receiver`."""
        headers = {"content-type": "application/x-ndjson", "accept-encoding": "identity"}
        if self._token is not None:
            headers["authorization"] = f"Bearer {self._read_token(self._token)}"
        client = self._client = self._client or self._open()
        try:
            async with (
                asyncio.timeout(REQUEST_S),
                client.stream("POST", self._url, content=b"".join(lines), headers=headers) as answer,
            ):
                size = 0
                async for piece in answer.aiter_raw():
                    size += len(piece)
                    if size > MAX_ANSWER_BYTES:
                        raise NotAcknowledged(f"the receiver answers with more than {MAX_ANSWER_BYTES} bytes")
        except TimeoutError as fault:
            raise NotAcknowledged(f"the receiver takes longer than {REQUEST_S:.0f} s") from fault
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as fault:
            raise NotAcknowledged(f"the receiver cannot be reached: {_line(fault)}") from fault
        if answer.status_code == TOO_LARGE:
            raise TooLarge(f"the receiver answers with status {TOO_LARGE}: the batch is too large")
        if not answer.is_success:
            raise NotAcknowledged(f"the receiver answers with status {answer.status_code}")

    async def close(self) -> None:
        """See `Receiver`."""
        if self._client is not None:
            await self._client.aclose()

    def _read_token(self, reference: SecretRef) -> str:
        try:
            token = self._secrets.read(reference).reveal().decode("latin-1")
        except ConfigFault as fault:
            raise NotAcknowledged(fault.message) from fault
        if _TOKEN.fullmatch(token) is None:
            raise NotAcknowledged("the token is not 1 to 8192 printable ASCII characters without a space")
        return token

    def _open(self) -> httpx2.AsyncClient:
        try:
            context = ssl.create_default_context(cafile=self._tls_roots)
        except (OSError, ssl.SSLError) as fault:
            raise NotAcknowledged(f"the roots of the receiver cannot be read: {_line(fault)}") from fault
        # No proxy or credential from the environment: where evidence goes is in the configuration only.
        timeout = httpx2.Timeout(REQUEST_S, connect=CONNECT_S)
        return httpx2.AsyncClient(verify=context, follow_redirects=False, trust_env=False, timeout=timeout)


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


def _line(fault: BaseException) -> str:
    return " ".join((str(fault) or type(fault).__name__).split())[:200]
