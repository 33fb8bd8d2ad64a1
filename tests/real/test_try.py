# SPDX-License-Identifier: Apache-2.0
"""`gatebook try`: a throwaway gate before a database of one's own, as everybody meets the product."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.servers import eventually, make_database
from throwaway_gate import gatebook
from throwaway_postgres import Postgres

MEMBERS = ["dbname", "host", "password", "port", "sslmode", "sslrootcert", "user"]


class Trial:
    """A running `gatebook try`, with the lines it has printed so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def connection(self) -> dict[str, Any]:
        """How to connect, as the first line of `--json` says."""
        first = eventually(lambda: self.lines[:1], within_s=30)[0]
        told: dict[str, Any] = json.loads(first)
        return told

    def printed(self) -> str:
        """Everything printed so far."""
        return "".join(self.lines)


@contextmanager
def trying(url: str, *words: str) -> Iterator[Trial]:
    """Run `gatebook try` until the context ends, which interrupts it."""
    process = subprocess.Popen(
        [gatebook(), "try", url, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    trial = Trial(process)
    try:
        yield trial
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream:
                stream.close()


@pytest.fixture(scope="module")
def own(server: Postgres) -> str:
    """URL of a database of one's own."""
    make_database(server, "own")
    return server.url("own")


def test_the_first_line_of_json_is_how_to_connect(own: str, tmp_path: Path) -> None:
    with trying(own, "--json", "--data", str(tmp_path / "book")) as trial:
        told = trial.connection()
        assert sorted(told) == MEMBERS
        assert (told["dbname"], told["sslmode"]) == ("own", "verify-full")
        with psycopg.connect(**told, autocommit=True) as connection:
            row = connection.execute("SELECT current_database(), current_user").fetchone()
        assert row == ("own", "postgres")
        assert len(trial.lines) == 1


def test_any_database_of_the_server_and_any_user_name_go_with_the_key(own: str, tmp_path: Path) -> None:
    with trying(own, "--json", "--data", str(tmp_path / "book")) as trial:
        told = trial.connection() | {"dbname": "postgres", "user": "whoever"}
        with psycopg.connect(**told) as connection:
            row = connection.execute("SELECT current_database(), current_user").fetchone()
        assert row == ("postgres", "postgres")


def test_a_policy_of_ones_own_decides(own: str, tmp_path: Path) -> None:
    policy = tmp_path / "mine.cedar"
    policy.write_text(
        "permit (principal, action, resource);\n"
        '@id("no-drops") @message("not here") forbid (principal, action == Action::"drop", resource);\n'
    )
    with (
        trying(own, "--json", "--policy", str(policy), "--data", str(tmp_path / "book")) as trial,
        psycopg.connect(**trial.connection(), autocommit=True) as connection,
    ):
        connection.execute("CREATE TABLE stays (x int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="not here"):
            connection.execute("DROP TABLE stays")
        assert connection.execute("SELECT count(*) FROM stays").fetchone() == (0,)


def test_a_bad_policy_is_refused_with_file_and_line(own: str, tmp_path: Path) -> None:
    policy = tmp_path / "bad.cedar"
    policy.write_text('permit (principal, action == Action::"fly", resource);\n')
    command = [gatebook(), "try", own, "--json", "--policy", str(policy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "bad.cedar" in done.stderr


def test_the_printed_command_works_as_it_stands_and_the_book_follows(
    own: str, server: Postgres, tmp_path: Path
) -> None:
    with trying(own, "--data", str(tmp_path / "book")) as trial:
        command = eventually(lambda: next((line for line in trial.lines if "psql" in line), ""), within_s=30)
        path = f"{server.programs.server}:{os.environ['PATH']}"
        done = subprocess.run(
            command.strip() + " -XAt -c 'SELECT 42 AS answer'",
            shell=True,
            env=os.environ | {"PATH": path} | server.programs.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert done.stdout == "42\n", done.stderr
        eventually(lambda: "SELECT" in trial.printed().replace(command, ""))
    config = tmp_path / "book" / "gatebook.toml"
    verify = [gatebook(), "ledger", "verify", "--config", str(config), "--json"]
    report = json.loads(subprocess.run(verify, capture_output=True, text=True, check=True, timeout=30).stdout)
    assert report["ok"] is True
    assert report["checked"]["sessions"] == 1


def test_plaintext_is_served_on_loopback_only_when_asked_for(own: str) -> None:
    with trying(own, "--json", "--insecure-plaintext") as trial:
        told = trial.connection()
        plain = {name: value for name, value in told.items() if name != "sslrootcert"} | {"sslmode": "disable"}
        with psycopg.connect(**plain) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_upstream_tls_follows_the_url(own: str, server: Postgres) -> None:
    if server.tls_root is None:
        pytest.skip("this PostgreSQL was built without TLS")
    with trying(f"{own}?sslmode=verify-full&sslrootcert={server.tls_root}", "--json") as trial:
        with psycopg.connect(**trial.connection()) as connection:
            row = connection.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone()
        assert row == (True,)


@pytest.mark.parametrize(
    "url", ["mysql://root@localhost/db", "postgresql://x@localhost/db?sslmode=prefer", "postgresql://x@localhost:x/db"]
)
def test_a_url_that_cannot_be_served_is_told_with_a_hint(url: str) -> None:
    done = subprocess.run([gatebook(), "try", url], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert "\nhint: " in done.stderr
