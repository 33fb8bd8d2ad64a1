# SPDX-License-Identifier: Apache-2.0
"""Segments are removed beside a real gate at work: everybody who reads the book sees what they saw before."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_gate import gatebook
from throwaway_postgres import Postgres

from gatebook.vault.journal import list_segments

STATEMENTS = 150


@pytest.fixture
def place(server: Postgres, folder: Path) -> Iterator[Place]:
    name = f"removal_{os.getpid()}_{abs(hash(folder)) % 10**8}"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.set("evidence", segment_bytes=65_536)
    place.gate.set("ledger", remove_segments_after_s=0)
    place.gate.serve()
    yield place
    place.gate.stop()


def first_kept(place: Place) -> int:
    return list_segments(place.gate.data / "journal" / "gatebook")[0]


def work(place: Place, *, first: int = 0) -> str:
    """Run statements in one session; its id."""
    before = place.known_sessions()
    script = "".join(f"SELECT 'statement {number}';\n" for number in range(first, first + STATEMENTS))
    done = place.through.psql(script=script)
    assert done.returncode == 0, done.stderr
    return str(place.operations_since(before)[0]["operation"]).rpartition(".")[0]


def texts(place: Place, session: str) -> list[str]:
    told = cast("dict[str, Any]", place.gate.ask("sessions", "show", session, "--text", "--purpose", "test"))
    return [operation["private"]["text"] for operation in told["operations"]]


def assert_whole(place: Place) -> dict[str, Any]:
    report = cast("dict[str, Any]", place.gate.ask("ledger", "verify", check=False))
    assert report["ok"], report["findings"]
    return cast("dict[str, Any]", report["checked"])


def wait_until_removed(place: Place, session: str) -> None:
    """Wait until nothing of a session is in the journal any more."""
    mark = f'"session":"{session}"'.encode()
    folder = place.gate.data / "journal" / "gatebook"

    def is_gone() -> bool:
        try:
            return not any(mark in path.read_bytes() for path in sorted(folder.glob("*.seg"))[:-1])
        except FileNotFoundError:
            return False

    eventually(is_gone, within_s=30)


def test_all_commands_show_what_was_removed_as_before(place: Place, tmp_path: Path) -> None:
    session = work(place)
    work(place, first=1000)
    wait_until_removed(place, session)
    assert first_kept(place) > STATEMENTS
    assert texts(place, session) == [f"SELECT 'statement {number}';" for number in range(STATEMENTS)]
    logins = cast("list[dict[str, Any]]", place.gate.ask("sessions", "logins"))
    assert session in {login["session"] for login in logins}
    file = tmp_path / "one.tlog-proof"
    place.gate.run("receipt", "make", f"{session}.7", "-o", str(file))
    bundle = tmp_path / "bundle.zip"
    place.gate.run("bundle", "make", "-o", str(bundle), "--session", session, "--purpose", "test", "--with-contents")
    key = cast("dict[str, Any]", place.gate.ask("ledger", "show"))["key"]
    verify = [gatebook(), "verify", str(bundle), "--key", key]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    checked = assert_whole(place)
    assert checked["private_parts_opened"] >= 2 * STATEMENTS
    place.gate.stop()
    assert_whole(place)


def test_a_session_that_lives_keeps_its_segments_and_a_killed_gate_tells_of_it(place: Place) -> None:
    with place.through.start_psql() as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write("SELECT 'alive';\n")
        client.stdin.flush()
        assert client.stdout.readline() == "alive\n"
        for number in range(3):
            work(place, first=1000 * number)
        time.sleep(1.5)  # some rounds of the remover
        assert first_kept(place) == 1
        place.gate.stop(signal.SIGKILL)
        client.stdin.close()
        client.wait()
    place.gate.serve()
    lost = eventually(lambda: place.entries("session.lost"))
    assert len(lost) == 1
    assert_whole(place)
    session = work(place, first=5000)
    work(place, first=6000)
    wait_until_removed(place, str(lost[0]["session"]))
    assert texts(place, str(lost[0]["session"])) == ["SELECT 'alive';"]
    assert texts(place, session)[0] == "SELECT 'statement 5000';"
    place.gate.stop()
    assert_whole(place)


def test_au_03_a_segment_that_somebody_else_removes_ends_sealing(place: Place) -> None:
    place.gate.stop()
    place.gate.set("ledger", remove_segments_after_s="never")
    place.gate.serve()
    work(place)
    place.gate.stop()
    gone = first_kept(place)
    (place.gate.data / "journal" / "gatebook" / f"{gone:020}.seg").unlink()
    place.gate.set("ledger", remove_segments_after_s=0)
    place.gate.serve()
    eventually(lambda: "evidence is not what it sealed" in place.gate.log.read_text())
    place.gate.stop()
    report = cast("dict[str, Any]", place.gate.ask("ledger", "verify", check=False))
    assert {"segment_missing", "journal_shorter"} & {finding["name"] for finding in report["findings"]}
    assert place.gate.run("notary", check=False).returncode == 3
