# SPDX-License-Identifier: Apache-2.0
"""An export at work: it sends what is sealed, in order, until that is acknowledged, and enters when it takes long.

SPEC: docs/spec/export.md. A process of its own: a receiver that is dead or slow holds up nobody else. The cursor moves
behind the acknowledgement only, so that a death at any moment repeats one batch at most and loses nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.entry import format_time
from gatebook.export.records import batch_lines
from gatebook.model.errors import OperatorFault
from gatebook.serve.receivers import NotAcknowledged, Receiver, TooLarge
from gatebook.vault.cursor import ExportFolder, ExportState
from gatebook.vault.journal import JournalWriter
from gatebook.vault.ledger import Disk
from gatebook.vault.outgoing import Outgoing, Piece

POLL_S: Final = 0.5  # between looks at the checkpoint: the notary seals as often
WATCH_S: Final = 1.0  # between looks at the lag while a request is under way
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 30.0
LAST_S: Final = 5.0  # LIMIT: for sending what was sealed last, when it is told to stop
BATCH_BYTES: Final = 4 << 20  # LIMIT: of entries in one request; what is held in memory is some times as much
GROW_AFTER: Final = 32  # batches acknowledged in a row, after which a size that was too large is tried again

_log = structlog.get_logger("gatebook.export")


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """How an export is sent: its name and writer, the most entries of a batch, when it lags, which kinds go."""

    name: str
    writer: str
    batch_entries: int
    lag_alarm_s: int
    events: tuple[str, ...] = ()


class Exporter:
    """One export. Its methods are called on one event loop, one at a time."""

    def __init__(
        self,
        plan: ExportPlan,
        outgoing: Outgoing,
        receiver: Receiver,
        *,
        files: ExportFolder,
        disk: Disk,
        journal: JournalWriter,
        now: Callable[[], datetime],
    ) -> None:
        self._plan = plan
        self._outgoing = outgoing
        self._receiver = receiver
        self._files = files
        self._disk = disk
        self._journal = journal
        self._now = now
        self._state = files.read_state()
        self._most = plan.batch_entries
        self._in_row = 0
        self._is_begun = files.read_cursor() is not None

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until it is told to stop, and what is sealed then. EvidenceFault, JournalUnwritable, OSError."""
        stopped: asyncio.Future[Any] = asyncio.get_running_loop().create_task(stopping.wait())
        wait_s = 0.0
        try:
            while not stopping.is_set():
                try:
                    wait_s = 0.0 if await self._send_next(stopped) else POLL_S
                except NotAcknowledged as fault:
                    wait_s = min(2 * wait_s, LONGEST_WAIT_S) if wait_s >= FIRST_WAIT_S else FIRST_WAIT_S
                    self._failed(fault)
                self._watch()
                if wait_s:
                    await self._pause(wait_s, stopped)
        finally:
            stopped.cancel()
        if not self._state.error:
            try:
                async with asyncio.timeout(LAST_S):
                    while await self._send_next(None):
                        pass
            except (TimeoutError, NotAcknowledged):
                _log.warning("entries wait for the next start", export=self._plan.name, entries=self._outgoing.behind)

    async def once(self) -> int:
        """Send what is sealed and return how many entries that were; OperatorFault if they are not all acknowledged."""
        self._begin()
        before = self._outgoing.cursor.next
        end = before + self._outgoing.behind
        try:
            while self._outgoing.cursor.next < end:
                await self._send_next(None)
        except NotAcknowledged as fault:
            self._failed(fault)
            words = f"{self._outgoing.behind} entries are not acknowledged: {fault}"
            raise OperatorFault(words, "see the receiver; nothing is lost, and the next time goes on here") from fault
        finally:
            self._watch()
        return self._outgoing.cursor.next - before

    async def _send_next(self, stopped: asyncio.Future[Any] | None) -> bool:
        """Send one batch; whether more may wait. NotAcknowledged, and nothing is moved then.

        Where the receiver finds it too large, half of it is sent, down to one entry.
        """
        self._begin()
        piece = self._outgoing.take(self._most, BATCH_BYTES)
        if not piece.entries:
            self._over()
            return False
        lines = batch_lines(self._outgoing.cursor.origin, piece.first, piece.entries, piece.hashes, self._plan.events)
        if lines:
            try:
                await self._send(lines, stopped)
            except TooLarge:
                self._in_row = 0
                if len(piece.entries) == 1:
                    raise
                self._most = len(piece.entries) // 2
                _log.warning("a batch is too large for the receiver", export=self._plan.name, entries=self._most)
                return True
        self._acknowledged(piece, sent=bool(lines))
        return True

    def _begin(self) -> None:
        """Read the checkpoint; write down at once when the export began, and with which ledger."""
        self._outgoing.refresh()
        if not self._is_begun and self._outgoing.cursor.key:
            self._files.write_cursor(self._disk, self._outgoing.cursor)
            self._is_begun = True

    async def _send(self, lines: list[bytes], stopped: asyncio.Future[Any] | None) -> None:
        """Send lines, looking at the lag meanwhile. NotAcknowledged, also where it is told to stop before."""
        sending = asyncio.get_running_loop().create_task(self._receiver.send(lines))
        ends: set[asyncio.Future[Any]] = {sending} if stopped is None else {sending, stopped}
        try:
            while not sending.done() and (stopped is None or not stopped.done()):
                await asyncio.wait(ends, timeout=WATCH_S, return_when=asyncio.FIRST_COMPLETED)
                self._watch()
            if not sending.done():
                # What is under way may end well yet: it is repeated otherwise.
                await asyncio.wait({sending}, timeout=LAST_S)
            if not sending.done():
                raise NotAcknowledged("the receiver did not answer before the export was told to stop")
            sending.result()
        finally:
            sending.cancel()

    def _acknowledged(self, piece: Piece, *, sent: bool) -> None:
        self._files.write_cursor(self._disk, self._outgoing.acknowledge(piece, sent=sent))
        if not sent:
            return
        self._over()
        self._in_row += 1
        if self._in_row >= GROW_AFTER:
            self._in_row, self._most = 0, min(2 * self._most, self._plan.batch_entries)

    def _over(self) -> None:
        if self._state.error:
            _log.info("the receiver acknowledges again", export=self._plan.name)
            self._keep(ExportState("", "", alarm=self._state.alarm))

    def _failed(self, fault: NotAcknowledged) -> None:
        if str(fault) != self._state.error:
            _log.warning("the receiver does not acknowledge", export=self._plan.name, fault=str(fault))
            self._keep(ExportState(str(fault), format_time(self._now()), alarm=self._state.alarm))

    def _watch(self) -> None:
        """Enter when entries begin to wait too long, and when that is over.

        Each is an entry, which is sealed and waits in its turn, yet begins no alarm where one is on: there are two at
        most for each time that the receiver fails and comes back. It is over at half of the time only: a receiver that
        is just too slow would fill the book.
        """
        bound_s = self._plan.lag_alarm_s / 2 if self._state.alarm else self._plan.lag_alarm_s
        is_late = self._outgoing.waiting_s() > bound_s
        if is_late == self._state.alarm:
            return
        name = self._plan.name
        if is_late:
            why = self._state.error or "it is slow"
            what = f"export {name}: entries wait for more than {self._plan.lag_alarm_s} s: {why}"
            action = "nothing is skipped; it is tried again"
        else:
            what, action = f"export {name}: entries wait no longer", "the alarm is over"
        _log.warning(what, action=action, entries=self._outgoing.behind)
        self._journal.append(builders.failure(Stamp(self._plan.writer, self._now()), what=what, action=action))
        self._keep(ExportState(self._state.error, self._state.error_at, alarm=is_late))

    def _keep(self, state: ExportState) -> None:
        self._state = state
        self._files.write_state(self._disk, state)

    async def _pause(self, seconds: float, stopped: asyncio.Future[Any]) -> None:
        """Wait, up to a half less so that several do not come at once, and look at the lag meanwhile."""
        left = seconds * random.uniform(0.5, 1.0)  # noqa: S311  no secret
        while left > 0 and not stopped.done():
            await asyncio.wait({stopped}, timeout=min(left, WATCH_S))
            left -= WATCH_S
            self._outgoing.refresh()
            self._watch()
