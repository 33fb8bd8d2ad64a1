# SPDX-License-Identifier: Apache-2.0
"""Sessions, operations and what a search finds, as objects for programs and as words for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from gatebook.evidence.entry import Leaf, Value, format_time
from gatebook.evidence.sessions import HELD, OperationSummary, SessionSummary, summarise_operation, summarise_outcome

if TYPE_CHECKING:
    from gatebook.store.searching import Hit
    from gatebook.vault.book import Operation

MAX_WHAT = 100  # characters in a table
_COMMON = frozenset({"event", "time", "v", "writer", "session", "seq", "identity", "source", "where"})


def json_time(moment: datetime | None) -> str:
    """Return a moment for programs; empty if there is none."""
    return "" if moment is None else format_time(moment)


def show_time(moment: datetime | None) -> str:
    """Return a moment to the second for people; empty if there is none."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M:%SZ}"


def session_object(session: SessionSummary) -> Leaf:
    """Return a session for programs."""
    counts: dict[str, Value] = dict(session.counts)
    return {
        "session": session.id,
        "writer": session.writer,
        "started": json_time(session.started_at),
        "ended": json_time(session.ended_at),
        "cause": session.cause,
        "agent": session.principal,
        "owner": session.owner,
        "role": session.role,
        "target": session.target,
        "database": session.database,
        "account": session.account,
        "from": session.address,
        "counts": counts,
    }


def operation_object(operation: Operation) -> Leaf:
    """Return an operation for programs, with its private part where it was opened."""
    summary = operation.summary
    told: Leaf = {
        "operation": summary.id,
        "at": json_time(summary.at),
        "via": summary.via,
        "verb": summary.verb,
        "shape": summary.shape,
        "accesses": [list(pair) for pair in summary.accesses],
        "decision": summary.result,
        "held": json_time(summary.held_at),
        "policies": list(summary.policies),
        "reasons": list(summary.reasons),
        "refusal": summary.refusal,
        "status": summary.status,
        "sqlstate": summary.sqlstate,
        "tag": summary.tag,
        "rows": summary.rows,
        "duration_us": summary.duration_us,
        "executions": summary.executions,
    }
    if operation.private:
        told["private"] = operation.private
    if operation.error:
        told["error"] = operation.error
    return told


def outcome_words(operation: OperationSummary, session: SessionSummary | None = None) -> str:
    """Say in a word or two what came of an operation, of a session that is known or not."""
    if operation.result == "refuse":
        return operation.refusal
    if operation.result == HELD:
        if session is None:
            return ""  # what came of it has an entry of its own
        return "given up" if session.ended_at else "waits"
    return f"{operation.status} {operation.sqlstate}".strip() or "none yet"


def operation_of(hit: Hit) -> OperationSummary | None:
    """Return the operation of a hit with all that came of it; None of another entry."""
    event = hit.leaf["event"]
    if event not in {"operation.held", "operation.intent", "operation.refused"}:
        return None
    told = summarise_operation(hit.leaf)
    told.result = told.result or "allow"
    for _, outcome in hit.outcomes:
        summarise_outcome(told, outcome)
    return told


def hit_object(hit: Hit) -> Leaf:
    """Return what was found for programs."""
    shown: Leaf = {"entry": hit.index, "leaf": hit.leaf}
    told = operation_of(hit)
    if told is None:
        return shown
    outcomes: list[Value] = [{"entry": index, "leaf": leaf} for index, leaf in hit.outcomes]
    shown |= {"decision": told.result, "outcomes": outcomes, "executions": told.executions}
    return shown | {"status": told.status, "rows": told.rows, "duration_us": told.duration_us}


def what(leaf: Leaf, told: OperationSummary | None) -> str:
    """Say what an entry tells: the statement of an operation, else the kind and its plain members."""
    if told is not None:
        accesses = ", ".join(f"{action} {name.partition(':')[2]}" for action, name in told.accesses)
        words = f"{told.shape or told.verb} [{accesses}]"
    else:
        plain = (f"{name} {leaf[name]}" for name in sorted(leaf.keys() - _COMMON) if isinstance(leaf[name], str | int))
        words = ", ".join((str(leaf["event"]), *plain))
    return words if len(words) <= MAX_WHAT else f"{words[: MAX_WHAT - 1]}…"


def who(leaf: Leaf) -> str:
    """Say whom an entry is about: agent or person, else who made it."""
    identity = part_of(leaf, "identity") or leaf
    for name in ("agent", "person"):
        if subject := text_of(part_of(identity, name), "sub"):
            return subject
    return text_of(leaf, "by")


def part_of(leaf: Mapping[str, Value], name: str) -> Leaf:
    """Return a member that is an object; an empty one where it is not there."""
    part = leaf.get(name)
    return dict(part) if isinstance(part, dict) else {}


def text_of(leaf: Mapping[str, Value], name: str) -> str:
    """Return a member that is a string; an empty one where it is not there."""
    text = leaf.get(name)
    return text if isinstance(text, str) else ""
