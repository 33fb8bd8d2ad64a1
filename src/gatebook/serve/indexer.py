# SPDX-License-Identifier: Apache-2.0
"""The indexer beside a gate: keeps the search index up with the ledger. Whatever befalls it, the gate goes on."""

from __future__ import annotations

from pathlib import Path

import structlog

from gatebook.serve.child import ChildProcess

LAST_S = 5.0  # LIMIT: for a batch that is under way

_log = structlog.get_logger("gatebook.indexer")


class IndexerProcess:
    """Runs `gatebook index follow`."""

    def __init__(self, config: Path) -> None:
        self._child = ChildProcess(("index", "follow"), config, self._died, LAST_S)

    async def run(self) -> None:
        """Keep it running until it is stopped."""
        try:
            await self._child.run()
        except OSError as fault:  # no process, no descriptor: the gate needs them more
            _log.error("the indexer cannot be started", fault=str(fault))

    async def stop(self) -> None:
        """Let it end; what it has not taken up is taken up later."""
        await self._child.stop()

    def _died(self, status: int, again_in_s: float) -> bool:
        _log.error("the indexer died", status=status, again_in_s=again_in_s)
        return True
