# SPDX-License-Identifier: Apache-2.0
"""A verification of the whole book that somebody asked for: one at a time, beside all else, with its progress."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from gatebook.config import Settings
from gatebook.evidence.completeness import Finding
from gatebook.evidence.verify import Report
from gatebook.model.errors import GatebookError
from gatebook.vault.verification import verify_data
from gatebook.views.places import folders_of, recordings_of

SHOWN: Final = 100  # findings that are told; the rest are counted


class Progress(StrEnum):
    """Where a verification is."""

    NEVER = "never"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a verification stands. `checked` counts what was looked at so far, by kind."""

    progress: Progress = Progress.NEVER
    by: str = ""
    began_at: datetime | None = None
    ended_at: datetime | None = None
    checked: dict[str, int] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    accounted: tuple[Finding, ...] = ()
    more: int = 0
    words: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.progress is Progress.RUNNING


class Verification:
    """The verification of a data folder. `start` and `standing` are called from the event loop's thread."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._report = Report()
        self._last = Standing()
        self._thread: threading.Thread | None = None

    def start(self, by: str) -> Standing:
        """Begin one, unless one is running; return how it stands."""
        if self._thread is None or not self._thread.is_alive():
            self._report = Report()
            self._last = Standing(Progress.RUNNING, by, self._now())
            self._thread = threading.Thread(target=self._run, name="verification", daemon=True)
            self._thread.start()
        return self.standing()

    def standing(self) -> Standing:
        """Return how the newest one stands."""
        last = self._last
        if not last.is_running:
            return last
        return Standing(last.progress, last.by, last.began_at, checked=dict(self._report.checked))

    def _run(self) -> None:
        began, report = self._last, self._report
        words, progress = "it broke off; the log says why", Progress.FAILED
        try:
            verify_data(folders_of(self._settings), recordings_of(self._settings, need_key=False), report=report)
            words, progress = "", Progress.DONE
        except (GatebookError, OSError) as fault:
            words = str(fault)
        finally:  # whatever else it was goes to the log, and the verification has ended all the same
            self._last = Standing(
                progress,
                began.by,
                began.began_at,
                self._now(),
                dict(report.checked),
                tuple(report.findings[:SHOWN]),
                tuple(report.accounted[:SHOWN]),
                report.more + max(0, len(report.findings) - SHOWN) + max(0, len(report.accounted) - SHOWN),
                words,
            )
