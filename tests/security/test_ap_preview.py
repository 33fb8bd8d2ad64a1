# SPDX-License-Identifier: Apache-2.0
"""The plan that people are shown of what is held runs nothing of it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.approvers import Approvers
from support.held import asked, connect, held
from throwaway_postgres import Postgres


@pytest.fixture(scope="module")
def desk(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvers]:
    with held(tmp_path_factory.mktemp("ap_preview") / "gate", server, "ap_preview", preview=True) as desk:
        yield desk


@pytest.mark.parametrize("sql", ["SELECT raise_all()", "SELECT 1 WHERE raise_all() = 1", "SELECT 1 + raise_all()"])
def test_ap_03_a_function_that_says_it_is_immutable_is_not_run_by_a_plan(desk: Approvers, sql: str) -> None:
    # The planner computes what is immutable; a read-only transaction still lets it write files of the server.
    trace = Path("/tmp") / f"gatebook-{uuid.uuid4().hex}"
    inner = f"BEGIN COPY (SELECT 1) TO ''{trace}''; RETURN 1; END"
    desk.place.ask(f"CREATE OR REPLACE FUNCTION inner_one() RETURNS int LANGUAGE plpgsql VOLATILE AS '{inner}'")
    outer = "BEGIN RETURN inner_one(); END"
    desk.place.ask(f"CREATE OR REPLACE FUNCTION raise_all() RETURNS int LANGUAGE plpgsql IMMUTABLE AS '{outer}'")
    with connect(desk) as agent:
        request = asked(agent, sql)
    assert desk.show(request)["shown"]["preview"] == {
        "none": "there are no plans of statements that call functions: a plan could run them"
    }
    assert not trace.exists()


def test_what_calls_no_function_has_its_plan(desk: Approvers) -> None:
    with connect(desk) as agent:
        request = asked(agent, "UPDATE returns SET price = price + 1 WHERE id > 3")
    assert desk.show(request)["shown"]["preview"]["plan"][0] == "Update on returns"
