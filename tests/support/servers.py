# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL and a gate before it, with stock clients to reach both the same way."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from throwaway_gate import Gate, Key, Login, Target, make_gate
from throwaway_postgres import Postgres

from gatebook.vault.journal import Faults, JournalReader

T = TypeVar("T")
ACCOUNT = "app"
PASSWORD = "of the account"
DATABASE = "work"
TARGET = "work"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to a database: past the gate or through it. Both are used alike."""

    server: Postgres
    conninfo: str
    password: str

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a client that goes this way."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return kept | {"PGPASSWORD": self.password, **self.server.programs.environment()}

    @property
    def dsn(self) -> str:
        """Connection string with the password, for drivers."""
        return f"{self.conninfo} password='{self.password}'"

    def psql(self, *words: str, script: str | None = None, timeout_s: float = 50) -> subprocess.CompletedProcess[str]:
        """Run psql, unaligned and without headings; `script` goes to its standard input."""
        return subprocess.run(
            [self.server.programs.client("psql"), "-XAt", self.conninfo, *words],
            env=self.environment,
            input="" if script is None else script,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
        )

    def start_psql(self, *words: str) -> subprocess.Popen[str]:
        """Start psql in a process group of its own, with pipes."""
        return subprocess.Popen(
            [self.server.programs.client("psql"), "-XAt", self.conninfo, *words],
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def pgbench(self, *words: str, timeout_s: float = 100) -> str:
        """Run pgbench and return what it printed. AssertionError with that if it failed."""
        done = subprocess.run(
            [self.server.programs.client("pgbench"), *words, self.conninfo],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=timeout_s,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@dataclass(frozen=True, slots=True)
class Place:
    """A server, a gate before it, and the agent's key."""

    server: Postgres
    gate: Gate
    key: Key
    database: str = DATABASE

    @property
    def through(self) -> Way:
        """The agent's way, through the gate."""
        return self.through_with()

    @property
    def direct(self) -> Way:
        """The way past the gate, as the account behind it."""
        conninfo = f"host=127.0.0.1 port={self.server.port} user={ACCOUNT} dbname={self.database}"
        return Way(self.server, conninfo, PASSWORD)

    def through_with(self, key: Key | None = None, **words: object) -> Way:
        """The way through the gate with another key, or other words in the connection string."""
        key = key or self.key
        return Way(self.server, self.gate.conninfo(key, TARGET, **words), key.token)

    def ask(self, sql: str) -> str:
        """Run SQL as superuser, past the gate."""
        return self.server.psql(sql, self.database)

    def entries(self, event: str) -> list[dict[str, Any]]:
        """Return the leaves of a kind from the gate's journal, while it may be writing."""
        reader = JournalReader(self.gate.data / "journal" / "gatebook", Faults())
        leaves = [json.loads(record.leaf) for record in reader.read()]
        return [leaf for leaf in leaves if leaf["event"] == event]

    def operations_since(self, before: Iterable[object]) -> list[dict[str, Any]]:
        """Return the operations of the newest session that was not among `before`, once it has ended."""
        session = eventually(lambda: self._ended_since(before))
        told = self.gate.ask("sessions", "show", session, "--text", "--purpose", "test")
        assert isinstance(told, dict)
        operations = told["operations"]
        assert isinstance(operations, list)
        return operations

    def known_sessions(self) -> set[object]:
        """Return the ids of the sessions that the book has."""
        return {session["session"] for session in self.gate.sessions()}

    def _ended_since(self, before: Iterable[object]) -> str:
        fresh = [one for one in self.gate.sessions() if one["session"] not in before and one["ended"]]
        return str(fresh[-1]["session"]) if fresh else ""


def eventually(ask: Callable[[], T], within_s: float = 10) -> T:
    """Ask until the answer is true; AssertionError if it does not come."""
    deadline = time.monotonic() + within_s
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return answer


def make_database(server: Postgres, name: str = DATABASE) -> None:
    """Make a database that the account owns, and the account: it may do everything, so that the gate alone says no."""
    if server.psql(f"SELECT 1 FROM pg_roles WHERE rolname = '{ACCOUNT}'") == "":
        server.psql(f"CREATE ROLE {ACCOUNT} LOGIN SUPERUSER PASSWORD '{PASSWORD}'")
    server.psql(f"CREATE DATABASE {name} OWNER {ACCOUNT}")


def target_of(server: Postgres, database: str = DATABASE) -> Target:
    """Return the target that is a database of the server, for the group `agents`."""
    role = Login("app", ACCOUNT, PASSWORD, ("agents",))
    return Target(TARGET, database, server.port, (role,), tls_root=server.tls_root)


def make_place(
    folder: Path, server: Postgres, database: str = DATABASE, *, policies: Mapping[str, str] | None = None
) -> Place:
    """Make a gate before a database, and an agent's key. It does not serve yet."""
    gate = make_gate(folder, target_of(server, database), policies=policies)
    return Place(server, gate, gate.create_key("helper"), database)
