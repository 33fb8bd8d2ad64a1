# SPDX-License-Identifier: Apache-2.0
"""Search beside a real gate: what a client did is found a moment later, and a dead indexer stops nothing."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

from gatebook.evidence.receipt import Receipt


@pytest.fixture
def place(server: Postgres, folder: Path) -> Iterator[Place]:
    name = f"search_{os.getpid()}_{abs(hash(folder)) % 10**8}"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.ask("CREATE TABLE orders (id int, total int); INSERT INTO orders VALUES (1, 10), (2, 20)")
    place.gate.serve()
    eventually((place.gate.data / "ledger" / "checkpoint").exists)
    yield place
    place.gate.stop()


def found(place: Place, *words: str) -> list[dict[str, Any]]:
    answer = cast("dict[str, Any]", place.gate.ask("search", *words))
    return cast("list[dict[str, Any]]", answer["hits"])


def index_of(place: Place) -> dict[str, Any]:
    return cast("dict[str, Any]", place.gate.ask("index", "show", check=False))


def indexer_of(place: Place) -> int:
    """Process id of the indexer that a gate has started."""
    assert place.gate.process is not None
    children = Path(f"/proc/{place.gate.process.pid}/task/{place.gate.process.pid}/children").read_text().split()
    found = [int(one) for one in children if b"index\0follow" in Path(f"/proc/{one}/cmdline").read_bytes()]
    return found[0] if found else 0


def test_who_touched_a_table_is_found_and_can_be_proved(place: Place, tmp_path: Path) -> None:
    place.through.psql("-c", "SELECT * FROM orders WHERE total > 5")
    place.through.psql("-c", "SELECT 1")
    (hit,) = eventually(lambda: found(place, "--object", "orders", "--prove"))
    assert (hit["decision"], hit["status"], hit["rows"]) == ("allow", "done", 2)
    assert hit["leaf"]["identity"]["agent"]["sub"] == place.key.agent
    assert found(place, "--object", "public.orders", "--action", "delete") == []
    session = hit["leaf"]["session"]
    kinds = [one["leaf"]["event"] for one in found(place, "--session", session)]
    assert kinds[:3] == ["authn", "session.start", "operation.intent"]
    proof = tmp_path / "proof"
    place.gate.run("receipt", "make", str(hit["entry"]), "-o", str(proof))
    assert json.loads(Receipt.parse(proof.read_bytes()).entry) == hit["leaf"]


def test_the_gate_keeps_the_index_up(place: Place) -> None:
    place.through.psql("-c", "SELECT * FROM orders")
    size = int((place.gate.data / "ledger" / "checkpoint").read_bytes().splitlines()[1])
    eventually(lambda: index_of(place).get("indexed", 0) > size if (place.gate.data / "index.db").exists() else False)
    place.gate.stop()
    eventually(lambda: len(found(place, "--event", "gateway.stop")) == 1)


def test_a_killed_or_hindered_indexer_stops_nothing_and_comes_back(place: Place) -> None:
    first = eventually(lambda: indexer_of(place))
    eventually((place.gate.data / "index.db").exists)
    os.kill(first, signal.SIGKILL)
    assert place.through.psql("-c", "SELECT 41 + 1").stdout == "42\n"
    eventually(lambda: indexer_of(place) not in {0, first})
    assert b"the indexer died" in place.gate.log.read_bytes()
    for end in ("", "-wal", "-shm"):
        (place.gate.data / f"index.db{end}").unlink(missing_ok=True)
    (place.gate.data / "index.db").write_bytes(b"garbage" * 1000)
    assert place.through.psql("-c", "SELECT 42 + 1").stdout == "43\n"
    assert place.gate.run("search", check=False).returncode == 1
    place.gate.run("index", "rebuild")
    assert found(place, "--agent", place.key.agent)
    assert place.gate.stop() == 0
    report = cast("dict[str, Any]", place.gate.ask("ledger", "verify"))
    assert report["ok"], report["findings"]


def test_no_indexer_is_started_where_the_configuration_says_so(server: Postgres, folder: Path) -> None:
    name = f"search_{os.getpid()}_off"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.set("index", follow="off")
    place.gate.serve()
    try:
        place.through.psql("-c", "SELECT 1")
        assert not indexer_of(place)
        assert not (place.gate.data / "index.db").exists()
        eventually((place.gate.data / "ledger/checkpoint").exists)
        assert eventually(lambda: found(place, "--decision", "allow", "--event", "operation.intent"))
    finally:
        place.gate.stop()
