# SPDX-License-Identifier: Apache-2.0
"""Sends one request to a witness or a time-stamp authority and reads its answer, bounded in size and time."""

from __future__ import annotations

import time

import httpx2

from gatebook.evidence.timestamp import MAX_RESPONSE_BYTES
from gatebook.vault.cosigning import OK, Answer, NotAnswered

ASK_S = 5.0  # LIMIT: for one answer as a whole
STEP_S = 2.0  # LIMIT: for the connection, and between two pieces of the answer
MAX_ANSWER_BYTES = 16 << 10  # LIMIT: a hundred signature lines
STAMP_S = 15.0  # LIMIT: for one time stamp as a whole: nothing waits for it
STAMP_STEP_S = 5.0  # LIMIT: as above, for one


class HttpAsk:
    """Asks the witness at a URL prefix, over one connection that is kept."""

    def __init__(self, url: str) -> None:
        self._url = url.removesuffix("/") + "/add-checkpoint"
        self._client = _client(STEP_S)

    def __call__(self, body: bytes) -> Answer:
        """See `Ask`."""
        kind = "text/plain; charset=utf-8"
        return _exchange(self._client, self._url, body, kind, most=MAX_ANSWER_BYTES, within_s=ASK_S)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


class HttpStamp:
    """Asks the time-stamp authority at a URL. RFC 3161, 3.4."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, query: bytes) -> bytes:
        """See `AskStamp`."""
        kind = "application/timestamp-query"
        with _client(STAMP_STEP_S) as client:
            answer = _exchange(client, self._url, query, kind, most=MAX_RESPONSE_BYTES, within_s=STAMP_S)
        if answer.status != OK:
            raise NotAnswered(f"answers with status {answer.status}")
        return answer.body


def _client(step_s: float) -> httpx2.Client:
    # No proxy or credential from the environment: who is asked is in the configuration only.
    return httpx2.Client(follow_redirects=False, trust_env=False, timeout=step_s)


def _exchange(client: httpx2.Client, url: str, body: bytes, kind: str, *, most: int, within_s: float) -> Answer:
    until = time.monotonic() + within_s
    headers = {"content-type": kind, "accept-encoding": "identity"}
    try:
        with client.stream("POST", url, content=body, headers=headers) as answer:
            content = bytearray()
            for piece in answer.iter_raw():
                content += piece
                if len(content) > most:
                    raise NotAnswered(f"sends more than {most} bytes")
                if time.monotonic() > until:
                    raise NotAnswered(f"takes longer than {within_s:.0f} s")
            return Answer(answer.status_code, bytes(content))
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as fault:
        words = " ".join((str(fault) or type(fault).__name__).split())[:200]
        raise NotAnswered(f"cannot be reached: {words}") from fault
