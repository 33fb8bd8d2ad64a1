# SPDX-License-Identifier: Apache-2.0
"""The exports beside a gate: a process each, started again when it dies, not when it refuses to go on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from gatebook.serve.exporting import LAST_S
from gatebook.vault.sealing import EXIT_TAMPERED

STOP_S = 3 * LAST_S  # LIMIT: for sending what was sealed last; what is left goes at the next start
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0

_log = structlog.get_logger("gatebook.export")


class ExportProcess:
    """Runs `gatebook export run NAME`. `report` enters what happened to it: what, and what follows."""

    def __init__(self, config: Path, name: str, report: Callable[[str, str], None]) -> None:
        self._name = name
        self._command = (
            *(sys.executable, "-m", "gatebook", "export", "run", name),
            *("--until-input-ends", "--config", str(config)),
        )
        self._report = report
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep it running until it is stopped, or refuses."""
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
            if status == EXIT_TAMPERED:
                _log.error("the export stopped; see `gatebook export show`", export=self._name)
                self._report(f"export {self._name} refused to go on", "nothing is exported by it any more")
                return
            if asyncio.get_running_loop().time() - began > LONGEST_WAIT_S:
                wait_s = FIRST_WAIT_S
            _log.error("the export died", export=self._name, status=status, again_in_s=wait_s)
            self._report(f"export {self._name} died with status {status}", "it is started again")
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def stop(self) -> None:
        """Let it send what is sealed and end."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            _log.error("the export did not end: what waits is sent at the next start", export=self._name)
