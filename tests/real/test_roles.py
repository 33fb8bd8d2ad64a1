# SPDX-License-Identifier: Apache-2.0
"""Roles for a time: asked for, given by people, over at the approved moment; and glass that is broken."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import pytest
from support.approvers import Approvers, approvers, entries_of
from support.servers import eventually
from throwaway_gate import Gate, gatebook
from throwaway_postgres import Postgres

ALL = {"all.cedar": '@id("all") permit (principal in Group::"agents", action, resource);'}
ROLE = """
[[target.role]]
name = "{name}"
account = "app"
password = "file:passwords/work.app"
groups = ["agents"]
approvers = "dba"
longest_minutes = 10
break_glass = {glass}
"""


@pytest.fixture(scope="module")
def desk(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Approvers]:
    def adapt(gate: Gate) -> None:
        text = gate.config.read_text()
        reference = next(line for line in text.splitlines() if line.strip().startswith("password = "))
        roles = "".join(ROLE.format(name=name, glass=glass) for name, glass in (("fix", "false"), ("fire", "true")))
        gate.config.write_text(text + roles.replace('password = "file:passwords/work.app"', reference))

    folder = tmp_path_factory.mktemp("roles") / "gate"
    with approvers(folder, server, f"roles_{os.getpid()}", policies=ALL, adapt=adapt) as desk:
        yield desk


def ask(desk: Approvers, verb: str, *words: str) -> dict[str, Any]:
    """Ask as the agent; what the command said."""
    command = [
        gatebook(),
        "request",
        verb,
        *words,
        "--target",
        "work",
        "--json",
        "--config",
        str(desk.place.gate.config),
    ]
    surroundings = os.environ | {"GATEBOOK_TOKEN": desk.place.key.token}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return cast("dict[str, Any]", json.loads(done.stdout))


def role_now(desk: Approvers) -> str:
    """Return the role of the newest session, after a statement in a new one."""
    before = desk.place.known_sessions()
    desk.place.through.psql("-c", "SELECT 1")
    fresh = eventually(lambda: [one for one in desk.place.gate.sessions() if one["session"] not in before])
    return str(fresh[-1]["role"])


def test_a_role_is_had_once_it_is_given_and_until_its_time_is_over(desk: Approvers) -> None:
    assert role_now(desk) == "app"
    request = str(ask(desk, "role", "fix", "--for", "1m", "--reason", "INC-17")["request"])
    assert role_now(desk) == "app"
    assert "granted" in desk.vote(request, "ana")
    eventually(lambda: role_now(desk) == "fix")
    used = [one for one in entries_of(desk.place, "gatebook", "approval.used") if one["request"] == request]
    assert used[-1]["voters"] == [{"iss": "gatebook:gatebook", "sub": "ana"}]
    with desk.place.through.start_psql("-c", "SELECT 1", "-c", "SELECT pg_sleep(20)") as live:
        assert live.stdout is not None
        assert live.stdout.readline() == "1\n"
        desk.place.gate.run("approvals", "withdraw", request, "--person", "ana", "--reason", "done already")
        began = time.monotonic()
        assert live.wait(timeout=20) != 0
        assert time.monotonic() - began < 2
    assert role_now(desk) == "app"


@pytest.mark.timeout(150)  # a minute is the shortest time that a role is given for
def test_a_role_ends_at_the_approved_instant_on_a_live_session(desk: Approvers) -> None:
    request = str(ask(desk, "role", "fix", "--for", "1m", "--reason", "INC-18")["request"])
    desk.vote(request, "ana")
    granted = next(one for one in entries_of(desk.place, "cli", "approval.granted") if one["request"] == request)
    eventually(lambda: role_now(desk) == "fix")
    with desk.place.through.start_psql("-c", "SELECT pg_sleep(100)") as live:
        assert live.wait(timeout=90) != 0
    ended = eventually(lambda: [one for one in desk.place.gate.sessions() if one["role"] == "fix" and one["ended"]])
    assert 0 <= (_seconds(str(ended[-1]["ended"])) - _seconds(granted["until"])) < 2
    assert eventually(lambda: desk.state(request) == "expired")


def test_glass_is_broken_at_once_and_not_again_before_its_review(desk: Approvers) -> None:
    request = str(ask(desk, "break-glass", "fire", "--for", "5m", "--reason", "the site is down")["request"])
    assert desk.state(request) == "granted"
    eventually(lambda: role_now(desk) == "fire")
    assert "nothing to review" in desk.vote(request, "ana", "--reason", "fine", verb="review")
    desk.place.gate.run("approvals", "cancel", request)
    eventually(lambda: role_now(desk) == "app")
    with pytest.raises(AssertionError, match="waits for its review"):
        ask(desk, "break-glass", "fire", "--for", "5m", "--reason", "again")
    assert "not in a group" in desk.vote(request, "cy", "--reason", "fine", verb="review")
    assert "is reviewed" in desk.vote(request, "ana", "--reason", "it was needed", verb="review")
    assert ask(desk, "break-glass", "fire", "--for", "5m", "--reason", "again")["state"] == "granted"


def _seconds(moment: str) -> float:

    return datetime.fromisoformat(moment).timestamp()


def test_ap_07_a_role_that_nobody_could_give_is_not_taken_up(desk: Approvers) -> None:
    gate = desk.place.gate
    text = gate.config.read_text()
    gate.config.write_text(text.replace('approvers = "dba"', 'approvers = "nobody"'))
    try:
        refused = gate.run("reload", check=False)
        assert refused.returncode == 1
        assert "is given by 1 of group `nobody`, and nobody there could" in refused.stdout + refused.stderr
    finally:
        gate.config.write_text(text)
