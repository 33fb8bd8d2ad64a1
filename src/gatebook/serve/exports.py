# SPDX-License-Identifier: Apache-2.0
"""The exports beside a gate: a process each, started again when it dies, not when it refuses to go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from gatebook.serve.child import ChildProcess
from gatebook.serve.exporting import LAST_S
from gatebook.vault.sealing import EXIT_TAMPERED

STOP_S = 3 * LAST_S  # LIMIT: for sending what was sealed last; what is left goes at the next start

_log = structlog.get_logger("gatebook.export")


class ExportProcess:
    """Runs `gatebook export run NAME`. `report` enters what happened to it: what, and what follows."""

    def __init__(self, config: Path, name: str, report: Callable[[str, str], None]) -> None:
        self._name = name
        self._child = ChildProcess(("export", "run", name), config, self._died, STOP_S)
        self._report = report

    async def run(self) -> None:
        """Keep it running until it is stopped, or refuses."""
        await self._child.run()

    async def stop(self) -> None:
        """Let it send what is sealed and end."""
        if not await self._child.stop():
            _log.error("the export did not end: what waits is sent at the next start", export=self._name)

    def _died(self, status: int, again_in_s: float) -> bool:
        if status == EXIT_TAMPERED:
            _log.error("the export stopped; see `gatebook export show`", export=self._name)
            self._report(f"export {self._name} refused to go on", "nothing is exported by it any more")
            return False
        _log.error("the export died", export=self._name, status=status, again_in_s=again_in_s)
        self._report(f"export {self._name} died with status {status}", "it is started again")
        return True
