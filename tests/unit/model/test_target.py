# SPDX-License-Identifier: Apache-2.0
"""Targets know what cannot leave the machine, and which database a client means."""

from __future__ import annotations

import pytest

from gatebook.model.ids import RoleName, TargetName
from gatebook.model.target import Account, Address, Role, Target, TlsMode

TARGET = Target(
    name=TargetName("shop"),
    kind="postgres",
    address=Address("db.example.com", 5432),
    tls=TlsMode.VERIFY_FULL,
    tls_roots=b"",
    database="shop_production",
    roles=(Role(RoleName("reader"), Account("shop_reader", None)),),
)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("/var/run/postgresql", True),
        ("127.0.0.2", False),
        ("localhost.example.com", False),
        ("db.example.com", False),
    ],
)
def test_only_loopback_and_sockets_cannot_leave_the_machine(host: str, *, local: bool) -> None:
    assert Address(host, 5432).is_local is local
