# SPDX-License-Identifier: Apache-2.0
"""Where the keys of recordings are: a real OpenBao wraps them for a real gate; a gate with a rotated key goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from support.openbao import OpenBao, running_openbao
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

from gatebook.vault.keys import parse_key_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # the first run fetches OpenBao
]

NEW = "22" * 32


@pytest.fixture
def bao(tmp_path: Path) -> Iterator[OpenBao]:
    with running_openbao(tmp_path / "bao") as running:
        yield running


@pytest.fixture
def place(server: Postgres, folder: Path) -> Iterator[Place]:
    """A gate that is configured and does not serve yet."""
    name = f"keys_{os.getpid()}_{abs(hash(folder)) % 10**8}"
    make_database(server, name)
    place = make_place(folder, server, name)
    yield place
    place.gate.stop()


def configure(place: Place, keys: str, more: str = "") -> None:
    config = place.gate.folder / "gatebook.toml"
    lines = config.read_text().splitlines()
    lines = [keys if line.startswith("recording_key") else line for line in lines]
    config.write_text("\n".join(lines) + "\n" + more)


@pytest.fixture
def vaulted(place: Place, bao: OpenBao) -> Place:
    """A gate whose recordings are under a key in OpenBao; it serves."""
    token = place.gate.folder / "vault.token"
    token.write_text(bao.token)
    token.chmod(0o600)
    configure(place, 'recording_key = "vault:main"', bao.toml("file:vault.token"))
    (place.gate.folder / "recording.key").unlink()
    place.gate.serve()
    return place


def connect(place: Place) -> psycopg.Connection[Any]:
    return psycopg.connect(place.through.dsn, autocommit=True)


def test_sessions_are_recorded_under_a_key_that_never_leaves_the_vault(vaulted: Place) -> None:
    with connect(vaulted) as client:
        assert client.execute("SELECT 'kept in the vault'").fetchone() == ("kept in the vault",)
    session = eventually(lambda: next((one for one in vaulted.gate.sessions() if one["ended"]), None))
    name = str(cast("dict[str, Any]", session)["session"])
    head = next(vaulted.gate.data.glob(f"recordings/*/{name}.key")).read_bytes()
    file = parse_key_file(name, head)
    assert (file.kek, file.wrapped[:9]) == ("vault:main", b"vault:v1:")
    assert "kept in the vault" in vaulted.gate.run("sessions", "replay", name, "--purpose", "test").stdout
    assert cast("dict[str, Any]", vaulted.gate.ask("ledger", "verify"))["ok"] is True


def test_without_the_vault_nobody_comes_in_and_who_is_inside_stays(vaulted: Place, bao: OpenBao) -> None:
    with connect(vaulted) as client:
        bao.process.send_signal(signal.SIGKILL)
        bao.process.wait()
        refused = vaulted.through.psql("-c", "SELECT 1")
        assert refused.returncode == 2
        assert "evidence cannot be written, so nothing runs" in refused.stderr
        assert client.execute("SELECT 'inside'").fetchone() == ("inside",)
    entry = vaulted.entries("authn")[-1]
    assert (entry["result"], entry["refusal"]) == ("refused", "evidence.failed")
    assert len(list(vaulted.gate.data.glob("recordings/*/*.key"))) == 1
    wrong = psycopg.conninfo.make_conninfo(vaulted.through.dsn, password="gbk_" + "a" * 58)
    with pytest.raises(psycopg.OperationalError, match=r"authn\.failed|credential"):
        psycopg.connect(wrong)


def test_a_vault_that_hangs_holds_up_nobody_else_and_no_login_for_ever(vaulted: Place, bao: OpenBao) -> None:
    with connect(vaulted) as client:
        client.execute("SELECT 0")
        bao.process.send_signal(signal.SIGSTOP)
        try:
            logins = [vaulted.through.start_psql("-c", "SELECT 1") for _ in range(4)]
            began = time.monotonic()
            slowest = 0.0
            while any(login.poll() is None for login in logins):
                before = time.monotonic()
                client.execute(f"SELECT 'a new statement each time' AS c{int(before * 1e6)}")
                slowest = max(slowest, time.monotonic() - before)
                assert time.monotonic() - began < 15
            for login in logins:
                _, error = login.communicate()
                assert login.returncode == 2
                assert "evidence cannot be written" in error
        finally:
            bao.process.send_signal(signal.SIGCONT)
    assert slowest < 1.0
    eventually(lambda: vaulted.through.psql("-c", "SELECT 2").stdout == "2\n")


def test_au_13_a_recording_whose_key_was_rotated_after_the_crash_is_finished_all_the_same(place: Place) -> None:
    place.gate.serve()
    with connect(place) as client:
        client.execute("SELECT 'before the crash'")
        session = str(eventually(lambda: place.gate.sessions()[-1]["session"]))
        eventually(lambda: [one for one in place.entries("recording.chunk") if one["session"] == session])
        place.gate.stop(signal.SIGKILL)
    folder = place.gate.folder
    (folder / "recording.key").rename(folder / "recording.old.key")
    (folder / "recording.key").write_text(NEW)
    configure(place, 'recording_key = "file:recording.key"\nolder_recording_keys = ["file:recording.old.key"]')
    place.gate.serve()
    assert [one["session"] for one in place.entries("recording.sealed")] == [session]
    assert [one["session"] for one in place.entries("session.lost")] == [session]
    assert "before the crash" in place.gate.run("sessions", "replay", session, "--purpose", "test").stdout
    told = cast("dict[str, Any]", place.gate.ask("evidence", "rewrap"))
    assert (told["rewrapped"], told["failed"]) == (1, 0)
    (folder / "recording.old.key").unlink()
    config = folder / "gatebook.toml"
    config.write_text(config.read_text().replace('older_recording_keys = ["file:recording.old.key"]\n', ""))
    assert "before the crash" in place.gate.run("sessions", "replay", session, "--purpose", "test").stdout
    assert cast("dict[str, Any]", place.gate.ask("ledger", "verify"))["findings"] == []
