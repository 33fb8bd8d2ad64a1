# SPDX-License-Identifier: Apache-2.0
"""Decisions that take long, made beside the event loop, so that those that do not are answered meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

# Bytes of text from which on a decision is long: some milliseconds, of which a batch may hold several.
LONG_BYTES: Final = 4 * 1024


class Aside:
    """One thread, which principals share by turns: whoever asks much waits for themselves. Used from one event loop."""

    def __init__(self) -> None:
        # More threads would not be faster, as they share the interpreter, and the loop would wait for each of them.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="aside")
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, principal: str, work: Callable[[], T]) -> T:
        """Return what the work returns, or raise what it raises, once it is the principal's turn."""
        turn = self._turns.setdefault(principal, asyncio.Lock())
        async with turn:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        """Drop what has not begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)
