# SPDX-License-Identifier: Apache-2.0
"""Wraps the recording keys of new sessions: at once where the key is here, beside the event loop where it is not.

A client that is not let in never makes a key store be asked: only who was admitted has a key to wrap.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from gatebook.model.secret import Secret
from gatebook.vault.keystore import KeyStore
from gatebook.vault.transit import KeyStoreFault

WRAP_S: Final = 4.5  # LIMIT: that a login waits for its key; less than half of what its client usually gives it
THREADS: Final = 8
MOST_WAITING: Final = 256  # LIMIT: logins that wait for a key at the same time; more are refused at once


class Wrapping:
    """The key store of a gate, as its event loop may ask it. Used from one loop."""

    def __init__(self, store: KeyStore) -> None:
        self._store = store
        self._waiting = 0
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="wrap") if store.is_remote else None

    def wrap_here(self, session: str, recording_key: Secret) -> bytes:
        """Return the content of a session's key file where the key is here; empty where `wrap` has to be awaited."""
        return self._store.wrap(session, recording_key) if self._threads is None else b""

    async def wrap(self, session: str, recording_key: Secret) -> bytes:
        """Return the content of a session's key file. KeyStoreFault if it cannot be had in time: then no session."""
        if self._threads is None:
            return self._store.wrap(session, recording_key)
        if self._waiting >= MOST_WAITING:
            raise KeyStoreFault(f"{MOST_WAITING} logins wait for the key store already")
        self._waiting += 1
        try:
            work = asyncio.get_running_loop().run_in_executor(self._threads, self._store.wrap, session, recording_key)
            return await asyncio.wait_for(work, WRAP_S)
        except TimeoutError as fault:
            raise KeyStoreFault(f"the key store takes longer than {WRAP_S} s") from fault
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Drop what has not begun."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
