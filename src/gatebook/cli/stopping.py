# SPDX-License-Identifier: Apache-2.0
"""How a command that runs beside a gate learns that it is to stop: by a signal, or by the end of its input."""

from __future__ import annotations

import os
import select
import signal
import sys


class Stop:
    """Waits for SIGINT or SIGTERM, or for the end of standard input."""

    def __init__(self, *, until_input_ends: bool) -> None:
        self._watched, told = os.pipe()
        os.set_blocking(told, False)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        self._input = [sys.stdin.fileno()] if until_input_ends else []

    def wait(self, seconds: float) -> str:
        """Wait; return why to stop, or nothing."""
        ready, _, _ = select.select([self._watched, *self._input], [], [], seconds)
        if self._watched in ready:
            return "told to stop"
        return "the gate is gone" if ready and not os.read(ready[0], 4096) else ""
