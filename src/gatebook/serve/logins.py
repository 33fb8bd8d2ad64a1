# SPDX-License-Identifier: Apache-2.0
"""Failed logins over time: who is slowed, who is turned away, and which of them the book tells one by one.

A key has 256 random bits and a token a signature, so that guessing is hopeless anyway; what is kept from a guesser is
the time of the gate, and the space of the journal. Who keeps failing under a name is slowed, from that source only: no
failure of one source locks a name for another. A source that fails under many names is slowed as a whole, but for names
that have logged in from there. A name that fails from everywhere is slowed a little for those who have not logged in
before, and turned away for nobody. Names are compared without case, and whatever the method: one counter (ID-06).

Moments are seconds of a clock that never goes back. Nothing here reads one.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

WINDOW_S: Final = 60.0
NAME_FREE: Final = 5  # failures a minute of one name from one source before it is slowed
SOURCE_FREE: Final = 20  # failures a minute of one source before it is slowed as a whole
EVERYWHERE_FREE: Final = 50  # failures a minute of one name from all sources
NAME_STEPS_S: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # between attempts, by failures beyond the free ones
SOURCE_STEP_S: Final = 0.5
EVERYWHERE_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 3.0  # LIMIT: who would have to wait longer is turned away unheard
WAITING: Final = 20  # LIMIT: attempts of one source that wait at a time; each holds a connection
ENTERED: Final = 20  # failures a minute of one source that the book tells one by one
COUNTED_S: Final = 10.0  # the rest is told by one entry for so long
SOURCES: Final = 10_000  # LIMIT: sources remembered
NAMES: Final = 10_000  # LIMIT: names remembered, per source and in all
CHECKS: Final = 32  # LIMIT: different names of checks in one count
OTHERS: Final = "others"  # who stands for sources, or checks, of which too many are counted

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Counted:
    """Failures of a source that no entry of their own tells: how many in how many seconds, by the check that failed."""

    source: str
    failures: int
    checks: tuple[tuple[str, int], ...]
    seconds: int


@dataclass(slots=True)
class _Recent:
    """Moments of the last failures; more than its length need not be known."""

    moments: deque[float]
    attempted_at: float = float("-inf")

    def add(self, moment: float) -> None:
        """Somebody failed."""
        self.moments.append(moment)
        self.attempted_at = max(self.attempted_at, moment)

    def count(self, moment: float) -> int:
        """How many within the window."""
        while self.moments and moment - self.moments[0] >= WINDOW_S:
            self.moments.popleft()
        return len(self.moments)

    def wait(self, moment: float, step_s: float) -> float:
        """Seconds until the next attempt is due, if attempts are `step_s` apart."""
        return max(0.0, self.attempted_at + step_s - moment)


@dataclass(slots=True)
class _Source:
    failed: _Recent = field(default_factory=lambda: _Recent(deque(maxlen=SOURCE_FREE)))
    told: _Recent = field(default_factory=lambda: _Recent(deque(maxlen=ENTERED)))
    waiting: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    counted_since: float = 0.0


class _Bounded(Generic[K, V]):
    """A dictionary that forgets what was used longest ago; what is forgotten is handed out."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: OrderedDict[K, V] = OrderedDict()

    def find(self, key: K) -> V | None:
        return self._items.get(key)

    def put(self, key: K, value: V) -> V | None:
        """Keep a value, and return what had to go for it."""
        self._items[key] = value
        self._items.move_to_end(key)
        return self._items.popitem(last=False)[1] if len(self._items) > self._most else None

    def drop(self, key: K) -> None:
        self._items.pop(key, None)

    def items(self) -> list[tuple[K, V]]:
        return list(self._items.items())


