# SPDX-License-Identifier: Apache-2.0
"""What the entries of a bundle tell, gathered for the page in it: sessions, approvals, logins, and the rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gatebook.evidence.approval_story import ToldApproval, tell_approval
from gatebook.evidence.bundle_approvals import request_of
from gatebook.evidence.entry import EntryFault, Leaf
from gatebook.evidence.logins import LoginSummary, summarise_login
from gatebook.evidence.sessions import (
    OperationSummary,
    SessionSummary,
    summarise_end,
    summarise_operation,
    summarise_outcome,
    summarise_start,
)

Opened = Callable[[int, Leaf], Leaf]
"""Gives the private object of the entry at an index; an empty one where it is not disclosed."""


@dataclass(slots=True)
class ToldOperation:
    """An operation; `text`, `params` and `error` are empty where contents are not disclosed.

    `approval` is the request that it names, empty where there is none.
    """

    summary: OperationSummary
    index: int
    text: str = ""
    params: list[str] = field(default_factory=list)
    error: str = ""
    approval: str = ""


@dataclass(slots=True)
class ToldSession:
    """A session, what its client said of itself, its operations in order, and the place of its first entry.

    `approval` is the request by which its role was given, empty where there is none.
    """

    summary: SessionSummary
    index: int
    parameters: dict[str, str] = field(default_factory=dict)
    operations: list[ToldOperation] = field(default_factory=list)
    approval: str = ""


@dataclass(slots=True)
class Story:
    """All that a bundle tells. `others` counts entries that are of neither, by kind."""

    sessions: dict[str, ToldSession] = field(default_factory=dict)
    approvals: dict[str, ToldApproval] = field(default_factory=dict)
    logins: list[LoginSummary] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)

    @property
    def operations(self) -> int:
        """How many operations there are."""
        return sum(len(session.operations) for session in self.sessions.values())


def tell(leaves: Iterable[tuple[int, Leaf]], opened: Opened) -> Story:
    """Return what leaves, with their index in the ledger and in its order, tell. What cannot be read is left out."""
    story = Story()
    operations: dict[str, ToldOperation] = {}
    for index, leaf in leaves:
        try:
            _add(story, operations, index, leaf, opened)
        except EntryFault:  # a time in another form: the verification names it
            story.others["not in its form"] += 1
    return story


def _add(story: Story, operations: dict[str, ToldOperation], index: int, leaf: Leaf, opened: Opened) -> None:
    session = story.sessions.get(str(leaf.get("session")))
    name, event = str(leaf.get("operation")), str(leaf.get("event"))
    match event:
        case "session.start":
            told = ToldSession(summarise_start(leaf), index, _parameters(leaf), approval=request_of(leaf))
            story.sessions.setdefault(told.summary.id, told)
        case "operation.held" | "operation.intent" | "operation.refused" if session is not None:
            operation = operations.get(name)
            summary = summarise_operation(leaf, None if operation is None else operation.summary)
            if operation is None:
                operation = operations[name] = ToldOperation(summary, index)
                session.operations.append(operation)
            private = opened(index, leaf)
            operation.summary, operation.index = summary, index
            operation.text, operation.params = _text(private, "text"), _params(private)
            operation.approval = request_of(leaf)
        case "operation.outcome" if name in operations:
            summarise_outcome(operations[name].summary, leaf)
            operations[name].error = _error(opened(index, leaf))
        case "session.end" | "session.lost" if session is not None:
            summarise_end(session.summary, leaf)
        case "authn" | "authn.counted":
            story.logins.append(summarise_login(leaf))
        case _ if event.startswith("approval."):
            tell_approval(story.approvals, index, leaf)
        case _:
            story.others[event] += 1


def _parameters(leaf: Leaf) -> dict[str, str]:
    told = leaf.get("parameters")
    return {str(name): str(value) for name, value in told.items()} if isinstance(told, dict) else {}


def _params(private: Leaf) -> list[str]:
    told = private.get("params")
    return [_param(one) for one in told] if isinstance(told, list) else []


def _param(value: object) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return "NULL" if "null" in value else str(value.get("text", value.get("base64", "")))


def _error(private: Leaf) -> str:
    told = private.get("error")
    return _text(told, "message") if isinstance(told, dict) else ""


def _text(private: Mapping[str, object], name: str) -> str:
    told = private.get(name)
    return "" if told is None else told if isinstance(told, str) else str(told)
