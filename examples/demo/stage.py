# SPDX-License-Identifier: Apache-2.0
"""What the demo plays on: a throwaway PostgreSQL with the shop in it, a gate before it, and an agent with a key."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acts import Act, Seen
from throwaway_gate import OWNER, Gate, Key, Login, Target, make_gate
from throwaway_postgres import Postgres, free_port, throwaway_postgres

HERE = Path(__file__).resolve().parent
AGENT = "stock-helper"
GROUP = "shop-agents"
APPROVER = "olive"
END_S = 10.0

# The account of the role owns its tables, as the accounts of applications usually do, so that whatever is refused here
# is refused by the gate. Give your own roles accounts with no more rights than they need: README.md of this folder.
ACCOUNTS = """
CREATE ROLE shop_app LOGIN PASSWORD '{app}';
CREATE ROLE shop_reader LOGIN PASSWORD '{reader}';
CREATE ROLE shop_catalogue LOGIN PASSWORD '{catalogue}';
ALTER TABLE customers OWNER TO shop_app;
ALTER TABLE orders OWNER TO shop_app;
ALTER TABLE payments OWNER TO shop_app;
ALTER TABLE employees OWNER TO shop_app;
GRANT SELECT ON customers, orders, payments TO shop_reader;
"""
COUNT = """
SELECT (SELECT count(*) FROM customers) + (SELECT count(*) FROM orders)
     + (SELECT count(*) FROM payments) + (SELECT count(*) FROM employees)
"""


@dataclass(frozen=True)
class Stage:
    """Everything that runs."""

    server: Postgres
    gate: Gate
    key: Key

    def play(self, act: Act) -> tuple[Seen, dict[str, Any]]:
        """Run an act in a psql of its own and return what was seen, and the session as the book has it at its end."""
        before = {session["session"] for session in self.gate.sessions()}
        command = [self.server.programs.client("psql"), "-X", "-P", "pager=off", self.conninfo]
        for sql in act.commands:
            command += ["-c", sql]
        surroundings = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        surroundings |= {"PGPASSWORD": self.key.token, **self.server.programs.environment()}
        with subprocess.Popen(
            command,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as psql:
            approver = self._approve() if act.held else ""
            text, _ = psql.communicate(timeout=60)
        return Seen(text, psql.returncode, approver), self._session_since(before)

    def _approve(self) -> str:
        """Be the person who is asked: look at the request, sign, and return what the command line showed."""
        request = next(iter(self._wait(lambda: self.gate.ask("approvals", "list"))))["request"]
        shown = self.gate.run("approvals", "show", request).stdout
        words = ("approvals", "approve", request, "--person", APPROVER, "--key")
        voted = self.gate.run(*words, str(self.gate.folder / "shop_owner")).stderr
        return f"$ gatebook approvals show {request}\n{shown}\n$ gatebook {' '.join(words)} shop_owner\n{voted}"

    def _wait(self, ask: Callable[[], Any]) -> Any:  # noqa: ANN401  what JSON holds
        deadline = time.monotonic() + END_S
        while not (found := ask()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    @property
    def conninfo(self) -> str:
        """How the agent connects."""
        return self.gate.conninfo(self.key, "shop")

    def ask(self, sql: str) -> str:
        """Ask the shop's database past the gate."""
        return self.server.psql(sql, "shop")

    def _session_since(self, before: set[Any]) -> dict[str, Any]:
        deadline = time.monotonic() + END_S
        while True:
            fresh = [session for session in self.gate.sessions() if session["session"] not in before]
            if fresh and fresh[-1]["ended"]:
                break
            if time.monotonic() > deadline:
                return {"session": "", "operations": []}
            time.sleep(0.05)
        told = self.gate.ask("sessions", "show", str(fresh[-1]["session"]))
        assert isinstance(told, dict)
        return told


@contextmanager
def set_stage(folder: Path, say: Callable[[str], None]) -> Iterator[Stage]:
    """Start everything, in `folder` what stays when all is over: the gate's configuration and its book."""
    passwords = {name: secrets.token_hex(16) for name in ("app", "reader", "catalogue")}
    port = free_port()
    with ThreadPoolExecutor() as beside, throwaway_postgres(port=port) as server:
        made = beside.submit(_make_gate, folder, port, passwords)
        say(f"PostgreSQL runs on port {port}")
        server.psql("CREATE DATABASE shop")
        server.psql((HERE / "schema.sql").read_text() + ACCOUNTS.format(**passwords), "shop")
        rows = int(server.psql(COUNT, "shop"))
        say(f"the shop is open: {rows:,} rows of customers, orders, payments and employees")
        gate, key = made.result()
        say(f"gatebook init made {_short(gate.config)}; the policies are those of examples/demo/policies")
        say(f"gatebook key create made key {key.id} for the agent {AGENT}, owned by {OWNER}, in group {GROUP}")
        gate.serve()
        say(f"gatebook person add made {APPROVER}, of the shop's owners, with an SSH key to sign with")
        say(f"gatebook serve listens on port {gate.port}")
        try:
            yield Stage(server, gate, key)
        finally:
            gate.stop()


def _make_gate(folder: Path, port: int, passwords: dict[str, str]) -> tuple[Gate, Key]:
    """Make the gate before the shop, and the agent's key."""
    roles = (
        Login("app", "shop_app", passwords["app"], (GROUP,)),
        Login("reader", "shop_reader", passwords["reader"], ("shop-readers",)),
    )
    shop = Target("shop", "shop", port, roles, catalogue=("shop_catalogue", passwords["catalogue"]))
    shutil.rmtree(folder, ignore_errors=True)
    policies = {path.name: path.read_text() for path in (HERE / "policies").glob("*.cedar")}
    gate = make_gate(folder, shop, policies=policies)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", APPROVER, "-f", str(folder / "shop_owner")], check=True
    )
    gate.run("person", "add", APPROVER, "--group", "shop-owners")
    gate.run("person", "key", "add", APPROVER, str(folder / "shop_owner.pub"))
    return gate, gate.create_key(AGENT, (GROUP,))


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
