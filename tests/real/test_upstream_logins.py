# SPDX-License-Identifier: Apache-2.0
"""The gate's own login at a real server, in each way that a server can ask for one."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from support.servers import DATABASE, TARGET, Place
from throwaway_gate import Gate, Login, Target, make_gate
from throwaway_postgres import Postgres, throwaway_postgres

from gatebook.vault.journal import Faults, JournalReader

PASSWORD = "of the account"
HBA = """
local   all all                 trust
host    all postgres 127.0.0.1/32 scram-sha-256
hostssl all by_cert  127.0.0.1/32 cert
host    all by_md5   127.0.0.1/32 md5
host    all by_text  127.0.0.1/32 password
host    all by_scram 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True)
class Asking:
    """A server that asks each account for something else."""

    server: Postgres
    folder: Path

    def place(self, folder: Path, account: str, *lines: str, tls: bool = True, password: str = PASSWORD) -> Place:
        """A gate that logs in as the account; `lines` go to the target's settings. It serves."""
        login = Login("app", account, password, ("agents",))
        root = self.server.tls_root if tls else None
        gate = make_gate(folder, Target(TARGET, DATABASE, self.server.port, (login,), tls_root=root))
        add_settings(gate, "[[target]]", *lines)
        place = Place(self.server, gate, gate.create_key("helper"))
        gate.serve()
        return place


def add_settings(gate: Gate, table: str, *lines: str) -> None:
    """Put settings into the last table of that name."""
    before, heading, behind = gate.config.read_text().rpartition(table)
    gate.config.write_text("\n".join([before + heading, *lines]) + behind)


def write_client(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """A root, and a certificate for an account under it: the files of root, certificate and key."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accounts")])
    now = datetime.now(UTC)

    def builder(subject: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(issuer)
            .subject_name(subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )

    root = (
        builder(issuer, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = builder(subject, key.public_key()).sign(root_key, hashes.SHA256())
    paths = (folder / "accounts.pem", folder / f"{name}.pem", folder / f"{name}.key")
    paths[0].write_bytes(root.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[2].touch(mode=0o600)
    paths[2].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    folder = tmp_path_factory.mktemp("accounts")
    with throwaway_postgres(tls=True) as server:
        if server.tls_root is None:
            pytest.fail("these logins need a PostgreSQL that was built with TLS")
        server.psql("SET password_encryption = 'md5'; CREATE ROLE by_md5 LOGIN PASSWORD 'of the account'")
        for account in ("by_text", "by_scram"):
            server.psql(f"CREATE ROLE {account} LOGIN PASSWORD 'of the account'")
        server.psql("CREATE ROLE by_cert LOGIN")
        server.psql(f"CREATE DATABASE {DATABASE}")
        root, _, _ = write_client(folder, "by_cert")
        trusted = server.folder / "accounts.pem"
        trusted.write_bytes(root.read_bytes())
        trusted.chmod(0o644)
        server.psql(f"ALTER SYSTEM SET ssl_ca_file = '{trusted}'")
        hba = server.folder / "data" / "pg_hba.conf"
        owner = hba.stat()
        hba.write_text(HBA)
        os.chown(hba, owner.st_uid, owner.st_gid)
        server.psql("SELECT pg_reload_conf()")
        yield Asking(server, folder)


def logs_in(place: Place, account: str) -> None:
    try:
        done = place.through.psql("-c", "SELECT current_user, count(*) > 0 FROM pg_class")
        assert (done.stdout, done.stderr) == (f"{account}|t\n", "")
    finally:
        place.gate.stop()


def is_refused(place: Place, words: str) -> None:
    """The client is told that the login failed, and only the book says why."""
    try:
        done = place.through.psql("-c", "SELECT 1")
        assert done.returncode == 2
        assert "the target cannot be reached or refused the gate" in done.stderr
        assert PASSWORD not in done.stderr
    finally:
        place.gate.stop()
    reader = JournalReader(place.gate.data / "journal" / "gatebook", Faults())
    leaves = [json.loads(record.leaf) for record in reader.read()]
    (end,) = [leaf for leaf in leaves if leaf["event"] == "session.end"]
    assert end["cause"] == "upstream failed"
    assert words in end["note"]


def test_scram_inside_tls_is_bound_to_the_servers_certificate(asking: Asking, folder: Path) -> None:
    # The server offers the binding and compares what it is bound to: a wrong hash would fail.
    logs_in(asking.place(folder, "by_scram"), "by_scram")


def test_scram_without_tls_on_loopback(asking: Asking, folder: Path) -> None:
    logs_in(asking.place(folder, "by_scram", tls=False), "by_scram")


def test_an_md5_password_where_the_target_is_set_so(asking: Asking, folder: Path) -> None:
    logs_in(asking.place(folder, "by_md5", "insecure_md5 = true"), "by_md5")


def test_an_md5_password_is_refused_otherwise(asking: Asking, folder: Path) -> None:
    is_refused(asking.place(folder, "by_md5"), "insecure_md5")


def test_a_cleartext_password_inside_verified_tls(asking: Asking, folder: Path) -> None:
    logs_in(asking.place(folder, "by_text"), "by_text")


def test_a_cleartext_password_is_not_given_in_plaintext(asking: Asking, folder: Path) -> None:
    is_refused(asking.place(folder, "by_text", tls=False), "verified by name")


def test_a_client_certificate(asking: Asking, folder: Path) -> None:
    certificate, key = asking.folder / "by_cert.pem", asking.folder / "by_cert.key"
    lines = (f'certificate = "{certificate}"', f'certificate_key = "file:{key}"')
    place = asking.place(folder, "by_cert", password="unused")
    place.gate.stop()
    add_settings(place.gate, "[[target.role]]", *lines)
    place.gate.serve()
    logs_in(place, "by_cert")


def test_rsa_keys_of_another_hash_are_bound_to_as_well(folder: Path, tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA384())
    )
    with throwaway_postgres(tls=True) as server:
        assert server.tls_root is not None
        for target, content in (
            ("server.pem", certificate.public_bytes(serialization.Encoding.PEM)),
            (
                "server.key",
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                ),
            ),
        ):
            (server.folder / target).write_bytes(content)
        server.psql("CREATE ROLE by_scram LOGIN PASSWORD 'of the account'")
        server.psql(f"CREATE DATABASE {DATABASE}")
        server.psql("SELECT pg_reload_conf()")
        place = Asking(server, tmp_path).place(folder, "by_scram", tls=False)
        place.gate.stop()
        text = place.gate.config.read_text()  # the chain of a certificate that signs itself is not looked at here
        place.gate.config.write_text(text.replace('tls = "disable"', 'tls = "require"'))
        place.gate.serve()
        logs_in(place, "by_scram")
