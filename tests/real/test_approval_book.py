# SPDX-License-Identifier: Apache-2.0
"""The book of a gate where approvals go every way that they may: nothing in it is a finding, in ledger or bundle."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from support.approvers import Approvers, approvers
from support.servers import eventually
from throwaway_gate import Gate, gatebook
from throwaway_postgres import Postgres

from gatebook.evidence.bundle_check import verify_bundle

POLICIES = {
    "approval.cedar": """
@id("reads") permit (principal in Group::"agents", action, resource)
unless { ["UPDATE", "DELETE", "INSERT", "COPY", "TRUNCATE"].contains(context.verb) };
@id("exact") @approval("dba") permit (principal in Group::"agents", action, resource)
when { context.verb == "UPDATE" };
@id("shape") @approval("dba") @covers("shape") @uses("3") @hold("return")
permit (principal in Group::"agents", action, resource) when { context.verb == "DELETE" };
@id("object") @approval("dba") @covers("object") @uses("5") @hold("return")
permit (principal in Group::"agents", action, resource) when { context.verb == "INSERT" };
@id("later") @approval("dba") @hold("return") permit (principal in Group::"agents", action, resource)
when { context.verb == "TRUNCATE" };
@id("unseen") @approval("dba") @unseen("data") permit (principal in Group::"agents", action, resource)
when { context.verb == "COPY" };
"""
}

ROLE = """
[[target.role]]
name = "{name}"
account = "app"
{password}
groups = ["agents"]
approvers = "dba"
longest_minutes = 10
break_glass = {glass}
"""


@pytest.fixture(scope="module")
def desk(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvers]:
    def adapt(gate: Gate) -> None:
        text = gate.config.read_text()
        password = next(line for line in text.splitlines() if line.strip().startswith("password = "))
        roles = [("fix", "false"), ("fire", "true")]
        gate.config.write_text(
            text + "".join(ROLE.format(name=name, password=password, glass=glass) for name, glass in roles)
        )

    folder = tmp_path_factory.mktemp("book") / "gate"
    settings = {"pending": 100, "per_hour": 1000}
    database = f"book_{os.getpid()}"
    with approvers(folder, server, database, policies=POLICIES, approval=settings, adapt=adapt) as desk:
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
    _later(desk, *(f"DELETE FROM things WHERE id = {i}" for i in (7, 8, 9)))
    _later(desk, "INSERT INTO things VALUES (20, 1)", "INSERT INTO things VALUES (21, 2), (22, 3)")
    _approved(desk, lambda connection: connection.execute("UPDATE things SET price = 3", prepare=True, binary=True))
    _approved(desk, lambda connection: connection.execute("UPDATE things SET price = %s", (None,)))
    _approved(desk, _copy)
    _denied(desk)
    _given_up(desk)
    _later(desk, "TRUNCATE things")
    _role(desk)
    _broken_glass(desk)
    eventually(lambda: all(session["ended"] for session in gate.sessions()))
    assert way.psql("-c", "SELECT 1").returncode == 0
    states = {one["state"] for one in desk.list("--all")}
    assert {"used", "denied", "cancelled"} <= states
    found = gate.ask("ledger", "verify")
    assert isinstance(found, dict)
    assert found["findings"] == []
    assert found["checked"]["approvals"] == 11
    bundle = tmp_path / "all.zip"
    gate.run("bundle", "make", "-o", str(bundle), "--agent", "helper", "--purpose", "audit", "--with-contents")
    report = verify_bundle(bundle.read_bytes()).report
    assert report.findings == []
    assert report.checked["approvals"] == 11


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


def _later(desk: Approvers, *statements: str) -> None:
    """Ask by the first, and run all once that is approved."""
    way = desk.place.through
    assert way.psql("-c", statements[0]).returncode == 1
    desk.vote(desk.waiting(), "bo")
    for statement in statements:
        assert way.psql("-c", statement).returncode == 0


def _ask(desk: Approvers, verb: str, role: str) -> str:
    """Ask for a role as the agent; the request."""
    words = [verb, role, "--target", "work", "--for", "5m", "--reason", "INC-17", "--json"]
    command = [gatebook(), "request", *words, "--config", str(desk.place.gate.config)]
    surroundings = os.environ | {"GATEBOOK_TOKEN": desk.place.key.token}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["request"])


def _is_under(desk: Approvers, role: str) -> bool:
    """Whether a new session has that role."""
    before = desk.place.known_sessions()
    desk.place.through.psql("-c", "SELECT 1")
    fresh = eventually(lambda: [one for one in desk.place.gate.sessions() if one["session"] not in before])
    return bool(fresh[-1]["role"] == role)


def _role(desk: Approvers) -> None:
    request = _ask(desk, "role", "fix")
    desk.vote(request, "ana")
    eventually(lambda: _is_under(desk, "fix"))
    assert _is_under(desk, "fix")
    desk.place.gate.run("approvals", "withdraw", request, "--person", "ana", "--reason", "done")
    eventually(lambda: _is_under(desk, "app"))


def _broken_glass(desk: Approvers) -> None:
    request = _ask(desk, "break-glass", "fire")
    eventually(lambda: _is_under(desk, "fire"))
    desk.place.gate.run("approvals", "cancel", request)
    assert "is reviewed" in desk.vote(request, "ana", "--reason", "it was needed", verb="review")
    eventually(lambda: _is_under(desk, "app"))
