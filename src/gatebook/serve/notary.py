# SPDX-License-Identifier: Apache-2.0
"""The notary beside a gate: a process of its own, started again when it dies, not when it found tampering."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from gatebook.serve.child import ChildProcess
from gatebook.vault.sealing import EXIT_TAMPERED

LAST_S = 30.0  # LIMIT: for sealing what was written last

_log = structlog.get_logger("gatebook.notary")


class NotaryProcess:
    """Runs `gatebook notary`. `report` enters what happened to it: what, and what follows."""

    def __init__(self, config: Path, report: Callable[[str, str], None]) -> None:
        self._child = ChildProcess(("notary",), config, self._died, LAST_S)
        self._report = report

    async def run(self) -> None:
        """Keep it running until it is stopped, or stops for good."""
        await self._child.run()

    async def stop(self) -> None:
        """Let it seal what is there and end."""
        if not await self._child.stop():
            _log.error("the notary did not end: what was written last is sealed at the next start")

    def _died(self, status: int, again_in_s: float) -> bool:
        if status == EXIT_TAMPERED:
            _log.error("the notary stopped: evidence is not what it sealed; see `gatebook ledger verify`")
            self._report("the notary found that evidence is not what it sealed", "nothing is sealed any more")
            return False
        _log.error("the notary died", status=status, again_in_s=again_in_s)
        self._report(f"the notary died with status {status}", "it is started again")
        return True
