# SPDX-License-Identifier: Apache-2.0
"""`gatebook index`: what it shows, that it can be deleted and made anew at any time, and that it follows the ledger."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.installation import Installation
from support.notary import open_notary, seal, write_entries

from gatebook.store.indexing import extending
from gatebook.views import indexed

WAIT_S = 20.0


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def write_sealed(gate: Installation, count: int, first: int = 0) -> None:
    write_entries(gate.settings.gate.data, "gate", count, first=first)
    seal(gate.settings.gate.data)


def test_shows_how_far_it_is_and_how_far_behind(gate: Installation) -> None:
    write_sealed(gate, 5)
    assert gate.run("index", "update").status == 0
    size = gate.run("index", "show", "--json").json["sealed"]
    told = gate.run("index", "show", "--json").json
    assert (told["indexed"], told["behind"]) == (size, {"entries": 0, "seconds": 0})
    write_sealed(gate, 3, first=5)
    told = gate.run("index", "show", "--json").json
    assert (told["indexed"], told["sealed"], told["behind"]["entries"]) == (size, size + 3, 3)
    assert told["bytes"] > 0
    shown = gate.run("index", "show").out.splitlines()
    assert [line.split("  ")[0] for line in shown] == ["entries indexed", "behind", "newest entry", "size", "follows"]
    assert shown[1].split(maxsplit=1)[1].startswith("3 entries, ")
    assert gate.run("index", "update").err == f"{size + 3:,} entries are indexed\n"
    assert "nothing" in gate.run("index", "show").out


def test_says_so_where_there_is_none_yet_and_where_nothing_is_sealed(gate: Installation) -> None:
    told = gate.run("index", "update")
    assert told.status == 1
    assert "ledger.vkey cannot be read" in told.err
    write_sealed(gate, 1)
    told = gate.run("index", "show")
    assert told.status == 1
    assert told.err == "error: there is no index yet\nhint: make it anew with `gatebook index rebuild`\n"


def test_is_made_anew_whatever_its_file_is(gate: Installation) -> None:
    write_sealed(gate, 300)
    gate.settings.index_path.write_bytes(b"garbage" * 1000)
    for command in (("index", "show"), ("index", "update"), ("search",)):
        told = gate.run(*command)
        assert told.status == 1
        assert "gatebook index rebuild" in told.err
    assert gate.run("index", "rebuild").status == 0
    assert gate.run("index", "show", "--json").json["behind"] == {"entries": 0, "seconds": 0}
    assert gate.run("search", "--last", "1000", "--json", "--prove").json["proved"]


def test_another_ledger_is_noticed_and_leads_to_a_rebuild(gate: Installation) -> None:
    write_sealed(gate, 5)
    gate.run("index", "update")
    for folder in (gate.settings.ledger_path, gate.settings.notary_path):
        folder.rename(folder.with_name(f"{folder.name}.old"))
    notary = open_notary(gate.settings.gate.data)  # the same key, and the journals in another order
    write_entries(gate.settings.gate.data, "aaa", 9)
    notary.seal()
    notary.close()
    for command in (("index", "show"), ("index", "update"), ("search", "--event", "heartbeat")):
        told = gate.run(*command)
        assert told.status == 1
        assert "not of this ledger" in told.err
    assert gate.run("index", "rebuild").status == 0
    assert gate.run("search", "--json").status == 0


def test_tells_how_far_it_is(gate: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.cli.index.TELL_S", 0.0)
    monkeypatch.setattr("gatebook.store.indexing.BATCH_ENTRIES", 256)
    write_sealed(gate, 600)
    size = gate.run("ledger", "show", "--json").json["size"]
    lines = gate.run("index", "rebuild").err.splitlines()
    assert lines[0].startswith(f"256 of {size} entries (4")
    assert lines[0].endswith("s left")
    assert lines[-1] == f"{size} entries are indexed"


def test_waits_for_whoever_is_at_it_and_then_says_so(gate: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.cli.index.LOCK_WAIT_S", 0.1)
    write_sealed(gate, 5)
    with extending(gate.settings.index_path, 0):
        for command in ("update", "rebuild"):
            told = gate.run("index", command)
            assert told.status == 1
            assert "another process is at the index" in told.err


def test_says_so_where_it_cannot_be_written(gate: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sealed(gate, 5)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(indexed, "extending", full)
    told = gate.run("index", "update")
    assert told.status == 1
    assert "the index cannot be written: no space left on device" in told.err


def start(gate: Installation, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gatebook", "index", "follow", "--until-input-ends", "--config", str(gate.config)]
    with log.open("wb") as file:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=file)


def finish(process: subprocess.Popen[bytes]) -> int:
    with process:
        assert process.stdin is not None
        process.stdin.close()
        return process.wait(WAIT_S)


def indexed_now(gate: Installation) -> tuple[int, int]:
    told = gate.run("index", "show", "--json")
    return (told.json["indexed"], told.json["behind"]["entries"]) if told.status == 0 else (-1, -1)


def test_follows_the_ledger_from_before_there_is_one_until_its_input_ends(gate: Installation, tmp_path: Path) -> None:
    follower = start(gate, tmp_path / "log")
    try:
        write_sealed(gate, 5)
        eventually(lambda: indexed_now(gate)[1] == 0)
        write_sealed(gate, 5, first=5)
        size = json.loads(gate.run("ledger", "show", "--json").out)["size"]
        eventually(lambda: indexed_now(gate) == (size, 0))
        nice = int(Path(f"/proc/{follower.pid}/stat").read_text().rpartition(")")[2].split()[16])
        assert nice >= 10
        gate.settings.index_path.unlink()
        eventually(lambda: indexed_now(gate) == (size, 0))
        assert gate.run("index", "rebuild").status == 0
        write_sealed(gate, 5, first=10)
        eventually(lambda: indexed_now(gate) == (size + 5, 0))
    finally:
        assert finish(follower) == 0
    assert (tmp_path / "log").read_bytes() == b""


def test_a_fault_is_told_and_does_not_end_it(gate: Installation, tmp_path: Path) -> None:
    gate.settings.gate.data.mkdir(exist_ok=True)
    write_sealed(gate, 5)
    gate.settings.index_path.write_bytes(b"garbage" * 1000)
    follower = start(gate, tmp_path / "log")
    try:
        eventually(lambda: b"\n" in (tmp_path / "log").read_bytes())
    finally:
        assert finish(follower) == 0
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert line.startswith("the index is not kept up: the index ")
    assert line.endswith("see the disk, or make it anew with `gatebook index rebuild`")
