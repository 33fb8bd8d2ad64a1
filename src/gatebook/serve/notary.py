# SPDX-License-Identifier: Apache-2.0
"""The notary beside a gate: a process of its own, started again when it dies, not when it found tampering."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import structlog

from gatebook.vault.sealing import EXIT_TAMPERED

LAST_S = 30.0  # LIMIT: for sealing what was written last
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0

_log = structlog.get_logger("gatebook.notary")


class NotaryProcess:
    """Runs `gatebook notary`. `report` enters what happened to it: what, and what follows."""

    def __init__(self, config: Path, report: Callable[[str, str], None]) -> None:
        self._command = (sys.executable, "-m", "gatebook", "notary", "--until-input-ends", "--config", str(config))
        self._report = report
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Keep it running until it is stopped, or stops for good."""
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
                _log.error("the notary stopped: evidence is not what it sealed; see `gatebook ledger verify`")
                self._report("the notary found that evidence is not what it sealed", "nothing is sealed any more")
                return
            if asyncio.get_running_loop().time() - began > LONGEST_WAIT_S:
                wait_s = FIRST_WAIT_S
            _log.error("the notary died", status=status, again_in_s=wait_s)
            self._report(f"the notary died with status {status}", "it is started again")
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def stop(self) -> None:
        """Let it seal what is there and end."""
        self._stopping.set()
        process = self._process
        if process is None or process.returncode is not None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), LAST_S)
        except TimeoutError:
            process.kill()
            _log.error("the notary did not end: what was written last is sealed at the next start")
