# SPDX-License-Identifier: Apache-2.0
"""From the settings of a target to the target itself, with its secrets read at this moment."""

from __future__ import annotations

from pathlib import Path

from gatebook.config.secrets import ConfigFault, SecretRef, Secrets
from gatebook.config.settings import TargetSettings
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
        roles=tuple(
            Role(RoleName(role.name), _account(role.account, role.password, secrets), role.groups)
            for role in settings.roles
        ),
        catalogue=None if catalogue is None else _account(catalogue.account, catalogue.password, secrets),
        labels=settings.labels,
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


def _account(name: str, password: SecretRef | None, secrets: Secrets) -> Account:
    return Account(name, None if password is None else secrets.read(password))
