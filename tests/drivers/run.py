# SPDX-License-Identifier: Apache-2.0
"""Broad programmes of nine drivers, each run direct and through the gate: what they print must be the same.

Run: make test-drivers [ARGS="pgx asyncpg"]

Each folder beside this file holds one programme. It connects as libpq's environment says (PGHOST, PGPORT, PGUSER,
PGPASSWORD, PGDATABASE, PGSSLROOTCERT, always TLS with the name verified), runs its steps, and prints one JSON object:
step -> outcome. What a driver needs is fetched by the usual client of its registry into .cache/drivers; a driver whose
language is not installed is left out, and said to be.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "drivers"
STEP_S = 120
PREPARE_S = 900

sys.path.insert(0, str(ROOT / "tools"))

from throwaway_postgres import Postgres, throwaway_postgres  # noqa: E402  the path above is how tools are found

PACKAGES = {
    "psycopg2": ["psycopg2-binary>=2.9,<3"],
    "psycopg3": ["psycopg[binary]>=3.2,<4"],
    "asyncpg": ["asyncpg>=0.30,<1"],
    "pg8000": ["pg8000>=1.31,<2"],
    "sqlalchemy": ["sqlalchemy>=2,<3", "psycopg[binary]>=3.2,<4"],
}


@dataclass(frozen=True, slots=True)
class Driver:
    """A programme: what it needs on the machine, how it is made ready, and how it is run in `folder`."""

    name: str
    needs: Sequence[str]
    prepare: Sequence[Sequence[str]]
    command: Sequence[str]

    @property
    def folder(self) -> Path:
        """Where it is built: a copy, so that nothing is written beside the sources."""
        return CACHE / self.name


def python_driver(name: str) -> Driver:
    """A programme in Python, in a virtual environment of its own."""
    python = str(CACHE / name / "venv" / "bin" / "python")
    prepare = [
        [sys.executable, "-m", "venv", "venv"],
        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES[name]],
    ]
    return Driver(name, (), prepare, [python, "programme.py"])


DRIVERS = (
    *(python_driver(name) for name in PACKAGES),
    Driver("node-postgres", ["node", "npm"], [["npm", "install", "--silent"]], ["node", "programme.js"]),
    Driver("pgx", ["go"], [["go", "mod", "tidy"], ["go", "build", "-o", "programme", "."]], ["./programme"]),
    Driver(
        "pgjdbc",
        ["mvn", "java"],
        [["mvn", "-q", "-B", "package", "dependency:copy-dependencies"]],
        ["java", "-cp", "target/classes:target/dependency/*", "Programme"],
    ),
    Driver("tokio-postgres", ["cargo"], [["cargo", "build", "--quiet"]], ["target/debug/programme"]),
)


def main(names: Sequence[str]) -> int:
    """Run the programmes named, or all; 1 if one prints something else through the gate."""
    different = 0
    with throwaway_postgres(tls=True) as server, gate(server) as through:
        direct = {
            "PGHOST": "localhost",
            "PGPORT": str(server.port),
            "PGPASSWORD": server.password,
            "PGSSLROOTCERT": str(server.tls_root),
        }
        for driver in DRIVERS:
            if names and driver.name not in names:
                continue
            missing = [need for need in driver.needs if shutil.which(need) is None]
            if missing:
                print(f"{driver.name:16} left out: {', '.join(missing)} not installed")
                continue
            make_ready(driver)
            told = [run(driver, server, way) for way in (direct, through)]
            different += compare(driver.name, *told)
    return 1 if different else 0


@contextmanager
def gate(server: Postgres) -> Iterator[Mapping[str, str]]:
    """A gate before the server; the environment of its clients."""
    command = [str(ROOT / ".venv" / "bin" / "gatebook"), "try", server.url(), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        told = json.loads(process.stdout.readline())
        reader = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)  # the book goes on
        yield {
            "PGHOST": told["host"],
            "PGPORT": str(told["port"]),
            "PGPASSWORD": told["password"],
            "PGSSLROOTCERT": told["sslrootcert"],
        }
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        reader.wait(10)


def make_ready(driver: Driver) -> None:
    """Copy the programme and fetch what it needs. CalledProcessError if that fails."""
    shutil.copytree(HERE / driver.name, driver.folder, dirs_exist_ok=True)
    for command in driver.prepare:
        subprocess.run(command, cwd=driver.folder, check=True, timeout=PREPARE_S)


def run(driver: Driver, server: Postgres, way: Mapping[str, str]) -> dict[str, object]:
    """Run a programme on a fresh database; what it printed, by step."""
    server.psql("DROP DATABASE IF EXISTS drivers WITH (FORCE)")
    server.psql("CREATE DATABASE drivers")
    environment = {**os.environ, **way, "PGUSER": "postgres", "PGDATABASE": "drivers", "PGSSLMODE": "verify-full"}
    done = subprocess.run(
        driver.command,
        cwd=driver.folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        timeout=STEP_S,
        check=False,
    )
    try:
        told: dict[str, object] = json.loads(done.stdout)
    except ValueError:
        told = {"programme": f"ended with {done.returncode}: {done.stdout[-500:]}"}
    return told


def compare(name: str, direct: Mapping[str, object], through: Mapping[str, object]) -> int:
    """Tell the steps whose outcomes differ; how many."""
    steps = [*direct, *(step for step in through if step not in direct)]
    different = [step for step in steps if direct.get(step) != through.get(step)]
    print(f"{name:16} {len(steps) - len(different)} of {len(steps)} steps the same", flush=True)
    for step in different:
        print(f"  {step}\n    direct:  {direct.get(step)!r}\n    through: {through.get(step)!r}")
    return len(different) + ("programme" in direct)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
