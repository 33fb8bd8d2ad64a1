# SPDX-License-Identifier: Apache-2.0
"""From settings to a target with its secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.config import (
    AccountSettings,
    ConfigFault,
    RoleSettings,
    SecretRef,
    Secrets,
    TargetSettings,
    resolve_target,
)
from gatebook.config.secrets import EnvironmentSecrets
from gatebook.model.secret import Secret
from gatebook.model.target import Account, Address

SECRETS = Secrets({"env": EnvironmentSecrets({"READER": "one", "CATALOGUE": "two"})})
ROLES = (
    RoleSettings(name="reader", account="shop_reader", password=SecretRef("env", "READER"), groups=("g",)),
    RoleSettings(name="guest", account="shop_guest", groups=()),
)


def settings(**more: object) -> TargetSettings:
    return TargetSettings(name="shop", host="db", database="shop", roles=ROLES, **more)  # type: ignore[arg-type]  # test


def test_reads_the_secrets_of_every_account() -> None:
    catalogue = AccountSettings(account="cat", password=SecretRef("env", "CATALOGUE"))
    target = resolve_target(settings(catalogue=catalogue), SECRETS)
    assert target.address == Address("db", 5432)
    assert target.roles[0].account == Account("shop_reader", Secret("one"))
    assert target.roles[1].account == Account("shop_guest", None)
    assert target.catalogue == Account("cat", Secret("two"))
    assert target.tls_roots == b""
    assert not target.any_database


def test_reads_the_roots(tmp_path: Path) -> None:
    pem = b"-----BEGIN CERTIFICATE-----\n"
    (tmp_path / "roots.pem").write_bytes(pem)
    assert resolve_target(settings(tls_roots=tmp_path / "roots.pem"), SECRETS).tls_roots == pem


def test_refuses_roots_that_are_absent_or_no_certificate(tmp_path: Path) -> None:
    with pytest.raises(ConfigFault, match="cannot be read: no such file or directory"):
        resolve_target(settings(tls_roots=tmp_path / "absent"), SECRETS)
    (tmp_path / "roots.pem").write_text("hello")
    with pytest.raises(ConfigFault, match="holds no certificate in PEM form"):
        resolve_target(settings(tls_roots=tmp_path / "roots.pem"), SECRETS)
