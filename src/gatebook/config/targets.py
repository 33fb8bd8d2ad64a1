# SPDX-License-Identifier: Apache-2.0
"""From the settings of a target to the target itself, with its secrets read at this moment."""

from __future__ import annotations

from pathlib import Path

from gatebook.config.secrets import ConfigFault, Secrets
from gatebook.config.settings import AccountSettings, RoleSettings, TargetSettings
from gatebook.model.errors import quoted
from gatebook.model.ids import RoleName, TargetName
from gatebook.model.target import Account, Address, Role, Target


def resolve_target(settings: TargetSettings, secrets: Secrets) -> Target:
    """Return the target with passwords and roots read now. May be called again, to take up rotated secrets.

    ConfigFault if a secret or the file of the roots cannot be read.
    """
    catalogue = settings.catalogue
    return Target(
        name=TargetName(settings.name),
        kind=settings.kind,
        address=Address(settings.host, settings.port),
        tls=settings.tls,
        tls_roots=b"" if settings.tls_roots is None else read_pem(settings.tls_roots),
        database=settings.database,
        roles=tuple(role_of(role, _account(role, secrets)) for role in settings.roles),
        catalogue=None if catalogue is None else _account(catalogue, secrets),
        any_database=settings.any_database,
        insecure_md5=settings.insecure_md5,
        labels=settings.labels,
    )


def role_of(settings: RoleSettings, account: Account | None = None) -> Role:
    """Return a role; without its account, for who does not log in with it. ConfigFault if it contradicts itself."""
    if settings.break_glass and not settings.approvers:
        raise ConfigFault(
            f"role {quoted(settings.name)} has `break_glass` and nobody to review it", "name its `approvers`"
        )
    return Role(
        RoleName(settings.name),
        account or Account(settings.account, None),
        settings.groups,
        approvers=settings.approvers,
        approvers_needed=settings.approvers_needed,
        longest_minutes=settings.longest_minutes,
        break_glass=settings.break_glass,
    )


def read_pem(path: Path) -> bytes:
    """Return the content of a PEM file that is not secret. ConfigFault if it cannot be read or is no PEM."""
    try:
        content = path.read_bytes()
    except OSError as fault:
        words = (fault.strerror or "unknown error").lower()
        raise ConfigFault(f"{quoted(str(path))} cannot be read: {words}", "see the path and its owner") from fault
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise ConfigFault(f"{quoted(str(path))} holds no certificate in PEM form")
    return content


def _account(settings: AccountSettings | RoleSettings, secrets: Secrets) -> Account:
    """ConfigFault if only one of certificate and key is there, or one cannot be read."""
    certificate, key = settings.certificate, settings.certificate_key
    if (certificate is None) != (key is None):
        raise ConfigFault(
            f"account {quoted(settings.account)} has only one of `certificate` and `certificate_key`", "give both"
        )
    return Account(
        settings.account,
        None if settings.password is None else secrets.read(settings.password),
        b"" if certificate is None else read_pem(certificate),
        None if key is None else secrets.read(key),
    )
