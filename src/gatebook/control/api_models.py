# SPDX-License-Identifier: Apache-2.0
"""What the API gives and takes, as its description tells it. Times are RFC 3339, UTC; empty where there is none."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class ProblemDetail(BaseModel):
    """Why something was not done (RFC 9457). `code` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    hint: str = ""


class Me(BaseModel):
    """Who the caller is to the console."""

    issuer: str
    subject: str
    kind: str
    groups: list[str]
    method: str
    is_: list[str] = Field(serialization_alias="is", description="anybody, agent, person, approver, auditor, admin")


class SessionItem(BaseModel):
    """A session at a glance."""

    session: str
    live: bool
    writer: str
    started: str
    ended: str
    cause: str
    agent: str
    owner: str
    role: str
    target: str
    database: str
    account: str
    from_: str = Field(serialization_alias="from")
    counts: dict[str, int]


class SessionDetail(SessionItem):
    """A session with its operations, as `gatebook sessions show --json` tells them; without literals."""

    operations: list[dict[str, Any]]


class LookWish(BaseModel):
    """A look at a recording."""

    model_config = ConfigDict(extra="forbid")
    purpose: str = Field(min_length=1, max_length=500, description="why you look; it is entered into the book first")
    begin: str = Field(default="", max_length=40, description="`+MM:SS`, `HH:MM:SS` (UTC) or an operation's number")
    rows: int = Field(default=20, ge=0, le=1000, description="rows shown of each result")


class PointItem(BaseModel):
    """A point of a timeline."""

    number: int
    elapsed_s: float
    place: str
    from_client: bool
    kind: str
    lines: list[str]


class LookItem(BaseModel):
    """What a look shows; `more` is where the next one begins, empty where the timeline ends."""

    session: str
    points: list[PointItem]
    more: str


class RoleItem(BaseModel):
    """A role at a target."""

    name: str
    groups: list[str]


class TargetItem(BaseModel):
    """A target; no address and no account of it."""

    name: str
    kind: str
    database: str
    roles: list[RoleItem]
    labels: dict[str, str]


class SigningKeyItem(BaseModel):
    """A public key with which a person signs."""

    kind: str
    fingerprint: str


class PersonItem(BaseModel):
    """A person whom the gate itself knows."""

    issuer: str
    subject: str
    admin: bool
    groups: list[str]
    created: str
    disabled: str
    keys: list[SigningKeyItem]


class KeyItem(BaseModel):
    """An API key of an agent; never the key itself."""

    key: str
    agent: str
    owner: str
    groups: list[str]
    created: str
    expires: str
    revoked: str
    state: str


class PolicyItem(BaseModel):
    """A policy and where it stands."""

    id: str
    file: str
    line: int
    text: str
    annotations: dict[str, str]


class PolicySetItem(BaseModel):
    """The policies of the folder; `problems` where they do not load."""

    hash: str
    files: list[str]
    policies: list[PolicyItem]
    problems: list[str]


class ExplainWish(BaseModel):
    """A statement that is to be explained; nothing of it is run."""

    model_config = ConfigDict(extra="forbid")
    sql: str = Field(min_length=1, max_length=65_536)
    agent: str = Field(min_length=1, max_length=63)
    groups: list[str] = Field(default=[], max_length=50)
    target: str = Field(min_length=1, max_length=63)
    database: str = Field(default="", max_length=63)


class LedgerItem(BaseModel):
    """How the ledger stands."""

    origin: str
    size: int
    root: str
    key: str
    signed: str
    notary_lives: bool
    not_sealed: int


class FindingItem(BaseModel):
    """A finding of a verification."""

    name: str
    subject: str
    words: str


class VerificationItem(BaseModel):
    """How the newest verification stands."""

    progress: str
    by: str
    began: str
    ended: str
    checked: dict[str, int]
    findings: list[FindingItem]
    accounted: list[FindingItem]
    more: int
    words: str


class SearchResult(BaseModel):
    """What a search found, newest first, as `gatebook search --json` tells it, and what it could not look at."""

    hits: list[dict[str, Any]]
    more: bool
    unclear: int
    indexed: int
    sealed: int
    behind: int


class SubjectItem(BaseModel):
    """An identity: issuer and subject."""

    iss: str
    sub: str


class VoteItem(BaseModel):
    """A person's vote."""

    person: SubjectItem
    choice: str
    time: str
    method: str
    channel: str
    reason: str


class RequestItem(BaseModel):
    """A request for approval at a glance. `why_not` says why the caller cannot vote on it now."""

    request: str
    kind: str
    state: str
    who: SubjectItem
    target: str
    database: str
    role: str
    approvers: list[tuple[str, int]]
    digest: str
    made: str
    expires: str
    session: str
    reason: str = Field(description="who asks says so; nobody has checked it")
    why: str
    votes: list[VoteItem]
    can_vote: bool
    why_not: str


class BallotItem(BaseModel):
    """A vote to be signed (docs/spec/approval.md): the object, and base64 of the bytes that are signed."""

    ballot: dict[str, Any]
    message: str


class VoteWish(BaseModel):
    """A vote with the signature of who votes."""

    model_config = ConfigDict(extra="forbid")
    ballot: dict[str, Any]
    method: str = Field(pattern="^(ssh|webauthn)$")
    key: str = Field(min_length=1, max_length=100, description="fingerprint of the key")
    signature: str = Field(min_length=1, max_length=16_384, description="base64")


class RoleWish(BaseModel):
    """A role for a time."""

    model_config = ConfigDict(extra="forbid")
    target: str = Field(min_length=1, max_length=100)
    role: str = Field(min_length=1, max_length=100)
    minutes: int = Field(ge=1, le=1440)
    reason: str = Field(min_length=1, max_length=1024)
    break_glass: bool = Field(default=False, description="take it at once; its approvers review that")


class ReasonWish(BaseModel):
    """Why something is done."""

    model_config = ConfigDict(extra="forbid")
    reason: str = Field(min_length=1, max_length=1024)
