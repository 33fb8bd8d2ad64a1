# SPDX-License-Identifier: Apache-2.0
"""Start-up: every setting that a client brings is an access; the gate logs in with what it pins."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatebook.model.ids import RoleName, TargetName
from gatebook.model.secret import Secret
from gatebook.model.target import Account, Address, Role, Target, TlsMode
from gatebook.protocols.postgres.upstream import (
    Startup,
    StartupFault,
    read_startup,
    startup_accesses,
    upstream_address,
    upstream_parameters,
    upstream_tls,
)
from gatebook.session.gate import Place

TARGET = Target(
    name=TargetName("shop"),
    kind="postgres",
    address=Address("db.example.com", 5432),
    tls=TlsMode.VERIFY_FULL,
    tls_roots=b"PEM",
    database="production",
    roles=(Role(RoleName("reader"), Account("shop_reader", None)),),
)


def _accesses(*parameters: tuple[str, str]) -> list[str]:
    startup = read_startup([("user", "bot"), ("database", "shop"), *parameters])
    return sorted(
        f"{access.action} {access.object}" for access in startup_accesses(startup, Place(TARGET, TARGET.database))
    )


def test_the_database_is_the_user_where_none_is_named() -> None:
    assert read_startup([("user", "bot")]).database == "bot"
    assert read_startup([("user", "bot"), ("database", "")]).database == "bot"


def test_options_are_read_as_the_server_reads_them() -> None:
    startup = read_startup([("user", "bot"), ("options", r"-c a=1  -cb=two\ words --c-d=3")])
    assert startup.settings == (("a", "1"), ("b", "two words"), ("c_d", "3"))


@pytest.mark.parametrize("options", ["-d 5", "-c", "-c a", "--=1", "-c 1a=2", "a=1", "-e"])
def test_options_that_are_no_setting_are_opaque_and_left_to_the_server(options: str) -> None:
    assert _accesses(("options", options)) == ["opaque shop.production"]
    startup = read_startup([("user", "bot"), ("options", options)])
    assert dict(upstream_parameters(startup, TARGET.database))["options"] == options


def test_a_parameter_that_cannot_be_a_setting_is_refused() -> None:
    with pytest.raises(StartupFault, match="not the name of a setting"):
        read_startup([("user", "bot"), ("a b", "1")])


def test_pg_18_settings_in_the_start_up_are_judged_like_set() -> None:
    assert _accesses(("application_name", "psql")) == ["adjust shop.production.application_name"]
    assert _accesses(("options", "-c role=admin")) == ["set_role shop.admin"]
    assert _accesses(("session_replication_role", "replica")) == ["set shop.production.session_replication_role"]
    assert _accesses(("replication", "database")) == ["replicate shop.production"]
    assert _accesses(("replication", "false")) == []


def test_pg_21_another_encoding_in_the_start_up_needs_a_permit() -> None:
    assert _accesses(("client_encoding", "UTF8")) == ["adjust shop.production.client_encoding"]
    assert _accesses(("client_encoding", "SJIS")) == ["set shop.production.client_encoding"]


def test_the_gate_pins_what_it_reads_statements_by() -> None:
    startup = read_startup([("user", "bot"), ("database", "shop"), ("application_name", "psql")])
    assert upstream_parameters(startup, TARGET.database) == [
        ("database", "production"),
        ("application_name", "psql"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
    ]


def test_a_permitted_choice_of_the_client_is_not_pinned_over() -> None:
    startup = read_startup([("user", "bot"), ("Client_Encoding", "LATIN1")])
    names = [name for name, _ in upstream_parameters(startup, TARGET.database)]
    assert names == ["database", "Client_Encoding", "standard_conforming_strings"]


def test_the_clients_user_never_reaches_the_server() -> None:
    startup = read_startup([("user", "postgres"), ("database", "shop")])
    assert "postgres" not in dict(upstream_parameters(startup, TARGET.database)).values()


@pytest.mark.parametrize(
    ("mode", "demand"),
    [
        (TlsMode.VERIFY_FULL, ("db.example.com", "full", b"PEM", b"", b"")),
        (TlsMode.VERIFY_CA, ("db.example.com", "chain", b"PEM", b"", b"")),
        (TlsMode.INSECURE_REQUIRE, ("db.example.com", "insecure_none", b"PEM", b"", b"")),
        (TlsMode.DISABLE, None),
    ],
)
def test_tls_is_demanded_as_the_target_says(mode: TlsMode, demand: tuple[str, str, bytes, bytes, bytes] | None) -> None:
    assert upstream_tls(replace(TARGET, tls=mode), Account("reader", None)) == demand


def test_the_accounts_certificate_goes_with_the_demand() -> None:
    account = Account("reader", None, b"CERTIFICATE", Secret(b"KEY"))
    assert upstream_tls(TARGET, account) == ("db.example.com", "full", b"PEM", b"CERTIFICATE", b"KEY")


def test_the_folder_of_a_socket_becomes_its_path() -> None:
    assert upstream_address(Address("/run/postgresql", 5433)) == ("/run/postgresql/.s.PGSQL.5433", 5433)
    assert upstream_address(Address("db.example.com", 5432)) == ("db.example.com", 5432)


@pytest.mark.parametrize("word", ["", "false", "FALSE", "off", "no", "0", "f"])
def test_no_replication_is_asked_for(word: str) -> None:
    assert not Startup("a", "b", (), word).is_replication


@pytest.mark.parametrize(("word", "physical"), [("true", True), ("1", True), ("on", True), ("database", False)])
def test_replication_needs_its_permit(word: str, *, physical: bool) -> None:
    startup = Startup("a", "shop", (), word)
    assert startup.is_physical is physical
    accesses = startup_accesses(startup, Place(TARGET, TARGET.database))
    assert [access.action for access in accesses] == ["replicate"]
