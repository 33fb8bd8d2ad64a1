# SPDX-License-Identifier: Apache-2.0
"""More connections than the gate may open files for: they are turned away, and nobody else notices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres


@pytest.fixture
def narrow(server: Postgres, folder: Path) -> Iterator[Place]:
    make_database(server, "narrow")
    place = make_place(folder, server, "narrow")
    place.gate.serve(("prlimit", "--nofile=190"))  # thirty connections
    yield place
    place.gate.stop()


def test_pg_39_more_connections_than_descriptors_are_turned_away_and_the_gate_goes_on(narrow: Place) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(psycopg.connect(narrow.through.dsn, autocommit=True))
        let_in = 1
        for _ in range(60):
            try:
                stack.enter_context(psycopg.connect(narrow.through.dsn, autocommit=True, connect_timeout=5))
                let_in += 1
            except psycopg.OperationalError:
                continue
        assert 20 <= let_in <= 30
        assert first.execute("SELECT 'served'").fetchone() == ("served",)
    eventually(lambda: narrow.through.psql("-c", "SELECT 'again'").stdout == "again\n")
    assert narrow.gate.process is not None
    assert narrow.gate.process.poll() is None
