# SPDX-License-Identifier: Apache-2.0
"""How a process beside a gate is told to end: by a signal, or by the end of its standard input."""

from __future__ import annotations

import asyncio
import os
import signal
import sys


def stop_when_told(*, until_input_ends: bool) -> asyncio.Event:
    """Return an event that is set by SIGINT, SIGTERM, or where that is asked for the end of standard input.

    Called once, on the loop of the process.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    if until_input_ends:
        watched = sys.stdin.fileno()

        def read() -> None:
            if not os.read(watched, 4096):
                loop.remove_reader(watched)
                stopping.set()

        loop.add_reader(watched, read)
    return stopping
