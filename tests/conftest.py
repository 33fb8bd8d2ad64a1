# SPDX-License-Identifier: Apache-2.0
"""What the tests with real servers share: one PostgreSQL and one gate that permits everything, for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers import Place, make_database, make_place
from support.witness import close_witnesses
from throwaway_postgres import Postgres, PostgresMissing, throwaway_postgres

SCHEMA = """
CREATE TABLE things (id int PRIMARY KEY, name text NOT NULL, price numeric(10, 2), made date, raw bytea, tags text[]);
INSERT INTO things
SELECT i, 'thing ' || i, i * 1.25, date '2024-01-01' + i, decode(md5(i::text), 'hex'), ARRAY['a' || i, NULL, 'c']
FROM generate_series(1, 1000) AS i;
"""


REAL = {"real", "security", "faults", "browser"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if REAL.intersection(item.path.parts):
            item.add_marker(pytest.mark.real)


@pytest.fixture(autouse=True)
def _closed_witnesses() -> Iterator[None]:
    yield
    close_witnesses()


@pytest.fixture(scope="session")
def server() -> Iterator[Postgres]:
    """PostgreSQL, with TLS where it was built so."""
    try:
        with throwaway_postgres(tls=True) as running:
            yield running
    except PostgresMissing as missing:
        pytest.fail(str(missing))


@pytest.fixture(scope="session")
def place(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gate that permits everything, before the database `work`, over verified TLS on both sides if that can be."""
    make_database(server)
    made = make_place(tmp_path_factory.mktemp("gate") / "gate", server)
    made.ask(SCHEMA)
    made.gate.serve()
    yield made
    made.gate.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that `gatebook init` may make."""
    return tmp_path / "gate"
