# SPDX-License-Identifier: Apache-2.0
"""The disk is full, or the journal cannot be written: refused and told, never silent, and whole when it is mended."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import psycopg
import pytest
from support.marks import TABLE, executed, intended, start_marking
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

# Root may write anywhere; without these two it is bound by modes as everybody is.
BOUND = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


@pytest.fixture
def marked(server: Postgres, folder: Path) -> Iterator[Place]:
    name = f"disk_{os.getpid()}_{abs(hash(folder)) % 10**8}"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.set("evidence", segment_bytes=1 << 20)
    place.gate.set("index", follow="off")  # what its end gives back would make a full disk less so
    place.ask(TABLE)
    yield place
    place.gate.stop()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of twelve megabytes."""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("only root may mount; the limit on file sizes is tested in any case")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def is_whole(place: Place) -> bool:
    report = cast("dict[str, object]", place.gate.ask("ledger", "verify", check=False))
    assert report["findings"] == []
    return report["ok"] is True


def load_until_it_fails(place: Place, folder: Path) -> str:
    """Leave marks until pgbench gives up, and return what it said."""
    load = start_marking(place, folder)
    said, _ = load.communicate(timeout=100)
    assert load.returncode != 0
    return said.decode()


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_au_07_a_full_disk_refuses_and_says_so_and_nothing_runs_unwritten(
    marked: Place, small_disk: Path, tmp_path: Path
) -> None:
    shutil.copytree(marked.gate.data, small_disk / "data")
    shutil.rmtree(marked.gate.data)
    marked.gate.data.symlink_to(small_disk / "data")
    marked.gate.serve()
    said = load_until_it_fails(marked, tmp_path)
    assert "evidence" in said
    assert marked.gate.process is not None
    assert marked.gate.process.wait(30) == 1
    assert "evidence could not be written" in marked.gate.log.read_text()
    done = executed(marked)
    assert len(done) > 100
    assert done - intended(marked) == set()
    assert marked.gate.run("serve", check=False).returncode == 1  # still full
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    marked.gate.serve()
    assert marked.through.psql("-c", "SELECT 'mended'").stdout == "mended\n"
    assert marked.gate.stop() == 0
    assert is_whole(marked)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_files_that_may_not_grow_refuse_and_say_so(marked: Place, tmp_path: Path) -> None:
    """A journal's segment may not be made whole: the limit is met before an operation is decided."""
    with pytest.raises(RuntimeError, match="cannot be opened"):
        marked.gate.serve(("prlimit", "--fsize=500000"))
    marked.gate.serve()
    load = start_marking(marked, tmp_path)
    eventually(lambda: len(executed(marked)) > 50)
    assert marked.gate.process is not None
    subprocess.run(["prlimit", f"--pid={marked.gate.process.pid}", "--fsize=600000"], check=True)
    said, _ = load.communicate(timeout=60)
    assert load.returncode != 0
    assert b"evidence" in said
    assert marked.gate.process.wait(30) == 1
    done = executed(marked)
    assert done - intended(marked) == set()
    marked.gate.serve()
    assert marked.through.psql("-c", "SELECT 'mended'").stdout == "mended\n"
    assert marked.gate.stop() == 0
    assert is_whole(marked)


@pytest.mark.timeout(120)
def test_a_journal_folder_that_is_read_only_stops_the_gate_at_its_next_segment(marked: Place, tmp_path: Path) -> None:
    marked.gate.serve(BOUND)
    journal = marked.gate.data / "journal" / "gatebook"
    with psycopg.connect(marked.through.dsn, autocommit=True) as idle:
        idle.execute("SELECT 1")
        journal.chmod(0o500)
        said = load_until_it_fails(marked, tmp_path)
        assert "evidence" in said
        with pytest.raises(psycopg.Error, match="evidence"):
            idle.execute("SELECT 2")
    assert executed(marked) - intended(marked) == set()
    assert marked.gate.process is not None
    assert marked.gate.process.wait(30) == 1
    with pytest.raises(RuntimeError, match="cannot make a journal segment: Permission denied"):
        marked.gate.serve(BOUND)
    journal.chmod(0o700)
    marked.gate.serve(BOUND)
    assert marked.through.psql("-c", "SELECT 'mended'").stdout == "mended\n"
    assert marked.gate.stop() == 0
    assert is_whole(marked)


def sealing(place: Place) -> dict[str, object]:
    return cast("dict[str, object]", place.gate.ask("ledger", "show"))


@pytest.mark.timeout(120)
def test_a_ledger_that_is_read_only_is_told_and_sealed_when_it_is_mended(marked: Place) -> None:
    """The gate goes on: what is not sealed is in the journal. The notary says so each time it has to give up."""
    marked.gate.serve(BOUND)
    eventually((marked.gate.data / "ledger/checkpoint").exists)
    eventually(lambda: sealing(marked)["not_sealed"] == {})
    folders = [
        marked.gate.data / "ledger",
        *(path for path in (marked.gate.data / "ledger").rglob("*") if path.is_dir()),
    ]
    for folder in folders:
        folder.chmod(0o500)
    assert marked.through.psql("-c", "SELECT 'it goes on'").stdout == "it goes on\n"
    eventually(lambda: any("notary" in str(entry["what"]) for entry in marked.entries("failure")))
    assert sealing(marked)["not_sealed"] != {}
    for folder in folders:
        folder.chmod(0o755)
    eventually(lambda: sealing(marked)["not_sealed"] == {}, 60)
    assert marked.gate.stop() == 0
    assert is_whole(marked)
