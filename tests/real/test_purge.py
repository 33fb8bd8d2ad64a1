# SPDX-License-Identifier: Apache-2.0
"""A session of a real gate, erased by two people: the book stays whole, and an auditor sees who let it go."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.bundle import changed
from support.people import SshKey, make_key
from support.servers import Place, eventually, make_database, make_place
from throwaway_gate import gatebook
from throwaway_postgres import Postgres

SETTLES_S = 20
PEOPLE = ("first", "second")


@pytest.fixture
def place(server: Postgres, folder: Path) -> Iterator[Place]:
    name = f"purge_{os.getpid()}"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.set("retention", custodians=list(PEOPLE), erase_early=True)
    place.gate.serve()
    eventually((place.gate.data / "ledger" / "checkpoint").exists)
    yield place
    place.gate.stop()


@pytest.fixture
def keys(place: Place, tmp_path: Path) -> list[SshKey]:
    made = []
    for name, kind in zip(PEOPLE, ("ed25519", "ecdsa"), strict=True):
        made.append(make_key(tmp_path / "keys", name, kind))
        place.gate.run("person", "add", name)
        place.gate.run("person", "key", "add", name, str(made[-1].public))
    return made


def erase(place: Place, session: str, keys: list[SshKey]) -> str:
    """Ask, sign twice with ssh-keygen, run; the id of the request."""
    ask = ("purge", "request", "--session", session, "--reason", "asked for by its subject")
    eventually(lambda: place.gate.run(*ask, check=False).returncode == 0, SETTLES_S)
    (asked,) = cast("list[dict[str, Any]]", place.gate.ask("consent", "list"))
    request = str(asked["request"]["id"])
    for name, key in zip(PEOPLE, keys, strict=True):
        signature = key.sign(place.gate.data / "retention" / f"{request}.request")
        place.gate.run("consent", "give", request, "--person", name, "--signature", str(signature))
    place.gate.run("purge", "run", request)
    return request


def verify(file: Path, key: str) -> dict[str, Any]:
    command = [gatebook(), "verify", file.name, "--key", key, "--json"]
    done = subprocess.run(command, cwd=file.parent, env={}, capture_output=True, text=True, check=False)
    return cast("dict[str, Any]", json.loads(done.stdout))


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(old, new, 1)


def names(told: dict[str, Any], kind: str) -> list[str]:
    return [one["name"] for one in told[kind]]


def test_what_two_people_erase_is_gone_and_accounted_for(place: Place, keys: list[SshKey], tmp_path: Path) -> None:
    before = place.known_sessions()
    place.through.psql("-c", "SELECT 'the secret'")
    operation = str(place.operations_since(before)[0]["operation"])
    session = operation.partition(".")[0]
    request = erase(place, session, keys)
    assert list((place.gate.data / "recordings").glob(f"*/{session}.*")) == []
    replayed = place.gate.run("sessions", "replay", session, "--purpose", "test", check=False)
    assert (replayed.returncode, "secret" in replayed.stdout) == (1, False)
    eventually(lambda: cast("dict[str, Any]", place.gate.ask("ledger", "show"))["not_sealed"] == {})
    report = cast("dict[str, Any]", place.gate.ask("ledger", "verify", check=False))
    assert (report["ok"], names(report, "accounted")) == (True, ["erased"]), report["findings"]
    receipt = tmp_path / "operation.tlog-proof"
    place.gate.run("receipt", "make", operation, "-o", str(receipt))
    key = str(cast("dict[str, Any]", place.gate.ask("ledger", "show"))["key"])
    subprocess.run([gatebook(), "receipt", "verify", str(receipt), "--key", key], check=True, capture_output=True)

    file = tmp_path / "erased.zip"
    place.gate.run("bundle", "make", "-o", str(file), "--session", session, "--purpose", "audit")
    told = verify(file, key)
    assert (told["ok"], names(told, "accounted")) == (True, ["erased"]), told["findings"]
    assert "purges" in [step["name"] for step in told["steps"]]
    data = file.read_bytes()
    for old, new in ((b'"signature":"U', b'"signature":"V'), (request.encode(), b"0" * 16)):
        file.write_bytes(changed(data, "entries", replaced(old, new)))
        assert {"bundle_member", "bundle_proof", "purge_consent"} <= set(names(verify(file, key), "findings"))
