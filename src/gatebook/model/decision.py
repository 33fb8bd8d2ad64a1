# SPDX-License-Identifier: Apache-2.0
"""The answer to an operation: allow, refuse or hold, with the reasons that an auditor asks for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gatebook.model.approval import Hold
from gatebook.model.ids import EvaluationId, PolicyId
from gatebook.model.operation import Access, CacheScope, Statement


class Result(StrEnum):
    """What was decided. Refusal is the value one gets by doing nothing."""

    REFUSE = "refuse"
    ALLOW = "allow"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision on one statement.

    `policies` are the ids that determined it, `policy_hash` the whole set's. `denied` names the accesses that no
    policy permits or a forbid hit; `code` is the refusal code (docs/spec/refusals.md) when refused.
    `time_dependent` says that a policy which could apply reads time or parameters: such a decision is
    never kept. `hold` says who has to consent where `result` is to hold, or, of an allowed one, who did; `approval` is
    then the id of the request that they consented to.
    """

    result: Result
    policies: tuple[PolicyId, ...]
    policy_hash: str
    reasons: tuple[str, ...] = ()
    denied: tuple[Access, ...] = ()
    code: str = ""
    time_dependent: bool = False
    hold: Hold | None = None
    approval: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A no, in words that each protocol puts into its own form."""

    code: str
    message: str
    hint: str
    facts: tuple[tuple[str, str | int | bool | tuple[str, ...]], ...] = ()
    """Members of the machine-readable object for agents."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the carrier is told about one message. Made only by `gatebook.session.steps`."""

    evaluation: EvaluationId
    statements: tuple[Statement, ...]
    decisions: tuple[Decision, ...]
    refused: Refused | None
    cache: CacheScope
    ttl_s: float
    held: Hold | None = None
    """What people are asked for all statements together; nothing of the message runs before they consent."""
    notice: Refused | None = None
    """What the client is told while its message waits."""
    salt: str = ""
    """Of the binding of the approval that the message waits for, or has (docs/spec/approval.md)."""