class Logins:
    """All counters. Bounded; used from one thread. `longest_wait_s` must be shorter than a login may take."""

    def __init__(self, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        self._longest_wait_s = min(longest_wait_s, LONGEST_WAIT_S)
        self._sources: _Bounded[str, _Source] = _Bounded(SOURCES)
        self._names: _Bounded[tuple[str, str], _Recent] = _Bounded(NAMES)
        self._everywhere: _Bounded[str, _Recent] = _Bounded(NAMES)
        self._welcome: _Bounded[tuple[str, str], float] = _Bounded(NAMES)
        self._forgotten: list[Counted] = []
        self._counting: set[str] = set()  # sources with a count that no entry has told yet

    def arrive(self, ip: str, user: str, moment: float) -> float | None:
        """Return the seconds that an attempt has to wait, or None if it is turned away unheard.

        Whoever waits calls `waited` afterwards.
        """
        source, name = source_of(ip), name_of(user)
        state, pair = self._sources.find(source), self._names.find((source, name))
        waits = [0.0]
        if pair is not None and (beyond := pair.count(moment) - NAME_FREE) >= 0:
            waits.append(pair.wait(moment, NAME_STEPS_S[min(beyond, len(NAME_STEPS_S) - 1)]))
        if self._welcome.find((source, name)) is None:
            if state is not None and state.failed.count(moment) >= SOURCE_FREE:
                waits.append(state.failed.wait(moment, SOURCE_STEP_S))
            everywhere = self._everywhere.find(name)
            if everywhere is not None and everywhere.count(moment) >= EVERYWHERE_FREE:
                waits.append(min(EVERYWHERE_WAIT_S, self._longest_wait_s))
        wait = max(waits)
        if wait > self._longest_wait_s or (wait > 0 and state is not None and state.waiting >= WAITING):
            return None
        # The next attempt is counted from when this one is heard.
        if pair is not None:
            pair.attempted_at = moment + wait
        if state is not None:
            state.failed.attempted_at = max(state.failed.attempted_at, moment + wait)
            state.waiting += wait > 0
        return wait

    def waited(self, ip: str) -> None:
        """An attempt has waited to the end."""
        state = self._sources.find(source_of(ip))
        if state is not None:
            state.waiting = max(0, state.waiting - 1)

    def succeed(self, ip: str, user: str, moment: float) -> None:
        """Somebody logged in: their name is welcome from there, and its failures are forgotten."""
        pair = (source_of(ip), name_of(user))
        self._names.drop(pair)
        self._welcome.put(pair, moment)

    def fail(self, ip: str, user: str, check: str, moment: float, *, heard: bool = True) -> bool:
        """Somebody did not; return whether the book tells it by an entry of its own. Else it is counted.

        `heard` is False for an attempt of which no credential was looked at: it slows nobody further.
        """
        source, name = source_of(ip), name_of(user)
        state = self._state_of(source, moment)
        if heard:
            state.failed.add(moment)
            _note(self._names, (source, name), NAME_FREE + len(NAME_STEPS_S), moment)
            _note(self._everywhere, name, EVERYWHERE_FREE, moment)
        is_told = state.told.count(moment) < ENTERED
        state.told.add(moment)
        if not is_told:
            self._tally(source, state, check, 1, moment)
        return is_told

    def fail_elsewhere(self, check: str, times: int, moment: float) -> None:
        """So many failed of whom nobody knows from where: they are counted as `others`."""
        self._tally(OTHERS, self._state_of(OTHERS, moment), check, times, moment)

    def take_counted(self, moment: float, *, ending: bool = False) -> list[Counted]:
        """Return the counts whose ten seconds are over, or all if the gate is ending; they begin anew."""
        taken, self._forgotten = self._forgotten, []
        for source in sorted(self._counting):
            state = self._sources.find(source)
            if state is None or not state.counted:
                self._counting.discard(source)  # forgotten meanwhile, and told among the others
            elif ending or moment - state.counted_since >= COUNTED_S:
                taken.append(_count(source, state, moment))
                state.counted.clear()
                self._counting.discard(source)
        return taken

    def _state_of(self, source: str, moment: float) -> _Source:
        state = self._sources.find(source) or _Source()
        gone = self._sources.put(source, state)
        if gone is not None and gone.counted:
            self._forgotten.append(_count(OTHERS, gone, moment))
        return state

    def _tally(self, source: str, state: _Source, check: str, times: int, moment: float) -> None:
        if not state.counted:
            state.counted_since = moment
            self._counting.add(source)
        state.counted[check if check in state.counted or len(state.counted) < CHECKS else OTHERS] += times


def _note(table: _Bounded[K, _Recent], key: K, most: int, moment: float) -> None:
    recent = table.find(key) or _Recent(deque(maxlen=most))
    recent.add(moment)
    table.put(key, recent)


def source_of(ip: str) -> str:
    """Return what counts as one source: an address, of IPv6 the network that one customer has (RFC 6177)."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def name_of(user: str) -> str:
    """Return what counts as one name."""
    return unicodedata.normalize("NFKC", user[:256]).casefold()


def _count(source: str, state: _Source, moment: float) -> Counted:
    checks = tuple(sorted(state.counted.items()))
    return Counted(source, state.counted.total(), checks, max(1, round(moment - state.counted_since)))
