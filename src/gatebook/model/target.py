# SPDX-License-Identifier: Apache-2.0
"""What is protected: targets, the roles one may have there, and how the gate reaches them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gatebook.model.ids import RoleName, TargetName
from gatebook.model.secret import Secret


class TlsMode(StrEnum):
    """How the gate speaks to a target. The words of libpq's sslmode where they mean the same."""

    DISABLE = "disable"
    INSECURE_REQUIRE = "require"  # encrypts, checks nothing: an active attacker wins
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a target listens. A host that begins with `/` is the folder of a unix socket."""

    host: str
    port: int

    @property
    def is_local(self) -> bool:
        """Whether the address cannot leave this machine: unix socket or loopback."""
        return self.host.startswith("/") or self.host in {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Account:
    """A login at the target, held by the gate only."""

    name: str
    password: Secret | None
    certificate: bytes = b""
    """Certificate chain that the gate shows for it, PEM; empty where the target asks for none."""
    certificate_key: Secret | None = None


@dataclass(frozen=True, slots=True)
class Role:
    """What a principal may be at a target: maps to a least-privilege upstream account."""

    name: RoleName
    account: Account
    groups: tuple[str, ...] = ()
    """Groups whose members have this role; the first role of the target that fits is taken."""
    approvers: str = ""
    """Group of people who give this role for a time; then `groups` are those who may ask. Empty: nobody has to."""
    approvers_needed: int = 1
    longest_minutes: int = 60
    break_glass: bool = False
    """Members of `groups` may take it at once, for a time; its approvers review that."""

    @property
    def is_on_request(self) -> bool:
        """Whether it is had for a time only."""
        return bool(self.approvers)


@dataclass(frozen=True, slots=True)
class Target:
    """A database server behind the gate.

    `database` is the one database the target stands for; `any_database` lets clients ask for any
    other of the server too. `catalogue` is the gate's own login for reading the
    catalogue; the first role's account when absent.
    """

    name: TargetName
    kind: str
    address: Address
    tls: TlsMode
    tls_roots: bytes
    database: str
    roles: tuple[Role, ...]
    catalogue: Account | None = None
    any_database: bool = False
    insecure_md5: bool = False
    labels: tuple[tuple[str, str], ...] = field(default=())
