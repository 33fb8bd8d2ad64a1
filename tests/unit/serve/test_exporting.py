# SPDX-License-Identifier: Apache-2.0
"""An export at work: what is acknowledged moves the cursor, what is not moves nothing, and stopping sends the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.notary import ORIGIN, DiskFailed, FailingDisk, folders, seal, write_entries

from gatebook.model.errors import OperatorFault
from gatebook.serve import exporting
from gatebook.serve.exporting import Exporter, ExportPlan
from gatebook.serve.receivers import NotAcknowledged, TooLarge
from gatebook.vault.cursor import ExportFolder
from gatebook.vault.journal import Faults, JournalReader, JournalWriter
from gatebook.vault.ledger import Disk, LedgerFolder, SystemDisk
from gatebook.vault.outgoing import Outgoing


@dataclass
class Kept:
    """Keeps what it gets, unless it is `down`, or asked for more than `most` records at once."""

    batches: list[list[int]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    down: str = ""
    most: int = 10_000
    hangs: bool = False

    async def send(self, lines: list[bytes]) -> None:
        if self.hangs:
            await asyncio.sleep(60)
        if self.down:
            raise NotAcknowledged(self.down)
        if len(lines) > self.most:
            raise TooLarge("too large")
        records = [json.loads(line) for line in lines]
        self.batches.append([record["index"] for record in records])
        self.kinds += [record["entry"]["event"] for record in records]

    async def close(self) -> None:
        pass


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[JournalWriter]:
    with JournalWriter.open(tmp_path / "journal", "export-siem", sync="every") as opened:
        yield opened


@dataclass
class Clock:
    """Stands still until it is set; the entries of these tests are older."""

    moment: datetime = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


STILL = Clock()


def exporter(
    root: Path,
    journal: JournalWriter,
    receiver: Kept,
    now: Clock = STILL,
    *,
    batch: int = 100,
    events: tuple[str, ...] = (),
    disk: Disk | None = None,
) -> Exporter:
    files = ExportFolder(root / "export", "siem")
    (root / "export").mkdir(exist_ok=True)
    outgoing = Outgoing(LedgerFolder(folders(root).ledger), ORIGIN, files.read_cursor(), now)
    plan = ExportPlan("siem", "export-siem", batch, 60, events)
    return Exporter(plan, outgoing, receiver, files=files, disk=disk or SystemDisk(), journal=journal, now=now)


def cursor(root: Path) -> int:
    found = ExportFolder(root / "export", "siem").read_cursor()
    return found.next if found else -1


def test_batches_go_in_order_and_move_the_cursor(tmp_path: Path, journal: JournalWriter) -> None:
    write_entries(tmp_path, "gate", 250)
    seal(tmp_path)
    receiver = Kept()
    assert asyncio.run(exporter(tmp_path, journal, receiver).once()) == 250
    assert [(one[0], one[-1]) for one in receiver.batches] == [(0, 99), (100, 199), (200, 249)]
    assert cursor(tmp_path) == 250
    assert asyncio.run(exporter(tmp_path, journal, receiver).once()) == 0
    assert len(receiver.batches) == 3


def test_what_is_not_acknowledged_moves_nothing_and_is_told(tmp_path: Path, journal: JournalWriter) -> None:
    write_entries(tmp_path, "gate", 10)
    seal(tmp_path)
    with pytest.raises(OperatorFault, match="10 entries are not acknowledged: it is down"):
        asyncio.run(exporter(tmp_path, journal, Kept(down="it is down")).once())
    assert cursor(tmp_path) == 0
    assert ExportFolder(tmp_path / "export", "siem").read_state().error == "it is down"
    assert asyncio.run(exporter(tmp_path, journal, Kept()).once()) == 10
    assert ExportFolder(tmp_path / "export", "siem").read_state().error == ""


def test_a_batch_that_is_too_large_is_halved_and_grows_again(tmp_path: Path, journal: JournalWriter) -> None:
    write_entries(tmp_path, "gate", 1000)
    seal(tmp_path)
    receiver = Kept(most=16)
    assert asyncio.run(exporter(tmp_path, journal, receiver).once()) == 1000
    assert [index for batch in receiver.batches for index in batch] == list(range(1000))
    assert [len(batch) for batch in receiver.batches[:3]] == [12, 12, 12]
    receiver = Kept(most=0)
    write_entries(tmp_path, "gate", 10, first=1000)
    seal(tmp_path)
    with pytest.raises(OperatorFault, match="too large"):
        asyncio.run(exporter(tmp_path, journal, receiver).once())
    assert cursor(tmp_path) == 1000


@pytest.mark.parametrize("persists", [False, True])
@pytest.mark.parametrize("at", range(1, 7))
def test_whatever_write_of_the_cursor_fails_one_batch_is_repeated_at_most_and_none_is_lost(
    tmp_path: Path, journal: JournalWriter, at: int, persists: bool
) -> None:
    write_entries(tmp_path, "gate", 50)
    seal(tmp_path)
    receiver, disk = Kept(), FailingDisk(at, persists=persists)
    with pytest.raises(DiskFailed):  # the start and five batches: six writes
        asyncio.run(exporter(tmp_path, journal, receiver, batch=10, disk=disk).once())
    assert disk.steps == at
    asyncio.run(exporter(tmp_path, journal, receiver, batch=10).once())
    whole = [list(range(first, first + 10)) for first in range(0, 50, 10)]
    repeated = [] if persists or at == 1 else [whole[at - 2]]
    assert receiver.batches == [*whole[: at - 1], *repeated, *whole[at - 1 :]]


def test_kinds_that_are_not_asked_for_are_passed_over(tmp_path: Path, journal: JournalWriter) -> None:
    write_entries(tmp_path, "gate", 20)
    seal(tmp_path)
    receiver = Kept()
    assert asyncio.run(exporter(tmp_path, journal, receiver, events=("authn",)).once()) == 20
    assert (receiver.batches, cursor(tmp_path)) == ([], 20)
    found = ExportFolder(tmp_path / "export", "siem").read_cursor()
    assert found is not None
    assert found.acknowledged is None
    write_entries(tmp_path, "gate", 5, first=20)
    seal(tmp_path)
    asyncio.run(exporter(tmp_path, journal, receiver, events=("heart",)).once())
    assert receiver.kinds == ["heartbeat"] * 5


def test_what_was_sealed_last_is_sent_when_it_is_told_to_stop(tmp_path: Path, journal: JournalWriter) -> None:
    write_entries(tmp_path, "gate", 30)
    seal(tmp_path)
    receiver = Kept()

    async def work() -> None:
        stopping = asyncio.Event()
        stopping.set()
        await exporter(tmp_path, journal, receiver).run(stopping)

    asyncio.run(work())
    assert (len(receiver.batches), cursor(tmp_path)) == (1, 30)


def test_an_alarm_begins_beyond_the_lag_and_is_over_at_half_of_it(tmp_path: Path, journal: JournalWriter) -> None:
    write_entries(tmp_path, "gate", 3)
    seal(tmp_path)
    made = exporter(tmp_path, journal, Kept(down="it is down"), clock := Clock())
    entered: list[int] = []
    for waited_s in (0, 59, 61, 59, 31, 61, 29, 59, 61):
        clock.moment = Clock().moment + timedelta(seconds=waited_s)
        with pytest.raises(OperatorFault):
            asyncio.run(made.once())
        entered.append(len(list(JournalReader(journal.folder, Faults()).read())))
    assert entered == [0, 0, 1, 1, 1, 1, 2, 2, 3]


def test_a_receiver_that_hangs_does_not_hold_up_the_end(
    tmp_path: Path, journal: JournalWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LAST_S", 0.1)
    write_entries(tmp_path, "gate", 30)
    seal(tmp_path)

    async def work() -> None:
        stopping = asyncio.Event()
        asyncio.get_running_loop().call_later(0.2, stopping.set)
        async with asyncio.timeout(5):
            await exporter(tmp_path, journal, Kept(hangs=True)).run(stopping)

    asyncio.run(work())
    assert cursor(tmp_path) == 0
