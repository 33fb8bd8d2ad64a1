# SPDX-License-Identifier: Apache-2.0
"""One measurement: pgbench on a way to the database, and what the process between used meanwhile."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psycopg
from throwaway_postgres import Programs
from variants import Variant

TICK_US = 1_000_000 // os.sysconf("SC_CLK_TCK")
IDLE_SESSIONS = 50
# Each statement has a name of its own in it, so that no decision serves two of them.
NEW = "\\set name random(1, 9000000000000000)\nSELECT abalance AS a:name FROM pgbench_accounts WHERE aid = 1;\n"
_PROGRESS = re.compile(r"progress: ([\d.]+) s, ([\d.]+) tps, lat ([\d.]+) ms")


@dataclass(frozen=True)
class Case:
    """What pgbench does."""

    mode: str
    clients: int
    tls: bool
    # Beside it, one more session sends statements that are all new.
    flood: bool = False

    @property
    def warm_s(self) -> int:
        """Seconds not measured: of logins, first decisions, and of PgBouncer opening its connections one by one."""
        return 1 + self.clients // 32

    @property
    def name(self) -> str:
        """As in tables and in JSON."""
        clients = "1 client" if self.clients == 1 else f"{self.clients} clients"
        flood = ", beside new statements" if self.flood else ""
        return f"select, {self.mode}, {clients}, {'TLS' if self.tls else 'plain'}{flood}"


@dataclass(frozen=True)
class Sample:
    """What was measured: means over the seconds between the first and the last report of pgbench."""

    latency_us: float
    tps: float
    cpu_us: float | None
    # Of every single statement, where one client ran.
    p50_us: float | None = None
    p99_us: float | None = None


class BenchFailed(Exception):
    """pgbench failed; the message is what it said."""


def measure(programs: Programs, variant: Variant, case: Case, seconds: int) -> Sample:
    """Run pgbench for `case.warm_s` seconds more than is measured. BenchFailed."""
    with tempfile.TemporaryDirectory(prefix="gbbench-", dir="/tmp") as folder:
        flood = _start_flood(programs, variant, case, seconds, Path(folder)) if case.flood else None
        try:
            return _measure(programs, variant, case, seconds, Path(folder))
        finally:
            if flood:
                flood.terminate()
                flood.wait()


def _start_flood(
    programs: Programs, variant: Variant, case: Case, seconds: int, folder: Path
) -> subprocess.Popen[bytes]:
    script = folder / "new.sql"
    script.write_text(NEW)
    return subprocess.Popen(
        [
            *(
                programs.client("pgbench"),
                "-n",
                "-M",
                "simple",
                "-c",
                "1",
                "-T",
                str(seconds + case.warm_s + 9),
                "-f",
                str(script),
            ),
            variant.connection(tls=case.tls),
        ],
        env=os.environ | {"PGPASSWORD": variant.password} | programs.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _measure(programs: Programs, variant: Variant, case: Case, seconds: int, folder: Path) -> Sample:
    log = ("-l", f"--log-prefix={folder}/each") if case.clients == 1 else ()
    process = subprocess.Popen(
        [
            *(programs.client("pgbench"), "-S", "-n", "-P", "1", "-M", case.mode, *log),
            *("-c", str(case.clients), "-j", str(min(2, case.clients)), "-T", str(seconds + case.warm_s + 1)),
            variant.connection(tls=case.tls),
        ],
        env=os.environ | {"PGPASSWORD": variant.password} | programs.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    reports: list[tuple[float, float, float]] = []
    cpu: list[int] = []
    for line in process.stderr:
        said.append(line)
        found = _PROGRESS.match(line)
        if found and float(found[1]) >= case.warm_s and len(reports) <= seconds:
            reports.append((float(found[1]), float(found[2]), float(found[3])))
            cpu.append(cpu_us(variant.pid) if variant.pid else 0)
    if process.wait() or len(reports) <= seconds:
        raise BenchFailed(f"{variant.name}, {case.name}: {''.join(said)[-2000:]}")
    queries = sum((now[0] - before[0]) * now[1] for before, now in pairwise(reports))
    waited = sum((now[0] - before[0]) * now[1] * now[2] for before, now in pairwise(reports))
    return Sample(
        latency_us=waited / queries * 1000,
        tps=queries / (reports[-1][0] - reports[0][0]),
        cpu_us=(cpu[-1] - cpu[0]) / queries if variant.pid else None,
        **_percentiles(folder),
    )


def _percentiles(folder: Path) -> dict[str, float]:
    """From pgbench's log of each transaction, whose third field is the latency; the first second is left out."""
    lines = [line.split() for path in folder.glob("each.*") for line in path.read_text().splitlines()]
    if not lines:
        return {}
    begun = min(int(fields[4]) for fields in lines) + 1
    took = [int(fields[2]) for fields in lines if int(fields[4]) > begun]
    cuts = statistics.quantiles(took, n=100)
    return {"p50_us": cuts[49], "p99_us": cuts[98]}


def cpu_us(pid: int) -> int:
    """Processor time that a process and its threads used so far, in microseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_US


def resident_kib(pid: int) -> int:
    """Memory of a process that is resident now, in KiB."""
    return _status(pid, "VmRSS")


def peak_kib(pid: int) -> int:
    """The most memory of a process that was ever resident, in KiB."""
    return _status(pid, "VmHWM")


def idle_session_kib(variant: Variant) -> float:
    """What an idle session inside TLS adds to the process between, after one statement, in KiB."""
    assert variant.pid is not None
    conninfo = f"{variant.connection(tls=True)} password={variant.password}"
    opened = [_open(conninfo) for _ in range(IDLE_SESSIONS)]  # they warm what all share
    before = resident_kib(variant.pid)
    opened += [_open(conninfo) for _ in range(IDLE_SESSIONS)]
    time.sleep(2)  # buffers of what has gone quiet are given back
    after = resident_kib(variant.pid)
    for connection in opened:
        connection.close()
    return (after - before) / IDLE_SESSIONS


def _open(conninfo: str) -> psycopg.Connection[tuple[object, ...]]:
    connection = psycopg.connect(conninfo, autocommit=True)
    connection.execute("SELECT 1")
    return connection


def _status(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0
