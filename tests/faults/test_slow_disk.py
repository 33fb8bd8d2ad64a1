# SPDX-License-Identifier: Apache-2.0
"""A disk that takes its time: who needs it waits, nobody else does, and nothing runs before it is written."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.marks import TABLE, executed, intended
from support.servers import Place, eventually, make_database, make_place
from throwaway_postgres import Postgres

SOURCE = Path(__file__).resolve().parent.parent / "support/slow_disk.c"


class SlowDisk:
    """A gate whose writes and syncs take as long as the test says."""

    def __init__(self, place: Place, folder: Path) -> None:
        self.place, self._folder = place, folder

    def delay(self, what: str, milliseconds: int) -> None:
        (self._folder / f"{what}.new").write_text(str(milliseconds))
        (self._folder / f"{what}.new").rename(self._folder / what)


@pytest.fixture(scope="module")
def slow(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowDisk]:
    folder = tmp_path_factory.mktemp("slow_disk")
    library = folder / "slow_disk.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    make_database(server, "slow_disk")
    place = make_place(folder / "gate", server, "slow_disk")
    place.gate.environment = {"LD_PRELOAD": str(library), "SLOW_DISK": str(folder)}
    place.ask(TABLE)
    place.gate.serve()
    yield SlowDisk(place, folder)
    place.gate.stop()


@pytest.fixture(autouse=True)
def quick_again(slow: SlowDisk) -> Iterator[None]:
    yield
    slow.delay("write", 0)
    slow.delay("sync", 0)


def test_who_must_be_on_disk_waits_unforwarded_and_who_need_not_does_not_wait(slow: SlowDisk) -> None:
    with (
        psycopg.connect(slow.place.through.dsn, autocommit=True) as writer,
        psycopg.connect(slow.place.through.dsn, autocommit=True) as reader,
    ):
        writer.execute("INSERT INTO marks VALUES (1)")
        reader.execute("SELECT count(*) FROM marks")
        slow.delay("sync", 2_000)
        began = time.monotonic()
        writing = threading.Thread(target=lambda: writer.execute("INSERT INTO marks VALUES (2)"))
        writing.start()
        eventually(lambda: 2 in intended(slow.place))
        for _ in range(20):
            assert reader.execute("SELECT count(*) FROM marks").fetchone() == (1,)
        assert executed(slow.place) == {1}
        assert time.monotonic() - began < 1.9, "readers waited for a disk that they do not need"
        writing.join(20)
        assert executed(slow.place) == {1, 2}
        assert time.monotonic() - began >= 2


def test_every_write_slow_makes_answers_late_and_right(slow: SlowDisk) -> None:
    with psycopg.connect(slow.place.through.dsn, autocommit=True) as connection:
        slow.delay("write", 20)
        began = time.monotonic()
        for number in range(10, 30):
            connection.execute(f"INSERT INTO marks VALUES ({number})")
            assert connection.execute("SELECT max(mark) FROM marks").fetchone() == (number,)
        assert time.monotonic() - began >= 40 * 0.02
    assert set(range(10, 30)) <= executed(slow.place)
    slow.delay("write", 0)
    assert executed(slow.place) - intended(slow.place) == set()


def test_a_client_that_leaves_while_the_disk_hangs_leaves_nothing_unwritten(slow: SlowDisk) -> None:
    before = slow.place.known_sessions()
    slow.delay("sync", 1_500)
    psql = slow.place.through.start_psql("-c", "INSERT INTO marks VALUES (77)")
    eventually(lambda: 77 in intended(slow.place))
    psql.kill()
    psql.communicate()
    slow.delay("sync", 0)
    slow.place.operations_since(before)  # its end is in the book
    assert executed(slow.place) - intended(slow.place) == set()
    report = slow.place.gate.ask("ledger", "verify")
    assert isinstance(report, dict)
    assert report["ok"] is True
