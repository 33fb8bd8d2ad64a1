# SPDX-License-Identifier: Apache-2.0
"""A gate that serves metrics: kept decisions are counted as hits."""

from __future__ import annotations

import socket
import urllib.request
from pathlib import Path

from support.servers import make_database, make_place
from throwaway_postgres import Postgres


def test_statements_of_one_shape_are_hits(server: Postgres, folder: Path) -> None:
    make_database(server, "measured")
    place = make_place(folder, server, "measured")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    place.gate.set("gate", metrics_port=port)
    place.gate.serve()
    try:
        script = "".join(f"SELECT 1 FROM pg_class WHERE relpages = {number};\n" for number in range(50))
        assert place.through.psql(script=script).returncode == 0
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    finally:
        place.gate.stop()
    values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert float(values["gatebook_decisions_kept_hits_total"]) >= 45
    assert float(values["gatebook_sessions_admitted_total"]) == 1
    assert float(values["gatebook_journal_entries_total"]) > 100
