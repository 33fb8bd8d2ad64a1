# SPDX-License-Identifier: Apache-2.0
"""A gate that refuses while no quorum of witnesses cosigns: it looks once a second, and goes on by itself.

SPEC: docs/spec/ledger.md, "A gate that refuses". Deny is what one gets by doing nothing: until the first quorum is seen
everything new is refused, also at the start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gatebook.config import Settings
from gatebook.evidence.cosignature import CosignerKey
from gatebook.model.decision import Refused
from gatebook.vault.ledger import LedgerFolder
from gatebook.vault.quorum import QuorumWatch

POLL_S = 1.0
CODE = "evidence.unwitnessed"

_log = structlog.get_logger("gatebook")


class WitnessGuard:
    """Halts a gate while its newest quorum is too old. Lives on the gateway's loop.

    `halt` is told the refusal, or None; `report` enters what happened and what follows.
    """

    def __init__(
        self,
        watch: QuorumWatch,
        grace_s: float,
        *,
        halt: Callable[[Refused | None], None],
        report: Callable[[str, str], None],
        now_s: Callable[[], float],
    ) -> None:
        self._watch = watch
        self._grace_s = grace_s
        self._halt = halt
        self._report = report
        self._now_s = now_s
        self._age_s = -1
        self._halted: bool | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(POLL_S)
            self.look()

    def look(self) -> None:
        """Look once. A cosignature that is as far in the future as it may be old is no younger than that."""
        at = self._watch.cosigned_at()
        age_s = None if at is None else abs(self._now_s() - at)
        self._age_s = -1 if age_s is None else int(age_s)
        halted = age_s is None or age_s > self._grace_s
        if halted == self._halted:
            return
        was, self._halted = self._halted, halted
        if halted:
            words = "yet" if age_s is None else f"for {self._age_s} s"
            message = f"no quorum of witnesses has cosigned the ledger {words}"
            self._halt(Refused(CODE, f"{message}, so nothing new begins", "try again later"))
            self._tell(message, "nothing new is let in or run until one has")
        elif was:
            self._halt(None)
            self._tell("a quorum of witnesses cosigns the ledger again", "the gate goes on")

    def metrics(self) -> dict[str, int]:
        """Return the counters for Prometheus. May be called from any thread."""
        return {"witnessed_age_s": self._age_s, "halted": int(bool(self._halted))}

    def _tell(self, what: str, action: str) -> None:
        _log.warning(what, action=action)
        self._report(what, action)


def make_guard(
    settings: Settings,
    *,
    halt: Callable[[Refused | None], None],
    report: Callable[[str, str], None],
    now_s: Callable[[], float],
) -> WitnessGuard | None:
    """Return the guard of a configuration; None where the policy is to alarm. EvidenceFault for a key that is none."""
    ledger = settings.ledger
    if ledger.witness_policy != "refuse":
        return None
    keys = [CosignerKey.parse(one.key) for one in ledger.witnesses]
    watch = QuorumWatch(LedgerFolder(settings.ledger_path), settings.ledger_origin, keys, ledger.witness_quorum)
    return WitnessGuard(watch, ledger.witness_grace_s, halt=halt, report=report, now_s=now_s)
