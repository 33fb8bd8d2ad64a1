# SPDX-License-Identifier: Apache-2.0
"""A `gatebook` command that runs beside a gate as a process of its own: started again when it dies, ended with it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0


class ChildProcess:
    """Runs `gatebook <words> --until-input-ends`.

    `died`, given the exit status and after how many seconds it would be started again, says whether it is. `last_s` is
    the time it gets to finish when it is told to end.
    """

    def __init__(self, words: tuple[str, ...], config: Path, died: Callable[[int, float], bool], last_s: float) -> None:
        self._command = (sys.executable, "-m", "gatebook", *words, "--until-input-ends", "--config", str(config))
        self._died = died
        self._last_s = last_s
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep it running until it is stopped, or ends for good."""
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            began = asyncio.get_running_loop().time()
            # Its standard input is never written: it ends with this process, however that ends.
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=sys.stderr, start_new_session=True
            )
            status = await self._process.wait()
            if self._stopping.is_set():
                return
            if asyncio.get_running_loop().time() - began > LONGEST_WAIT_S:
                wait_s = FIRST_WAIT_S
            if not self._died(status, wait_s):
                return
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def stop(self) -> bool:
        """Let it finish and end; whether it did by itself."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return True
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), self._last_s)
        except TimeoutError:
            process.kill()
            return False
        return True
