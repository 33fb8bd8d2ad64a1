# SPDX-License-Identifier: Apache-2.0
"""What the entries of one writer account for: its runs, sessions, operations, logins, recordings and failures.

Fed with the leaves of one writer in their order, from wherever they were read; holds a few numbers, and some for each
session that is open. What is wrong comes from the checks of a verification (`evidence.verify`), and of `evidence.runs`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import Leaf, parse_time
from gatebook.evidence.runs import Runs
from gatebook.evidence.verify import JournalCheck, Report

MAX_FAILURES = 20  # LIMIT: that are named, the newest; all are counted

_EVENTS = {
    "gateway.start": "starts",
    "notary.start": "starts",
    "gateway.stop": "stops",
    "notary.stop": "stops",
    "heartbeat": "heartbeats",
    "session.start": "sessions opened",
    "session.end": "sessions ended",
    "session.lost": "sessions lost",
    "operation.held": "operations held",
    "operation.intent": "operations intended",
    "operation.refused": "operations refused",
    "operation.outcome": "outcomes",
    "recording.sealed": "recordings sealed",
    "failure": "failures",
}
_FINDINGS = {"run_without_stop": "runs without stop", "seq_missing": "seq gaps", "seq_twice": "seq twice"}


@dataclass(frozen=True, slots=True)
class Period:
    """The time that is accounted for; what is None has no bound. `begin` is included, `end` is not; both aware."""

    begin: datetime | None = None
    end: datetime | None = None

    def has(self, at: datetime) -> bool:
        """Whether a moment is in it."""
        return (self.begin is None or at >= self.begin) and (self.end is None or at < self.end)


ALWAYS = Period()


@dataclass(slots=True)
class _Within(Report):
    """A report that takes what is found while it is open, of no subject in `beyond`; it counts what it takes."""

    is_open: bool = True
    beyond: frozenset[str] = frozenset()
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, findings: Iterable[Finding]) -> None:
        """See `Report`."""
        taken = [one for one in findings if self.is_open and one.subject not in self.beyond]
        self.counts.update(_FINDINGS[one.name] for one in taken if one.name in _FINDINGS)
        Report.add(self, taken)


@dataclass(slots=True)
class _Session:
    began: datetime
    running: int = 0


class Account:
    """The account of one writer. A name that is not in `counts` was not seen.

    `is_running`: a run is open and its writer lives. Then what else is open is no gap: `sessions open`, `operations
    open`, `recordings open`. Where no writer lives it is `sessions without end`, `operations without outcome`,
    `recordings unsealed`.
    """

    def __init__(self, writer: str, heartbeat_s: int, period: Period = ALWAYS) -> None:
        self.writer = writer
        self.period = period
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.runs = Runs(writer, heartbeat_s)
        self.failures: deque[tuple[datetime, str, str]] = deque(maxlen=MAX_FAILURES)
        self.is_running = False
        self._report = _Within()
        self._check = JournalCheck(writer, self._report)
        self._sessions: dict[str, _Session] = {}
        self._recordings: dict[str, bool] = {}  # not sealed: whether the session is over

    @property
    def report(self) -> Report:
        """What was found."""
        return self._report

    @property
    def counts(self) -> Counter[str]:
        """How many of what, within the period."""
        return self._report.counts

    def add(self, leaf: Leaf) -> None:
        """Take the next leaf, which must have passed `events.check_leaf`."""
        at = parse_time(str(leaf["time"]))
        is_within = self._report.is_open = self.period.has(at)
        self._check.leaf(leaf)
        self._report.add(self.runs.add(leaf, at, counted=is_within))
        without_outcome = self._follow_session(leaf, at)
        if is_within:
            self.first, self.last = self.first or at, at
            self._count(leaf, at)
            self.counts["operations without outcome"] += without_outcome

    def finish(self, now: datetime, *, writer_lives: bool) -> None:
        """Say what is open at the end: while the writer lives it is no gap. `now` is aware."""
        within, end = self._report, self.period.end
        within.is_open = True
        within.beyond = frozenset(
            name for name, session in self._sessions.items() if end is not None and session.began >= end
        )
        self._check.finish(writer_lives=writer_lives)
        # Of a run that began behind the period nothing is told; of its silence now, only where now is in the period.
        began = self.runs.began
        if began is not None and (end is None or (began < end and (now < end or not writer_lives))):
            within.add(self.runs.finish(now, writer_lives=writer_lives))
        self.is_running = writer_lives and self.runs.began is not None
        for name, session in self._sessions.items():
            if name not in within.beyond:
                self.counts["sessions open" if writer_lives else "sessions without end"] += 1
                self.counts["operations open" if writer_lives else "operations without outcome"] += session.running
        for name, is_over in self._recordings.items():
            if name not in within.beyond:
                self.counts["recordings unsealed" if is_over and not writer_lives else "recordings open"] += 1

    def _follow_session(self, leaf: Leaf, at: datetime) -> int:
        """Follow a session and its recording; return how many operations its end left without outcome."""
        event, name = leaf["event"], str(leaf.get("session"))
        session = self._sessions.get(name)
        if event == "session.start":
            self._sessions[name] = _Session(at)
            self._recordings[name] = False
        elif event == "recording.sealed":
            self._recordings.pop(name, None)
        elif session is not None and event == "operation.intent":
            session.running += 1
        elif session is not None and event == "operation.outcome":
            session.running -= session.running > 0 and leaf.get("execution", 1) == 1
        elif event in {"session.end", "session.lost"}:
            if name in self._recordings:
                self._recordings[name] = True
            ended = self._sessions.pop(name, None)
            return ended.running if ended is not None else 0
        return 0

    def _count(self, leaf: Leaf, at: datetime) -> None:
        event = str(leaf["event"])
        self.counts["entries"] += 1
        if event in _EVENTS:
            self.counts[_EVENTS[event]] += 1
        if event == "authn":
            self.counts["logins accepted" if leaf["result"] == "accepted" else "logins refused"] += 1
        elif event == "authn.counted":
            failures = leaf["failures"]
            self.counts["logins counted"] += failures if isinstance(failures, int) else 0
        elif event == "failure":
            self.failures.append((at, str(leaf["what"]), str(leaf["action"])))
