# SPDX-License-Identifier: Apache-2.0
"""The book of a gate where approvals go every way that they may: nothing in it is a finding, in ledger or bundle."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from support.approvers import Approvers, approvers
from support.servers import eventually
from throwaway_postgres import Postgres

POLICIES = {
    "approval.cedar": """
@id("reads") permit (principal in Group::"agents", action, resource)
unless { ["UPDATE", "DELETE", "INSERT", "COPY", "TRUNCATE"].contains(context.verb) };
@id("exact") @approval("dba") permit (principal in Group::"agents", action, resource)
when { context.verb == "UPDATE" };
@id("shape") @approval("dba") @covers("shape") @uses("3") permit (principal in Group::"agents", action, resource)
when { context.verb == "DELETE" };
@id("object") @approval("dba") @covers("object") @uses("5") permit (principal in Group::"agents", action, resource)
when { context.verb == "INSERT" };
@id("later") @approval("dba") @hold("return") permit (principal in Group::"agents", action, resource)
when { context.verb == "TRUNCATE" };
@id("unseen") @approval("dba") @unseen("data") permit (principal in Group::"agents", action, resource)
when { context.verb == "COPY" };
"""
}


@pytest.fixture(scope="module")
def desk(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvers]:
    folder = tmp_path_factory.mktemp("book") / "gate"
    settings = {"pending": 100, "per_hour": 1000}
    with approvers(folder, server, f"book_{os.getpid()}", policies=POLICIES, approval=settings) as desk:
        yield desk


def _approved(desk: Approvers, work: Callable[[psycopg.Connection], object]) -> str:
    """Run something that one approval is needed for, as one session."""

    def run() -> None:
        with psycopg.connect(desk.place.through.dsn, autocommit=True) as connection:
            work(connection)

    thread = threading.Thread(target=run)
    thread.start()
    request = desk.waiting()
    assert "granted" in desk.vote(request, "ana")
    thread.join(20)
    return request


def _copy(connection: psycopg.Connection) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY things FROM STDIN") as copy:
        copy.write_row((100, 1))


def test_whatever_way_approvals_go_the_book_has_no_finding(desk: Approvers, tmp_path: Path) -> None:
    gate, way = desk.place.gate, desk.place.through
    several = "UPDATE things SET price = 1 WHERE id = 1; SELECT 1; UPDATE things SET price = 2 WHERE id = 2"
    _approved(desk, lambda connection: connection.execute(several))
    _approved(desk, lambda connection: [connection.execute(f"DELETE FROM things WHERE id = {i}") for i in (7, 8, 9)])
    _approved(
        desk,
        lambda connection: connection.cursor().executemany(
            "INSERT INTO things VALUES (%s, %s)", [(i, 1) for i in (20, 21, 22)]
        ),
    )
    _approved(desk, lambda connection: connection.execute("UPDATE things SET price = 3", prepare=True, binary=True))
    _approved(desk, lambda connection: connection.execute("UPDATE things SET price = %s", (None,)))
    _approved(desk, _copy)
    _denied(desk)
    _given_up(desk)
    _later(desk)
    eventually(lambda: all(session["ended"] for session in gate.sessions()))
    assert way.psql("-c", "SELECT 1").returncode == 0
    states = {one["state"] for one in desk.list("--all")}
    assert {"used", "denied", "cancelled"} <= states
    found = gate.ask("ledger", "verify")
    assert isinstance(found, dict)
    assert found["findings"] == []
    assert found["checked"]["approvals"] == 9
    bundle = tmp_path / "all.zip"
    gate.run("bundle", "make", "-o", str(bundle), "--agent", "helper", "--purpose", "audit", "--with-contents")
    assert "the bundle holds" in gate.run("verify", str(bundle)).stdout


def _denied(desk: Approvers) -> None:
    waiting = desk.place.through.start_psql("-c", "UPDATE things SET price = 4")
    desk.vote(desk.waiting(), "bo", "--reason", "not now", verb="deny")
    assert "not now" in waiting.communicate(timeout=20)[1]


def _given_up(desk: Approvers) -> None:
    waiting = desk.place.through.start_psql("-c", "UPDATE things SET price = 5")
    request = desk.waiting()
    waiting.kill()
    waiting.communicate()
    eventually(lambda: desk.state(request) == "cancelled")


def _later(desk: Approvers) -> None:
    way = desk.place.through
    assert "approval.pending" in way.psql("-c", "TRUNCATE things").stderr
    desk.vote(desk.waiting(), "bo")
    assert way.psql("-c", "TRUNCATE things").stdout == "TRUNCATE TABLE\n"
