# SPDX-License-Identifier: Apache-2.0
"""A gate with `witness_policy = "refuse"` before a real database: its witness is killed and comes back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest
from support.servers import Place, eventually, make_database, make_place
from support.witness_process import Running
from throwaway_gate import gatebook
from throwaway_postgres import Postgres

GRACE_S = 4
BACK_S = 45.0  # the notary asks a witness that failed again after 30 s at the latest
pytestmark = pytest.mark.timeout(180)


@dataclass
class Scene:
    """A gate that refuses, its witness, and the port of its metrics."""

    place: Place
    folder: Path
    witness: Running
    metrics: int
    key: str = ""

    def kill_witness(self) -> None:
        self.witness.end(signal.SIGKILL)

    def restart_witness(self) -> None:
        self.witness = Running(self.folder / "witness", log=self.key, port=self.witness.port)

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(name)))

    def ask(self) -> subprocess.CompletedProcess[str]:
        return self.place.through_with(connect_timeout=10).psql("-c", "SELECT 41 + 1")

    def is_open(self) -> bool:
        return self.ask().returncode == 0

    def failures(self) -> list[str]:
        return [str(one["what"]) for one in self.place.entries("failure")]


@pytest.fixture
def scene(server: Postgres, folder: Path, tmp_path: Path) -> Iterator[Scene]:
    name = f"refuse_{os.getpid()}_{abs(hash(folder)) % 10**8}"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.set("evidence", heartbeat_s=1)
    # The notary makes its key first, so that the witness can be told it.
    done = subprocess.run(
        [gatebook(), "notary", "--until-input-ends", "--config", str(place.gate.config)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        timeout=30,
    )
    assert done.returncode == 0
    key = (place.gate.data / "ledger" / "ledger.vkey").read_text().strip()
    witness = Running(tmp_path / "witness", "--name", "witness.example/w", log=key)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        metrics = int(probe.getsockname()[1])
    place.gate.set("gate", metrics_port=metrics)
    place.gate.set("ledger", witness_policy="refuse", witness_grace_s=GRACE_S)
    with place.gate.config.open("a") as file:
        file.write(f'\n[[ledger.witness]]\nname = "w"\nurl = "{witness.url}"\nkey = "{witness.key}"\n')
    made = Scene(place, tmp_path, witness, metrics, key)
    yield made
    place.gate.stop()
    if made.witness.process.returncode is None:
        made.witness.end(signal.SIGKILL)


def test_refuses_while_its_witness_is_gone_and_goes_on_by_itself(scene: Scene) -> None:
    scene.place.gate.serve()
    eventually(scene.is_open)
    assert scene.metric("gatebook_refusing_unwitnessed") == 0
    psql = scene.place.through.start_psql("-v", "ON_ERROR_STOP=0")
    assert psql.stdin is not None
    assert psql.stdout is not None
    say(psql.stdin, "PREPARE kept AS SELECT 'before'; EXECUTE kept;")
    assert psql.stdout.readline() == "PREPARE\n"
    assert psql.stdout.readline() == "before\n"

    scene.kill_witness()
    eventually(lambda: not scene.is_open(), GRACE_S + 10)
    refused = scene.ask()
    assert refused.returncode == 2
    assert "no quorum of witnesses has cosigned the ledger for" in refused.stderr
    assert scene.metric("gatebook_refusing_unwitnessed") == 1
    assert scene.metric("gatebook_witnessed_age_seconds") >= GRACE_S
    # A session that is inside, and a statement that was allowed a moment ago, are refused too.
    say(psql.stdin, "EXECUTE kept;")
    say(psql.stdin, "\\echo :SQLSTATE")
    assert psql.stdout.readline() == "58030\n"

    scene.place.gate.run("reload")  # takes up other rules, and opens nothing
    assert not scene.is_open()

    scene.restart_witness()
    eventually(scene.is_open, BACK_S)
    say(psql.stdin, "EXECUTE kept;")
    assert psql.stdout.readline() == "before\n"
    psql.stdin.close()
    assert psql.wait(10) == 0
    psql.stdout.close()
    assert psql.stderr is not None
    psql.stderr.close()
    told = scene.failures()
    assert told[0] == "no quorum of witnesses has cosigned the ledger yet"
    assert told[-2].startswith("no quorum of witnesses has cosigned the ledger for ")
    assert told[-1] == "a quorum of witnesses cosigns the ledger again"
    assert "nothing new is let in or run" in scene.place.gate.log.read_text()
    refusals = {one["refusal"]["code"] for one in scene.place.entries("operation.refused")}
    assert refusals == {"evidence.unwitnessed"}
    assert {one.get("refusal") for one in scene.place.entries("authn") if one["result"] == "refused"} == {
        "evidence.unwitnessed"
    }
    time.sleep(1.2)
    report = scene.place.gate.ask("ledger", "verify", "--witness", scene.witness.key)
    assert isinstance(report, dict)
    assert report["ok"]


def test_lets_nobody_in_before_its_first_quorum(scene: Scene) -> None:
    scene.kill_witness()
    scene.place.gate.serve()
    time.sleep(2)
    refused = scene.ask()
    assert refused.returncode == 2
    assert "no quorum of witnesses has cosigned the ledger yet" in refused.stderr
    scene.restart_witness()
    eventually(scene.is_open, BACK_S)


def say(to: IO[str], words: str) -> None:
    to.write(words + "\n")
    to.flush()
