# SPDX-License-Identifier: Apache-2.0
"""What a policy asks for when it does not say yes by itself: the consent of people, in requests and votes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from gatebook.model.principal import Principal, Subject


class HoldMode(StrEnum):
    """What a client meets meanwhile: its statement waits, or it is answered at once and may come again."""

    WAIT = "wait"
    RETURN = "return"


class Cover(StrEnum):
    """What an approval covers: this operation to the byte, or also others like it, where every policy says so."""

    EXACT = "exact"
    SHAPE = "shape"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, order=True)
class Requirement:
    """So many distinct people of a group must consent."""

    group: str
    needed: int


@dataclass(frozen=True, slots=True)
class Hold:
    """The terms under which an operation may run after all, joined over the policies that ask; the strictest of each.

    `decide` and `wait` are how long people may take and the client's statement may wait (None: the gate's default);
    `signed` says that a vote needs its person's own key; `unseen` that data nobody sees beforehand may be approved.
    """

    requirements: tuple[Requirement, ...]
    mode: HoldMode = HoldMode.WAIT
    cover: Cover = Cover.EXACT
    uses: int = 1
    decide: timedelta | None = None
    wait: timedelta | None = None
    signed: bool = True
    unseen: bool = False


class Kind(StrEnum):
    """What is asked for."""

    OPERATION = "operation"
    ROLE = "role"
    BREAK_GLASS = "break_glass"


class State(StrEnum):
    """Where a request stands. All but the first two are ends."""

    PENDING = "pending"
    GRANTED = "granted"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    VOID = "void"
    USED = "used"
    REVIEWED = "reviewed"


class Choice(StrEnum):
    """What a person says."""

    APPROVE = "approve"
    DENY = "deny"
    REVIEW = "review"


OPEN: Final = frozenset({State.PENDING, State.GRANTED})
REVIEWABLE: Final = frozenset({State.EXPIRED, State.CANCELLED, State.VOID})
"""How broken glass ends before somebody has reviewed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One person's word. `message` is what they signed, `method` how: `ssh`, `webauthn`, or `session` without a key.

    `key` is the fingerprint of the key; `signature` is as its method has it (docs/spec/approval.md).
    """

    person: Subject
    choice: Choice
    at: datetime
    method: str
    message: bytes
    key: str = ""
    signature: bytes = b""
    channel: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Asking:
    """How much somebody asks: requests that are open, made within the hour, and glass that nobody has reviewed."""

    open: int = 0
    recent: int = 0
    unreviewed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Consent that is asked for. What it covers is `digest`; `binding` is the object of that digest, as JSON.

    `matter` finds a like request again without the salt. `shown` is what the people see, as JSON. The client that waits
    is operation number `operation` of `session`; empty where nobody waits on the wire. `reason` is the asker's own.
    `use_s` is how long a granted one may be used; `minutes` how long a role lasts. `gate` has the session; `used_by` is
    the operation that used it last.
    """

    id: str
    kind: Kind
    principal: Principal
    target: str
    database: str
    role: str
    hold: Hold
    digest: str
    matter: str
    binding: str
    salt: str
    shown: str
    shown_digest: str
    made_at: datetime
    decide_by: datetime
    use_s: int
    session: str = ""
    operation: int = 0
    gate: str = ""
    reason: str = ""
    minutes: int = 0
    state: State = State.PENDING
    use_by: datetime | None = None
    used: int = 0
    used_by: str = ""
    ended_at: datetime | None = None
    why: str = ""
    votes: tuple[Vote, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether anything can still come of it."""
        return self.state in OPEN

    @property
    def waits_for_review(self) -> bool:
        """Whether glass was broken, is over, and nobody has looked at it."""
        return self.kind is Kind.BREAK_GLASS and self.state in REVIEWABLE

    @property
    def consents(self) -> tuple[Vote, ...]:
        """The votes that approve."""
        return tuple(vote for vote in self.votes if vote.choice is Choice.APPROVE)

    def ends_at(self) -> datetime:
        """Return the moment from which it is late, as it stands now."""
        return self.use_by or self.decide_by
