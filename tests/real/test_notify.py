# SPDX-License-Identifier: Apache-2.0
"""Notifications beside a real gate: people are told while psql waits, whatever receivers do and whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from standardwebhooks.webhooks import Webhook
from support.approvers import POLICIES, Approvers, approvers, entries_of
from support.receiver import HANG, Siem, siem
from support.servers import eventually
from throwaway_gate import Gate, gatebook
from throwaway_postgres import Postgres

WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
UPDATE = "UPDATE things SET price = price + 1"
WITHIN_S = 30
ROLE = """
[[target.role]]
name = "fire"
account = "app"
{password}
groups = ["agents"]
approvers = "dba"
break_glass = true
"""
NOTIFY = """
[control]
url = "https://console.example"
insecure_behind_proxy = true

[notify]
alarm_s = 2

[[notify.webhook]]
name = "pager"
url = "{pager}"
secret = "env:PAGER_SECRET"

[[notify.slack]]
name = "ops"
url = "env:OPS_URL"
events = ["approval.requested", "glass.broken"]
"""


@dataclass(frozen=True, slots=True)
class Told:
    """A gate with people, and two receivers."""

    desk: Approvers
    pager: Siem
    ops: Siem

    @property
    def gate(self) -> Gate:
        return self.desk.place.gate

    def about(self, request: str) -> list[str]:
        """Events that the pager was told of a request, in order, each once."""
        kept = [record for record in self.pager.told.kept if record["data"]["request"]["request"] == request]
        return list(dict.fromkeys(str(record["type"]) for record in kept))

    def shown(self) -> dict[str, Any]:
        told = cast("list[dict[str, Any]]", self.gate.ask("notify", "show"))
        return next(one for one in told if one["name"] == "pager")

    def process(self) -> int:
        """Id of the process that tells; 0 where there is none now."""
        assert self.gate.process is not None
        pid = self.gate.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found = [int(one) for one in children if b"\0notify\0" in Path(f"/proc/{one}/cmdline").read_bytes()]
        return found[0] if found else 0

    def metric(self, name: str) -> float:
        port = tomllib.loads(self.gate.config.read_text())["gate"]["metrics_port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        (found,) = [line for line in lines if line.startswith(f'gatebook_notify_{name}{{receiver="pager"}} ')]
        return float(found.split()[1])


@pytest.fixture(scope="module")
def told(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with ExitStack() as stack:
        pager, ops = stack.enter_context(siem()), stack.enter_context(siem())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("PAGER_SECRET", WHSEC)
        patch.setenv("OPS_URL", ops.url + "?sig=planted-credential")

        def adapt(gate: Gate) -> None:
            text = gate.config.read_text()
            password = next(line for line in text.splitlines() if line.strip().startswith("password = "))
            gate.config.write_text(text + ROLE.format(password=password) + NOTIFY.format(pager=pager.url))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                gate.set("gate", metrics_port=int(probe.getsockname()[1]))

        folder = tmp_path_factory.mktemp("notify") / "gate"
        name = f"notify_{os.getpid()}"
        desk = stack.enter_context(approvers(folder, server, name, policies=POLICIES, adapt=adapt))
        yield Told(desk, pager, ops)


def test_people_are_told_while_psql_waits_and_how_it_ended(told: Told) -> None:
    waiting = told.desk.place.through.start_psql("-c", UPDATE)
    request = told.desk.waiting()
    eventually(lambda: told.about(request) == ["approval.requested"], within_s=WITHIN_S)
    record = next(one for one in told.pager.told.kept if one["data"]["request"]["request"] == request)
    assert record["data"]["link"] == f"https://console.example/approvals/{request}"
    assert record["data"]["verbs"] == ["UPDATE"]
    (listed,) = [one for one in told.desk.list() if one["request"] == request]
    assert record["data"]["request"] == listed
    assert "granted" in told.desk.vote(request, "ana")
    out, _ = waiting.communicate(timeout=20)
    assert out == "UPDATE 9\n"
    eventually(lambda: told.about(request) == ["approval.requested", "approval.granted"], within_s=WITHIN_S)
    for line, headers in zip(told.pager.told.lines, told.pager.told.requests, strict=True):
        Webhook(WHSEC).verify(line, headers)
    assert UPDATE not in json.dumps(told.pager.told.kept + told.ops.told.kept)
    eventually(lambda: any(request in one["text"] for one in told.ops.told.kept), within_s=WITHIN_S)
    assert "planted-credential" not in told.gate.log.read_text()


def test_broken_glass_is_told_at_once_and_logged(told: Told) -> None:
    words = ["break-glass", "fire", "--for", "5m", "--reason", "<!channel> down", "--target", "work", "--json"]
    command = [gatebook(), "request", *words, "--config", str(told.gate.config)]
    surroundings = os.environ | {"GATEBOOK_TOKEN": told.desk.place.key.token}
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    request = str(json.loads(done.stdout)["request"])
    eventually(lambda: told.about(request) == ["glass.broken"], within_s=WITHIN_S)
    eventually(lambda: any("GLASS BROKEN" in one["text"] for one in told.ops.told.kept), within_s=WITHIN_S)
    assert "<!channel>" not in json.dumps(told.ops.told.kept)
    eventually(lambda: "glass is broken" in told.gate.log.read_text(), within_s=WITHIN_S)
    told.gate.run("approvals", "cancel", request)
    assert "is reviewed" in told.desk.vote(request, "ana", "--reason", "it was needed", verb="review")
    eventually(lambda: told.about(request) == ["glass.broken", "glass.reviewed"], within_s=WITHIN_S)


def test_a_receiver_that_hangs_slows_nobody_and_what_waits_is_sent_after_a_kill(told: Told) -> None:
    eventually(lambda: told.shown()["waiting"] == 0, within_s=WITHIN_S)
    told.pager.told.answer = HANG
    waiting = told.desk.place.through.start_psql("-c", UPDATE)
    request = told.desk.waiting()
    eventually(lambda: any(request in one["text"] for one in told.ops.told.kept), within_s=WITHIN_S)
    assert told.desk.place.through.psql("-c", "SELECT 1").returncode == 0
    assert "granted" in told.desk.vote(request, "ana")
    assert waiting.communicate(timeout=20)[0] == "UPDATE 9\n"
    eventually(lambda: told.shown()["alarm"], within_s=WITHIN_S)
    assert told.metric("waiting") == 2
    assert told.metric("waiting_seconds") > 2
    first = eventually(told.process)
    os.kill(first, signal.SIGKILL)
    told.pager.told.answer = 204
    told.pager.told.let.set()
    eventually(lambda: told.process() not in {0, first}, within_s=WITHIN_S)
    eventually(lambda: told.about(request) == ["approval.requested", "approval.granted"], within_s=WITHIN_S)
    eventually(lambda: not told.shown()["alarm"], within_s=WITHIN_S)
    failures = [entry["what"] for entry in entries_of(told.desk.place, "notify", "failure")]
    assert failures[0].startswith("notify pager: it has taken nothing for more than 2 s")
    assert failures[-1] == "notify pager: it takes messages again"
    died = [entry["what"] for entry in told.desk.place.entries("failure")]
    assert "notifications died with status -9" in died
    ids = [headers["webhook-id"] for headers in told.pager.told.requests]
    assert len(set(ids)) < len(ids)  # the one that hung came again under its own name


def test_the_book_verifies_with_the_journal_of_notifications(told: Told) -> None:
    report = told.gate.ask("ledger", "verify", check=False)
    assert isinstance(report, dict)
    assert report["ok"], report["findings"]
