# SPDX-License-Identifier: Apache-2.0
"""A million rows at once: by SELECT, and by COPY out and in, in megabytes of COPY's text for each second."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from measure import BenchFailed
from throwaway_postgres import Postgres
from variants import DATABASE, Variant

WAYS = ("SELECT", "COPY out", "COPY in")


@dataclass(frozen=True)
class Bulk:
    """The rows of pgbench_accounts at scale 10 in a file, and how long its text is."""

    server: Postgres
    folder: Path
    megabytes: float

    def measure(self, variant: Variant, way: str, *, tls: bool) -> float:
        """Return megabytes per second; the client's own work is in it. BenchFailed with what it said."""
        psql = [self.server.programs.client("psql"), "-XqAt", variant.connection(tls=tls)]
        match way:
            case "SELECT":
                # pgbench takes the rows and looks at none
                (self.folder / "select.sql").write_text("SELECT * FROM pgbench_accounts;\n")
                command = [self.server.programs.client("pgbench"), "-n", "-t", "1", "-f", f"{self.folder}/select.sql"]
                command.append(variant.connection(tls=tls))
            case "COPY out":
                command = [*psql, "-c", "\\copy pgbench_accounts TO '/dev/null'"]
            case _:
                self.server.psql("TRUNCATE bulk", DATABASE)
                command = [*psql, "-c", f"\\copy bulk FROM '{self.folder}/rows'"]
        environment = os.environ | {"PGPASSWORD": variant.password} | self.server.programs.environment()
        began = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchFailed(f"{variant.name}, {way}: {done.stderr[-2000:]}")
        return self.megabytes / (time.monotonic() - began)


@contextmanager
def open_bulk(server: Postgres, direct: Variant) -> Iterator[Bulk]:
    """Write the rows into a file."""
    with tempfile.TemporaryDirectory(prefix="gbbulk-", dir="/tmp") as name:
        rows = Path(name) / "rows"
        subprocess.run(
            [
                *(server.programs.client("psql"), "-Xq", direct.connection(tls=False)),
                *("-c", f"\\copy pgbench_accounts TO '{rows}'"),
            ],
            env=os.environ | {"PGPASSWORD": direct.password} | server.programs.environment(),
            check=True,
        )
        yield Bulk(server, Path(name), rows.stat().st_size / 1e6)
