# SPDX-License-Identifier: Apache-2.0
"""Verified identities: who calls, on whose behalf, and how that was proved."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PrincipalKind(StrEnum):
    """A workload that acts, or a human being."""

    AGENT = "agent"
    PERSON = "person"


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """An (issuer, subject) pair: the identity itself. Never an e-mail address."""

    issuer: str
    subject: str

    def __str__(self) -> str:
        """Show as `issuer|subject`, the form used as an entity id in policies."""
        return f"{self.issuer}|{self.subject}"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified identity with what is known of it at this moment.

    `owner` is the person behind an agent; `chain` the actors, outermost first (RFC 8693 `act`);
    `credential` the public id of the credential used, never a secret.
    """

    kind: PrincipalKind
    subject: Subject
    groups: tuple[str, ...]
    owner: Subject | None
    chain: tuple[Subject, ...]
    method: str
    credential: str


@dataclass(frozen=True, slots=True)
class Check:
    """One step of a verification, by name, in the order it was made."""

    name: str
    passed: bool


@dataclass(frozen=True, slots=True)
class Identified:
    """Proof that a credential was verified. Made only by `gatebook.identity`.

    `names` are the user names that a client may log in under with this credential; `ends_at` (aware UTC) is when the
    credential itself ends, if it says so: no session outlives it. `token` and `certificate` say what an access token,
    or a client certificate, said of itself.
    """

    principal: Principal
    checks: tuple[Check, ...]
    names: tuple[str, ...] = ()
    ends_at: datetime | None = None
    token: tuple[tuple[str, str], ...] = ()
    certificate: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class NotIdentified:
    """The credential is not good: the check that failed is the last one. What it said of itself is not proved."""

    checks: tuple[Check, ...]
    credential: str = ""
    token: tuple[tuple[str, str], ...] = ()
    certificate: tuple[tuple[str, str], ...] = ()

    @property
    def failed(self) -> str:
        """Name of the check that failed."""
        return self.checks[-1].name
