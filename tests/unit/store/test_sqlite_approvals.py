# SPDX-License-Identifier: Apache-2.0
"""Requests in SQLite: several connections at once, and rows that nobody can read. The rest is in the shared suite."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from support.asked import DIGEST, NOW, REQUEST, crowd, holding, vote
from support.store_suite import no_check

from gatebook.approval import request as rules
from gatebook.approval.request import NotNow
from gatebook.model.approval import Request, State
from gatebook.store.base import StoreFault
from gatebook.store.sqlite import SqliteStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(open_store(tmp_path / "gatebook.db")) as opened:
        yield opened


def test_ap_12_ten_connections_race_for_three_uses(store: SqliteStore, tmp_path: Path) -> None:
    granted = rules.cast(holding(uses=3), vote(), crowd())
    store.add_request(granted, no_check)
    together = Barrier(10)

    def use(number: int) -> bool:
        with closing(open_store(tmp_path / "gatebook.db")) as own:
            together.wait()
            try:
                own.change_request(granted.id, lambda one: rules.use(one, DIGEST, crowd(), NOW, f"s_{number}.1"))
            except NotNow:
                return False
            return True

    with ThreadPoolExecutor(10) as threads:
        used = list(threads.map(use, range(10)))
    assert sum(used) == 3
    found = store.find_request(granted.id)
    assert found is not None
    assert (found.state, found.used) == (State.USED, 3)


def test_no_other_writer_enters_a_change(store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.store.sqlite.BUSY_TIMEOUT_S", 0.01)
    store.add_request(REQUEST, no_check)
    with closing(open_store(tmp_path / "gatebook.db")) as other:

        def change(found: Request) -> Request:
            with pytest.raises(StoreFault, match="the store cannot be written: database is locked"):
                other.change_request(REQUEST.id, lambda one: replace(one, why="second"))
            return replace(found, why="first")

        store.change_request(REQUEST.id, change)
        found = other.find_request(REQUEST.id)
    assert found is not None
    assert found.why == "first"


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff", b"[]"])
def test_a_request_that_cannot_be_read_is_a_fault(store: SqliteStore, body: bytes) -> None:
    store.add_request(REQUEST, no_check)
    store._connection.execute("UPDATE approval SET body = ?", (body,))
    with pytest.raises(StoreFault, match="a request in the store cannot be read"):
        store.find_request(REQUEST.id)
