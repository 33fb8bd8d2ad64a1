# SPDX-License-Identifier: Apache-2.0
"""Posting to receivers outside: one POST within bounds of time and size, and the status that came back.

No redirect is followed, nothing is taken from the environment, and what the answer holds is not used.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2

REQUEST_S: Final = 30.0  # LIMIT: for a request as a whole, from the connection to the end of the answer
CONNECT_S: Final = 5.0
MAX_ANSWER_BYTES: Final = 64 << 10  # LIMIT: what is in it is not used
MAX_RETRY_AFTER_S: Final = 3600.0  # LIMIT: who asks for more gets this


class NotAcknowledged(Exception):
    """What was sent was not acknowledged; the message is one line that an operator understands."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and how long the receiver asked to be left alone (0: it did not)."""

    status: int
    retry_after_s: float = 0.0

    @property
    def is_success(self) -> bool:
        """Whether what was sent is acknowledged."""
        return 200 <= self.status < 300


class Poster:
    """Posts over connections that are kept. One request at a time."""

    def __init__(self, tls_roots: Path | None) -> None:
        self._tls_roots = tls_roots
        self._client: httpx2.AsyncClient | None = None

    async def post(self, url: str, headers: Mapping[str, str], content: bytes) -> Answer:
        """Post, and return the answer once it is complete. NotAcknowledged, which never has the URL, for none."""
        client = self._client = self._client or self._open()
        sent = {"accept-encoding": "identity", **headers}
        try:
            async with (
                asyncio.timeout(REQUEST_S),
                client.stream("POST", url, content=content, headers=sent) as answer,
            ):
                size = 0
                async for piece in answer.aiter_raw():
                    size += len(piece)
                    if size > MAX_ANSWER_BYTES:
                        raise NotAcknowledged(f"the receiver answers with more than {MAX_ANSWER_BYTES} bytes")
        except TimeoutError as fault:
            raise NotAcknowledged(f"the receiver takes longer than {REQUEST_S:.0f} s") from fault
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as fault:
            raise NotAcknowledged(f"the receiver cannot be reached: {one_line(fault, url)}") from fault
        return Answer(answer.status_code, retry_after_s(answer.headers.get("retry-after", ""), datetime.now(UTC)))

    async def close(self) -> None:
        """Let go of connections."""
        if self._client is not None:
            await self._client.aclose()

    def _open(self) -> httpx2.AsyncClient:
        try:
            context = ssl.create_default_context(cafile=self._tls_roots)
        except (OSError, ssl.SSLError) as fault:
            raise NotAcknowledged(f"the roots of the receiver cannot be read: {one_line(fault)}") from fault
        # No proxy or credential from the environment: where evidence goes is in the configuration only.
        timeout = httpx2.Timeout(REQUEST_S, connect=CONNECT_S)
        return httpx2.AsyncClient(verify=context, follow_redirects=False, trust_env=False, timeout=timeout)


def retry_after_s(value: str, now: datetime) -> float:
    """Return the seconds of `retry-after` (RFC 9110, section 10.2.3), bounded; 0 where there is no good one."""
    if value.isascii() and value.isdigit():
        return min(float(value[:9]), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if moment.tzinfo is None:
        return 0.0
    return min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def one_line(fault: BaseException, url: str = "") -> str:
    """Return what a fault says, in one line, without the URL: of some receivers it is the credential."""
    words = str(fault) or type(fault).__name__
    if url:
        parts = urlsplit(url)
        for secret in (url, f"{parts.path}?{parts.query}", parts.path, parts.query):
            if len(secret) > 1:
                words = words.replace(secret, "its address")
    return " ".join(words.split())[:200]
