# SPDX-License-Identifier: Apache-2.0
"""Operations that wait for people, in stock clients: they wait, and go on or are refused."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from support.approvers import Approvers, approvers
from throwaway_postgres import Postgres

UPDATE = "UPDATE things SET price = price + 1"


@pytest.fixture(scope="module")
def desk(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvers]:
    folder = tmp_path_factory.mktemp("approval") / "gate"
    with approvers(folder, server, f"approval_{os.getpid()}", approval={"pending": 100, "per_hour": 1000}) as desk:
        yield desk


def test_psql_waits_and_goes_on_once_somebody_approves(desk: Approvers) -> None:
    waiting = desk.place.through.start_psql("-c", UPDATE)
    request = desk.waiting()
    assert waiting.poll() is None
    assert UPDATE in desk.place.gate.run("approvals", "show", request).stdout
    assert "granted" in desk.vote(request, "ana")
    out, err = waiting.communicate(timeout=20)
    assert out == "UPDATE 9\n"
    assert f"NOTICE:  gatebook: this waits for approval by 1 of `dba`: request {request}" in err
    assert desk.state(request) == "used"
