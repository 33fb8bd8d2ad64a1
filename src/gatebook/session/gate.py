# SPDX-License-Identifier: Apache-2.0
"""What a protocol may ask of the gate, and the values it asks with and is answered by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gatebook.identity.api_key import KeyBook
from gatebook.identity.authority import Authority
from gatebook.identity.issuer import NoIssuers, TokenBook
from gatebook.model.decision import Decision, Refused
from gatebook.model.ids import EvaluationId, SessionId
from gatebook.model.operation import Access, ObjectRef
from gatebook.model.principal import Identified, NotIdentified, Principal, Subject
from gatebook.model.secret import Secret
from gatebook.model.target import Role, Target
from gatebook.policy.engine import Engine


@dataclass(frozen=True, slots=True)
class Place:
    """Where a client wants to go: a target, and the database at its server. `any_user` lets any user name in."""

    target: Target
    database: str
    any_user: bool = False


@dataclass(frozen=True, slots=True)
class Rules:
    """What is in force: replaced whole by a reload, never changed.

    `any_target` answers for every database name (`gatebook try`); `verdict_ttl_s` bounds how long a decision may
    serve again; `tokens` knows the issuers of access tokens, `authorities` vouch for client certificates. While there
    is a `halted`, it is the answer to everything new.
    """

    engine: Engine
    book: KeyBook
    targets: Mapping[str, Target]
    any_target: Target | None = None
    verdict_ttl_s: float = 300.0
    tokens: TokenBook = field(default_factory=NoIssuers)
    authorities: tuple[Authority, ...] = ()
    halted: Refused | None = None

    def find(self, asked: str) -> Place | None:
        """The place that a client means by the database it names: `TARGET`, or `TARGET/DATABASE`.

        None if there is no such target, or it does not stand for that database.
        """
        if (target := self.targets.get(asked)) is not None:
            return Place(target, target.database)
        name, slash, database = asked.partition("/")
        target = self.targets.get(name) if slash and database else None
        if target is not None and (target.any_database or database == target.database):
            return Place(target, database)
        return Place(self.any_target, asked, any_user=True) if self.any_target else None


@dataclass(frozen=True, slots=True)
class Grant:
    """A role at a target that somebody has for a time, by a request that was granted."""

    request: str
    target: str
    role: str
    ends_at: datetime


Grants = Callable[[Subject], "tuple[Grant, ...]"]
"""The roles that somebody has for a time now, the newest first."""


def no_grants(_: Subject) -> tuple[Grant, ...]:
    """Nobody has a role for a time."""
    return ()


@dataclass(frozen=True, slots=True)
class Knock:
    """A client at the door: what it showed and asked for. `accesses` are those its start-up options need.

    `place` is None if it asked for none that there is. `certificates` are those that the handshake verified, its own
    first; who shows one gives no other credential.
    """

    credential: Secret
    user: str
    place: Place | None
    accesses: tuple[Access, ...]
    tls: bool
    now: datetime
    certificates: tuple[bytes, ...] = ()
    grants: Grants = no_grants


@dataclass(frozen=True, slots=True)
class Session:
    """Who is inside, where, and as what: the fixed part of every decision of a session.

    `database` is the one at the server, by which policies name it.
    """

    id: SessionId
    principal: Principal
    target: Target
    role: Role
    database: str
    tls: bool
    grant: str = ""
    """Request by which the role was given for a time; the session ends with it."""
    grant_ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """Consent to a session."""

    session: Session
    identified: Identified
    decision: Decision


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """No session. `answer` is for evidence; `refused` is all that the client is told."""

    answer: Identified | NotIdentified
    refused: Refused


@dataclass(frozen=True, slots=True)
class Consent:
    """People consented to exactly this, it was counted as used, and that is in the book. Made by whoever wrote it."""

    request: str
    salt: str


@dataclass(frozen=True, slots=True)
class Waits:
    """People are asked; `notice` is what the client is told meanwhile."""

    request: str
    salt: str
    notice: Refused


@dataclass(frozen=True, slots=True)
class NoConsent:
    """Nobody can be asked, or nobody consented."""

    refused: Refused
    request: str = ""
    salt: str = ""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a decision may read beside who and what. `kind_of` tells the kind of a relation."""

    now: datetime
    evaluation: EvaluationId
    in_transaction: bool
    kind_of: Callable[[ObjectRef], str] = field(default=lambda _ref: "unknown")
