# SPDX-License-Identifier: Apache-2.0
"""An agent that fills the book is refused; another, the ends of sessions and the operator go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import psycopg
import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres


@pytest.fixture
def small(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    make_database(server, "small")
    place = make_place(tmp_path_factory.mktemp("small") / "gate", server, "small")
    place.gate.set("limits", journal_bytes_per_hour=256 << 10)
    place.gate.serve()
    yield place
    place.gate.stop()


def test_au_07_one_agent_uses_up_its_room_and_nobody_elses(small: Place) -> None:
    other = small.gate.create_key("other")
    with psycopg.connect(small.through.dsn, autocommit=True) as connection:
        session = str(small.gate.sessions()[-1]["session"])
        with suppress(psycopg.errors.ConfigurationLimitExceeded):
            for number in range(1_000):
                connection.execute(f"SELECT {number}")
        for _ in range(3):
            with pytest.raises(psycopg.errors.ConfigurationLimitExceeded, match="used up its room"):
                connection.execute("SELECT 1")
        with psycopg.connect(small.through_with(other).dsn, autocommit=True) as undisturbed:
            assert undisturbed.execute("SELECT 2").fetchone() == (2,)
        with (
            psycopg.connect(small.through.dsn, autocommit=True) as again,  # a new session has no new quota
            pytest.raises(psycopg.errors.ConfigurationLimitExceeded),
        ):
            again.execute("SELECT 1")
        small.gate.run("key", "revoke", other.id)
    eventually(lambda: next(one["ended"] for one in small.gate.sessions() if one["session"] == session))
    told = small.gate.ask("sessions", "show", session)
    assert isinstance(told, dict)
    refused = [one for one in told["operations"] if one["decision"] == "refuse"]
    assert len(refused) == 1
    assert small.gate.stop() == 0
    report = small.gate.ask("ledger", "verify")
    assert isinstance(report, dict)
    assert report["ok"] is True
