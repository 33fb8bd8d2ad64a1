# SPDX-License-Identifier: Apache-2.0
"""The process beside a gate that tells people what waits for them. Whatever befalls it, the gate goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from gatebook.config import Settings
from gatebook.serve.child import ChildProcess
from gatebook.serve.notifying import LAST_S

STOP_S = 3 * LAST_S  # LIMIT: for sending what is queued; what is left goes at the next start

_log = structlog.get_logger("gatebook.notify")


class NotifyProcess:
    """Runs `gatebook notify run`. `report` enters what happened to it: what, and what follows."""

    def __init__(self, config: Path, report: Callable[[str, str], None]) -> None:
        self._child = ChildProcess(("notify", "run"), config, self._died, STOP_S)
        self._report = report

    async def run(self) -> None:
        """Keep it running until it is stopped."""
        try:
            await self._child.run()
        except OSError as fault:  # no process, no descriptor: the gate needs them more
            _log.error("notifications cannot be started", fault=str(fault))
            self._report("notifications cannot be started", "nobody is told what waits")

    async def stop(self) -> None:
        """Let it send what is queued and end."""
        if not await self._child.stop():
            _log.error("notifications did not end: what waits is sent at the next start")

    def _died(self, status: int, again_in_s: float) -> bool:
        _log.error("notifications died", status=status, again_in_s=again_in_s)
        self._report(f"notifications died with status {status}", "they are started again")
        return True


def has_work(settings: Settings) -> bool:
    """Whether there is anything to tell: to a receiver, or to the log of broken glass."""
    can_break = any(role.break_glass for target in settings.targets for role in target.roles)
    return settings.notify.follow == "serve" and (bool(settings.notify.receivers) or can_break)
