# SPDX-License-Identifier: Apache-2.0
"""Sends one request to a witness and reads its answer, bounded in size and time."""

from __future__ import annotations

import time

import httpx2

from gatebook.vault.cosigning import Answer, NotAnswered

ASK_S = 5.0  # LIMIT: for one answer as a whole
STEP_S = 2.0  # LIMIT: for the connection, and between two pieces of the answer
MAX_ANSWER_BYTES = 16 << 10  # LIMIT: a hundred signature lines


class HttpAsk:
    """Asks the witness at a URL prefix, over one connection that is kept."""

    def __init__(self, url: str) -> None:
        self._url = url.removesuffix("/") + "/add-checkpoint"
        # No proxy or credential from the environment: where witnesses are is in the configuration only.
        self._client = httpx2.Client(follow_redirects=False, trust_env=False, timeout=STEP_S)

    def __call__(self, body: bytes) -> Answer:
        """See `Ask`."""
        until = time.monotonic() + ASK_S
        headers = {"content-type": "text/plain; charset=utf-8", "accept-encoding": "identity"}
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                content = bytearray()
                for piece in answer.iter_raw():
                    content += piece
                    if len(content) > MAX_ANSWER_BYTES:
                        raise NotAnswered(f"sends more than {MAX_ANSWER_BYTES} bytes")
                    if time.monotonic() > until:
                        raise NotAnswered(f"takes longer than {ASK_S:.0f} s")
                return Answer(answer.status_code, bytes(content))
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as fault:
            words = " ".join((str(fault) or type(fault).__name__).split())[:200]
            raise NotAnswered(f"cannot be reached: {words}") from fault

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
