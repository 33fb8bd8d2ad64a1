# SPDX-License-Identifier: Apache-2.0
"""Time stamps of checkpoints: a thread asks authorities now and then, and the notary takes what has come.

SPEC: docs/spec/ledger.md, "Time stamps". Nothing waits for an authority: one that hangs or lies costs a stamp, and
after a while an entry. Only what is published is stamped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cryptography import x509
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

from gatebook.evidence.timestamp import Proven, TimestampFault, verify_timestamp
from gatebook.model.errors import quoted
from gatebook.vault.cosigning import News, NotAnswered
from gatebook.vault.ledger import FILE_MODE, Disk, LedgerFolder

OUTAGE_S = 60.0  # a stamp that is due for longer is entered
FIRST_RETRY_S = 2.0
LONGEST_RETRY_S = 300.0

AskStamp = Callable[[bytes], bytes]
"""Sends a TimeStampReq and returns what was answered. NotAnswered where nothing was. Called from one thread."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A time-stamp authority that is asked; `policy` is the OID under which it must stamp, if any."""

    name: str
    ask: AskStamp
    roots: Sequence[x509.Certificate]
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A checkpoint of `size` as it was published, the answer to it, what that proves, and who gave it."""

    size: int
    note: bytes
    response: bytes
    proven: Proven
    authority: str


@dataclass(frozen=True, slots=True)
class _Work:
    size: int
    note: bytes


class Stamper:
    """Gets checkpoints stamped. Methods are called from the notary's thread; none waits."""

    def __init__(
        self,
        authorities: Sequence[Authority] = (),
        every_s: float = 3600.0,
        *,
        last: tuple[int, float] = (0, -1.0),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it; `last` is the size that was stamped last, and how many seconds ago (negative: never)."""
        self._authorities = authorities
        self._every_s = every_s
        self._clock = clock
        self._stamped_size = last[0]
        self._due_at = clock() if last[1] < 0 else clock() + max(0.0, every_s - last[1])
        self._failing_since: float | None = None
        self._retry_s = 0.0
        self._trouble = ""
        self._outage = False
        self._changed = threading.Condition()
        self._newest: _Work | None = None
        self._done: list[Stamped] = []
        self._closed = False

    def start(self) -> None:
        """Start asking, where there is anybody to ask."""
        if self._authorities:
            threading.Thread(target=self._work, name="timestamps", daemon=True).start()

    def close(self) -> None:
        """Ask no more. A request under way ends by itself."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def offer(self, size: int, note: bytes) -> None:
        """Say what is published now."""
        with self._changed:
            if self._newest is None or self._newest.note != note:
                self._newest = _Work(size, note)
                self._changed.notify_all()

    def take(self) -> list[Stamped]:
        """Return the stamps that have come; each once."""
        with self._changed:
            taken, self._done = self._done, []
            return taken

    def news(self) -> list[News]:
        """Return what is to be entered and logged; each once."""
        with self._changed:
            since = self._failing_since
            late = since is not None and self._clock() - since > OUTAGE_S
            if late == self._outage:
                return []
            self._outage = late
            if late:
                return [News(f"no time stamp: {self._trouble}", "sealing goes on; authorities are asked again")]
            return [News("time stamps come again", "the outage is over")]

    def _work(self) -> None:
        """The thread."""
        while (work := self._wait_for_work()) is not None:
            stamped, trouble = self._ask(work)
            with self._changed:
                if stamped is not None:
                    self._done.append(stamped)
                    self._stamped_size = work.size
                    self._due_at = self._clock() + self._every_s
                    self._failing_since, self._retry_s, self._trouble = None, 0.0, ""
                    continue
                self._trouble = trouble
                self._failing_since = self._clock() if self._failing_since is None else self._failing_since
                self._retry_s = min(2 * self._retry_s, LONGEST_RETRY_S) if self._retry_s else FIRST_RETRY_S
                self._due_at = self._clock() + self._retry_s

    def _wait_for_work(self) -> _Work | None:
        """Wait until something newer is there and a stamp is due; None when it is over."""
        with self._changed:
            while not self._closed:
                left = self._due_at - self._clock()
                newest = self._newest
                if left <= 0 and newest is not None and newest.size > self._stamped_size:
                    return newest
                self._changed.wait(left if left > 0 else LONGEST_RETRY_S)
        return None

    def _ask(self, work: _Work) -> tuple[Stamped | None, str]:
        """Ask one authority after the other; the first good stamp, or what went wrong."""
        troubles: list[str] = []
        for authority in self._authorities:
            try:
                response, proven = ask_stamp(authority, work.note)
            except NotAnswered as said:
                troubles.append(f"{authority.name} {said}")
            except TimestampFault as fault:
                troubles.append(f"{authority.name} gave no good stamp: {fault.finding}: {fault.message}")
            except Exception as fault:  # noqa: BLE001  the thread must outlive whatever an answer does to a parser
                troubles.append(f"{authority.name} cannot be asked: {quoted(str(fault))}")
            else:
                return Stamped(work.size, work.note, response, proven, authority.name), ""
        return None, "; ".join(troubles)


def fails_with(words: str) -> AskStamp:
    """Return how an authority is asked that cannot be: NotAnswered with these words, each time."""

    def ask(_: bytes) -> bytes:
        raise NotAnswered(words)

    return ask


def ask_stamp(authority: Authority, data: bytes) -> tuple[bytes, Proven]:
    """Have bytes stamped; the answer, and what it proves. NotAnswered, TimestampFault."""
    request = (
        TimestampRequestBuilder()
        .data(data)
        .hash_algorithm(HashAlgorithm.SHA256)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    response = authority.ask(request.as_bytes())
    return response, verify_timestamp(response, data, authority.roots, authority.policy, request.nonce)


def keep_stamp(disk: Disk, ledger: LedgerFolder, stamped: Stamped) -> None:
    """Put a stamp and the bytes that it is of into the ledger, in this order: there is no stamp of nothing. OSError."""
    note, response = ledger.stamp_paths(stamped.size)
    disk.replace(note, stamped.note, FILE_MODE)
    disk.replace(response, stamped.response, FILE_MODE)


def last_stamp(ledger: LedgerFolder, now_s: float) -> tuple[int, float]:
    """Return the size that was stamped last, and how many seconds ago by the file's time; (0, -1) for never."""
    sizes = ledger.stamped_sizes()
    if not sizes:
        return 0, -1.0
    try:
        return sizes[-1], max(0.0, now_s - ledger.stamp_paths(sizes[-1])[1].stat().st_mtime)
    except OSError:
        return 0, -1.0
