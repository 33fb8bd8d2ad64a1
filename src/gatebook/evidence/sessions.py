# SPDX-License-Identifier: Apache-2.0
"""Sessions and their operations, gathered from the leaves of a journal for people who look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gatebook.evidence.entry import Leaf, Value, parse_time

HELD = "held"


@dataclass(slots=True)
class SessionSummary:
    """A session at a glance. `cause` is empty while it is open; counts come with its end."""

    id: str
    writer: str
    started_at: datetime
    principal: str
    owner: str
    role: str
    target: str
    database: str
    account: str
    address: str
    ended_at: datetime | None = None
    cause: str = ""
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class OperationSummary:
    """An operation at a glance. `number` counts within its session; `status` is empty until it has an outcome.

    `result` is `held` until a decision follows; `held_at` says since when it waited for a person, if it did. `offset`
    counts the bytes of the session's recording before the message that it came in.
    """

    id: str
    number: int
    at: datetime
    via: str
    verb: str
    shape: str
    accesses: list[tuple[str, str]]
    result: str
    policies: list[str]
    reasons: list[str]
    refusal: str = ""
    status: str = ""
    sqlstate: str = ""
    tag: str = ""
    rows: int = 0
    duration_us: int = 0
    executions: int = 0
    offset: int = 0
    held_at: datetime | None = None

    @property
    def decided(self) -> str:
        """The result, and how long a person was waited for."""
        if self.held_at is None or self.result == HELD:
            return self.result
        return f"{self.result}, held {(self.at - self.held_at).total_seconds():.0f} s"


def summarise_start(leaf: Leaf) -> SessionSummary:
    """Return the session that a `session.start` begins. EntryFault if its time has not its form."""
    identity, where, source = _object(leaf, "identity"), _object(leaf, "where"), _object(leaf, "source")
    who = _object(identity, "agent") or _object(identity, "person")
    return SessionSummary(
        id=_text(leaf, "session"),
        writer=_text(leaf, "writer"),
        started_at=parse_time(_text(leaf, "time")),
        principal=_text(who, "sub"),
        owner=_text(_object(identity, "owner"), "sub"),
        role=_text(identity, "role"),
        target=_text(where, "target"),
        database=_text(where, "database"),
        account=_text(where, "account"),
        address=f"{_text(source, 'ip')}:{_number(source, 'port')}",
    )


def summarise_end(session: SessionSummary, leaf: Leaf) -> None:
    """Add what a `session.end` or `session.lost` says. EntryFault if its time has not its form."""
    session.ended_at = parse_time(_text(leaf, "time"))
    session.cause = _text(leaf, "cause")
    counts = _object(leaf, "counts")
    session.counts = {name: _number(counts, name) for name in counts}


def summarise_operation(leaf: Leaf, before: OperationSummary | None = None) -> OperationSummary:
    """Return the operation of an `operation.held`, `operation.intent` or `operation.refused`.

    `before` is what was told of it before: when it was held. EntryFault if its time has not its form.
    """
    at = parse_time(_text(leaf, "time"))
    is_held = leaf.get("event") == "operation.held"
    action, decision = _object(leaf, "action"), _object(leaf, "decision")
    operation = _text(leaf, "operation")
    digits = operation.rpartition(".")[2][:16]
    return OperationSummary(
        id=operation,
        number=int(digits) if digits.isascii() and digits.isdigit() else 0,
        at=at,
        via=_text(leaf, "via"),
        verb=_text(action, "verb"),
        shape=_text(action, "shape"),
        accesses=[
            (str(pair[0]), str(pair[1]))
            for pair in _list(action, "accesses")
            if isinstance(pair, list) and len(pair) == 2
        ],
        result=HELD if is_held else "refuse" if leaf.get("event") == "operation.refused" else _text(decision, "result"),
        policies=[str(one) for one in _list(decision, "policies")],
        reasons=[str(one) for one in _list(decision, "reasons")],
        refusal=_text(_object(leaf, "refusal"), "code"),
        offset=_number(_object(leaf, "recording"), "offset"),
        held_at=at if is_held else None if before is None else before.held_at,
    )


def summarise_outcome(operation: OperationSummary, leaf: Leaf) -> None:
    """Add what an `operation.outcome` says; a portal executed again adds its rows and time."""
    effect = _object(leaf, "effect")
    operation.status = _text(effect, "status")
    operation.sqlstate = _text(effect, "sqlstate")
    operation.tag = _text(effect, "tag")
    operation.rows += _number(effect, "rows")
    operation.duration_us += _number(effect, "duration_us")
    operation.executions += 1


def _object(leaf: Mapping[str, Value], name: str) -> Mapping[str, Value]:
    value = leaf.get(name)
    return value if isinstance(value, dict) else {}


def _list(leaf: Mapping[str, Value], name: str) -> list[Value]:
    value = leaf.get(name)
    return value if isinstance(value, list) else []


def _text(leaf: Mapping[str, Value], name: str) -> str:
    value = leaf.get(name)
    return value if isinstance(value, str) else ""


def _number(leaf: Mapping[str, Value], name: str) -> int:
    value = leaf.get(name)
    return value if isinstance(value, int) else 0
