# SPDX-License-Identifier: Apache-2.0
"""Whether anything is missing: sequence within sessions, operations without outcome, sessions without end.

SPEC: docs/spec/entry.md, "Completeness". Fed with the leaves of one journal in their order; holds a few numbers per
session that has not ended, so that a journal of any length can be checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gatebook.evidence.entry import Leaf

MAX_DIGITS = 16  # of 2^53
MAX_NAMED = 20  # LIMIT: numbers named in one finding


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a verification must tell. `name` is stable; `subject` is a session, segment or file.

    An `accounted` one is told and known: the book itself says what happened (a session lost with its gateway). It
    does not make a verification fail; every other does.
    """

    name: str
    subject: str
    words: str
    accounted: bool = False


@dataclass(slots=True)
class OpenSession:
    """What is remembered of a session until it ends: `running` operations have no outcome, `held` ones no decision."""

    id: str
    next_seq: int = 0
    started: bool = False
    running: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    newest: int = 0

    @property
    def last_seq(self) -> int | None:
        """The last number seen."""
        return self.next_seq - 1 if self.next_seq else None

    @property
    def open_operations(self) -> list[str]:
        """Ids of the operations without outcome, in order."""
        return [f"{self.id}.{number}" for number in sorted(self.running)]


class Completeness:
    """Follows the sessions of one journal."""

    def __init__(self) -> None:
        self._sessions: dict[str, OpenSession] = {}
        self.ended = 0

    def add(self, leaf: Leaf) -> Iterator[Finding]:
        """Take the next leaf and yield what is wrong with it. The leaf must have passed `events.check_leaf`."""
        event = leaf["event"]
        if event == "session.lost":
            yield from self._lost(leaf)
        admitted = leaf.get("admitted")
        if event == "authn" and isinstance(admitted, str):
            self._sessions.setdefault(admitted, OpenSession(admitted))  # it has to begin, or to be lost
        seq = leaf.get("seq")
        if not isinstance(seq, int):
            return
        session = self._sessions.setdefault(str(leaf["session"]), OpenSession(str(leaf["session"])))
        yield from _check_seq(session, seq)
        match event:
            case "session.start":
                session.started = True
            case "operation.held":
                yield from _check_held(session, _number_of(leaf))
            case "operation.intent":
                session.running.add(_number_of(leaf))
                yield from _decide(session, _number_of(leaf))
            case "operation.refused":
                yield from _decide(session, _number_of(leaf))
            case "operation.outcome":
                yield from _check_outcome(session, leaf)
            case "session.end":
                yield from self._end(session)

    def open_sessions(self) -> list[OpenSession]:
        """Return the sessions without end so far: alive, or lost with their gateway."""
        return list(self._sessions.values())

    def finish(self, *, writer_lives: bool) -> Iterator[Finding]:
        """Yield what is open. While the writer lives, open sessions are no finding."""
        if writer_lives:
            return
        for session in self._sessions.values():
            yield Finding("session_without_end", session.id, "has neither `session.end` nor `session.lost`")
            yield from _without_outcome(session)

    def _end(self, session: OpenSession) -> Iterator[Finding]:
        if not session.started:
            yield Finding("session_without_start", session.id, "has no `session.start`")
        yield from _without_outcome(session)
        del self._sessions[session.id]
        self.ended += 1

    def _lost(self, leaf: Leaf) -> Iterator[Finding]:
        name = str(leaf["session"])
        session = self._sessions.pop(name, None)
        if session is None:
            yield Finding("session_lost_unknown", name, "is said to be lost, but was not open")
            return
        self.ended += 1
        told, more = leaf["open"], leaf.get("open_more", 0)
        listed = list(told) if isinstance(told, list) else []
        are_open = session.open_operations
        if are_open[: len(listed)] != listed or len(are_open) - len(listed) != more:
            yield Finding("session_lost_differs", name, "`session.lost` names other operations than are open")
        if leaf.get("last_seq") != session.last_seq:
            yield Finding("session_lost_differs", name, "`session.lost` names another last seq")
        yield Finding("session_lost", name, "ended with its gateway", accounted=True)
        yield from _without_outcome(session, accounted=True)


def _check_seq(session: OpenSession, seq: int) -> Iterator[Finding]:
    if seq > session.next_seq:
        yield Finding("seq_missing", session.id, f"seq {session.next_seq} to {seq - 1} are missing")
    elif seq < session.next_seq:
        yield Finding("seq_twice", session.id, f"seq {seq} is there twice or out of order")
    session.next_seq = max(session.next_seq, seq + 1)


def _check_held(session: OpenSession, number: int) -> Iterator[Finding]:
    if number in session.held or number <= session.newest:
        yield Finding("held_twice", session.id, f"operation {number} is held twice, or was decided before")
    session.held.add(number)


def _decide(session: OpenSession, number: int) -> Iterator[Finding]:
    """Note a decision. What is held is the next message: nothing behind it is decided before it is."""
    session.newest = max(session.newest, number)
    passed = min(session.held, default=number)
    if passed < number:
        yield Finding("held_passed_over", session.id, f"operation {passed} was held and has no decision")
    session.held.clear()


def _check_outcome(session: OpenSession, leaf: Leaf) -> Iterator[Finding]:
    number = _number_of(leaf)
    if number in session.running:
        session.running.discard(number)
        return
    # A portal may be executed again: its second outcome says so, and its intent came before.
    execution = leaf.get("execution", 0)
    if not (isinstance(execution, int) and execution > 1 and 0 < number <= session.newest):
        yield Finding("outcome_without_intent", session.id, f"operation {number} has an outcome without an intent")


def _without_outcome(session: OpenSession, *, accounted: bool = False) -> Iterator[Finding]:
    if session.running:
        named = ", ".join(str(number) for number in sorted(session.running)[:MAX_NAMED])
        more = "" if len(session.running) <= MAX_NAMED else f" and {len(session.running) - MAX_NAMED} more"
        words = f"operations without outcome: {named}{more}"
        yield Finding("intent_without_outcome", session.id, words, accounted)


def _number_of(leaf: Leaf) -> int:
    """Return the number of `<session>.<number>`; 0, which no operation has, if it has not that form."""
    session, _, number = str(leaf["operation"]).rpartition(".")
    is_number = number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS
    return int(number) if session == leaf["session"] and is_number else 0
