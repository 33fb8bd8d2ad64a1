# SPDX-License-Identifier: Apache-2.0
"""The ways to the database that are compared: direct, through PgBouncer, through Gatebook with everything on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from throwaway_certificate import write_certificates
from throwaway_gate import Gate, Login, Target, make_gate, wait_for_port
from throwaway_postgres import Postgres, find_owner, free_port

ACCOUNT = "bench"
PASSWORD = "of-the-account"
DATABASE = "bench"
SCALE = 10

# One gate serves both: clients that ask for TLS get it. The policy is one that a site would write, and decides by
# principal, action and table; journal and recording are on, as they always are.
POLICY = """
@id("benchmark-connects")
permit (principal in Group::"bench-agents", action in Action::"connect", resource in Database::"bench.bench");

@id("benchmark-reads-accounts")
permit (
  principal in Group::"bench-agents",
  action in Action::"read",
  resource in Relation::"bench.bench.public.pgbench_accounts"
);

@id("benchmark-loads")
permit (
  principal in Group::"bench-agents",
  action in Action::"write",
  resource in Relation::"bench.bench.public.bulk"
);

@id("benchmark-reads-catalogue")
permit (principal, action in Action::"read", resource in Schema::"bench.bench.pg_catalog");

@id("benchmark-sizes")
permit (principal in Group::"bench-agents", action in Action::"read", resource in Schema::"bench.bench.public");
"""


@dataclass(frozen=True)
class Variant:
    """A way to the database: how clients connect, and the process between, if there is one."""

    name: str
    conninfo: str
    password: str
    root: Path | None
    pid: int | None

    def connection(self, *, tls: bool) -> str:
        """Return the connection string. With TLS the certificate is verified, but for the name."""
        return f"{self.conninfo} " + (f"sslmode=verify-ca sslrootcert={self.root}" if tls else "sslmode=disable")


@contextmanager
def open_variants(server: Postgres, *, verify: bool) -> Iterator[tuple[list[Variant], list[str]]]:
    """Fill the database and open every way to it that there is; also returns what is missing and why.

    With `verify` the gate's book is verified at the end. RuntimeError if it is not whole.
    """
    server.psql(f"CREATE ROLE {ACCOUNT} LOGIN PASSWORD '{PASSWORD}'")
    server.psql(f"CREATE DATABASE {DATABASE} OWNER {ACCOUNT}")
    direct = f"host=127.0.0.1 port={server.port} user={ACCOUNT} dbname={DATABASE}"
    environment = os.environ | {"PGPASSWORD": PASSWORD} | server.programs.environment()
    command = [server.programs.client("pgbench"), "-i", "-q", "-s", str(SCALE), direct]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    server.psql(f"CREATE TABLE bulk (LIKE pgbench_accounts); ALTER TABLE bulk OWNER TO {ACCOUNT}", DATABASE)
    missing: list[str] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gbbench-", dir="/tmp")))
        variants = [Variant("direct", direct, PASSWORD, server.tls_root, None)]
        if server.tls_root is None:
            missing.append("this PostgreSQL was built without TLS, so that is not measured directly")
        pgbouncer = find_pgbouncer()
        if pgbouncer:
            variants.append(stack.enter_context(_pgbouncer(pgbouncer, server, folder / "pgbouncer")))
        else:
            missing.append("PgBouncer is not installed (Debian: apt-get install pgbouncer), so it is not measured")
        variant, _ = stack.enter_context(open_gatebook(server, folder / "gate", verify=verify))
        variants.append(variant)
        yield variants, missing


def find_pgbouncer() -> str | None:
    """Return PgBouncer, installing Debian's package where that is possible; None if there is none."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
    found = shutil.which("pgbouncer", path=search)
    if found or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "pgbouncer"]):
        if subprocess.run(command, env=quiet, capture_output=True, check=False).returncode:
            return None
    return shutil.which("pgbouncer", path=search)


@contextmanager
def _pgbouncer(program: str, server: Postgres, folder: Path) -> Iterator[Variant]:
    """PgBouncer with session pooling: one server connection per client connection, as Gatebook has."""
    folder.mkdir()
    made = write_certificates(folder)
    port = free_port()
    (folder / "users").write_text(f'"{ACCOUNT}" "{PASSWORD}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
{DATABASE} = host=127.0.0.1 port={server.port} dbname={DATABASE}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = session
default_pool_size = 320
max_client_conn = 500
server_idle_timeout = 2
client_tls_sslmode = allow
client_tls_cert_file = {made.certificate}
client_tls_key_file = {made.key}
log_connections = 0
log_disconnections = 0
ignore_startup_parameters = extra_float_digits
"""
    )
    owner = find_owner()  # it refuses to run as root, as PostgreSQL does
    if owner:
        folder.parent.chmod(0o711)
        for path in (folder, *folder.iterdir()):
            os.chown(path, owner.uid, owner.gid)
    log = folder.parent / "pgbouncer.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [program, str(folder / "pgbouncer.ini")],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
            user=owner.uid if owner else None,
            group=owner.gid if owner else None,
            extra_groups=[] if owner else None,
        )
    try:
        wait_for_port(port, process, log)
        conninfo = f"host=127.0.0.1 port={port} user={ACCOUNT} dbname={DATABASE}"
        yield Variant("pgbouncer", conninfo, PASSWORD, made.root, process.pid)
    finally:
        process.terminate()
        process.wait()


@contextmanager
def open_gatebook(server: Postgres, folder: Path, *, verify: bool) -> Iterator[tuple[Variant, Gate]]:
    """Open a gate with policy, journal and recording; plaintext is let in beside TLS, for the comparison only."""
    role = Login("bench", ACCOUNT, PASSWORD, ("bench-agents",))
    gate = make_gate(folder, Target("bench", DATABASE, server.port, (role,)), policies={"bench.cedar": POLICY})
    gate.set("gate", insecure_plaintext=True)
    key = gate.create_key("bench-agent", ("bench-agents",))
    gate.serve()
    try:
        assert gate.process is not None
        conninfo = f"host=127.0.0.1 port={gate.port} user={key.agent} dbname=bench"
        yield Variant("gatebook", conninfo, key.token, gate.root, gate.process.pid), gate
    finally:
        gate.stop()
    if verify:
        print(
            "the book of the run is verified: a minute for each million statements or more", file=sys.stderr, flush=True
        )
        report = gate.run("ledger", "verify", check=False)
        if report.returncode:
            raise RuntimeError(
                f"the book of the benchmark is not whole:\n{report.stdout[-2000:]}{report.stderr[-500:]}"
            )
