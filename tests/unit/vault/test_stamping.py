# SPDX-License-Identifier: Apache-2.0
"""Time stamps as the notary gets them: when, from whom, and what a bad authority costs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder
from support import timestamps
from support.notary import FailingDisk
from support.timestamps import Authority as Tsa
from support.witness import eventually

from gatebook.evidence.timestamp import parse_roots
from gatebook.vault import asking, stamping
from gatebook.vault.asking import HttpStamp
from gatebook.vault.cosigning import NotAnswered
from gatebook.vault.ledger import LedgerFolder, SystemDisk
from gatebook.vault.stamping import Authority, Stamped, Stamper, keep_stamp, last_stamp

NOTES = [b"one\n", b"two\n", b"three\n"]


@pytest.fixture(scope="module")
def tsa(tmp_path_factory: pytest.TempPathFactory) -> Tsa:
    return Tsa(tmp_path_factory.mktemp("tsa") / "one")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamping, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(stamping, "LONGEST_RETRY_S", 0.05)


@dataclass
class Running:
    """A stamper at work; `got` gathers what it gave."""

    stamper: Stamper
    got: list[Stamped] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def has(self, count: int) -> bool:
        self.got += self.stamper.take()
        self.told += [news.what for news in self.stamper.news()]
        return len(self.got) >= count


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    made: list[Stamper] = []

    def begin(*authorities: Authority, every_s: float = 3600.0, last: tuple[int, float] = (0, -1.0)) -> Running:
        made.append(Stamper(authorities, every_s, last=last))
        made[-1].start()
        return Running(made[-1])

    yield begin
    for one in made:
        one.close()


def authority(
    tsa: Tsa, ask: Callable[[bytes], bytes] | None = None, *, name: str = "one", policy: str = ""
) -> Authority:
    return Authority(name, ask or tsa.reply, parse_roots(tsa.roots.read_bytes()), policy)


def silent(_: bytes) -> bytes:
    raise NotAnswered("cannot be reached: nobody is there")


def test_stamps_the_newest_once_in_a_while(tsa: Tsa, start: Start) -> None:
    running = start(authority(tsa, policy=timestamps.POLICY), every_s=0.2)
    running.stamper.offer(1, NOTES[0])
    eventually(lambda: running.has(1))
    running.stamper.offer(2, NOTES[1])
    running.stamper.offer(3, NOTES[2])
    eventually(lambda: running.has(2))
    assert [(one.size, one.note, one.authority) for one in running.got] == [(1, NOTES[0], "one"), (3, NOTES[2], "one")]
    time.sleep(0.5)
    assert running.stamper.take() == []  # nothing newer was sealed
    assert running.told == []


def test_goes_on_with_the_pause_where_the_last_run_left_it(tsa: Tsa, start: Start) -> None:
    running = start(authority(tsa), last=(5, 10.0))
    running.stamper.offer(6, NOTES[0])
    time.sleep(0.3)
    assert not running.has(1)
    again = start(authority(tsa), last=(5, 3601.0))
    again.stamper.offer(6, NOTES[0])
    eventually(lambda: again.has(1))


def test_the_next_authority_is_asked_where_the_first_does_not_stamp(tsa: Tsa, start: Start) -> None:
    running = start(authority(tsa, silent, name="down"), authority(tsa, name="up"))
    running.stamper.offer(1, NOTES[0])
    eventually(lambda: running.has(1))
    assert running.got[0].authority == "up"


def cut(answer: bytes) -> bytes:
    return answer[:-7]


def changed(answer: bytes) -> bytes:
    """Another last byte, whatever it was."""
    return answer[:-1] + bytes([answer[-1] ^ 1])


HOSTILE: dict[str, Callable[[Tsa, bytes], bytes]] = {
    "timestamp_form": lambda tsa, query: cut(tsa.reply(query)),
    "timestamp_refused": lambda tsa, _: tsa.reply(b"\x30\x03\x02\x01\x01"),
    "timestamp_imprint": lambda tsa, _: tsa.reply(_request(b"other bytes")),
    "timestamp_nonce": lambda tsa, _: tsa.reply(_request(NOTES[0])),
    "timestamp_signature": lambda tsa, query: changed(tsa.reply(query)),
}


def _request(data: bytes) -> bytes:
    made = TimestampRequestBuilder().data(data).hash_algorithm(HashAlgorithm.SHA256)
    return made.cert_request(cert_request=True).build().as_bytes()


@pytest.mark.parametrize("found", HOSTILE)
def test_a_bad_answer_is_no_stamp_and_named_once_the_outage_is_long(
    tsa: Tsa, start: Start, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stamping, "OUTAGE_S", 0.1)
    good = threading.Event()
    running = start(authority(tsa, lambda query: tsa.reply(query) if good.is_set() else HOSTILE[found](tsa, query)))
    running.stamper.offer(1, NOTES[0])
    eventually(lambda: running.has(0) and bool(running.told))
    assert running.told[0].startswith(f"no time stamp: one gave no good stamp: {found}: ")
    assert running.got == []
    good.set()
    eventually(lambda: running.has(1))
    eventually(lambda: running.has(1) and len(running.told) == 2)
    assert running.told[1] == "time stamps come again"


def late(_: bytes) -> bytes:
    time.sleep(1)
    return b""


def test_over_http_an_answer_is_bounded(tsa: Tsa, monkeypatch: pytest.MonkeyPatch) -> None:
    with timestamps.served(tsa.reply) as url:
        assert HttpStamp(url)(_request(NOTES[0]))
    with timestamps.served(lambda _: bytes(70_000)) as url, pytest.raises(NotAnswered, match="more than 65536 bytes"):
        HttpStamp(url)(b"query")
    with timestamps.served(tsa.reply, 503) as url, pytest.raises(NotAnswered, match="status 503"):
        HttpStamp(url)(_request(NOTES[0]))
    monkeypatch.setattr(asking, "STAMP_STEP_S", 0.2)
    with (
        timestamps.served(late) as url,
        pytest.raises(NotAnswered, match="cannot be reached"),
    ):
        HttpStamp(url)(b"query")
    with pytest.raises(NotAnswered, match="cannot be reached"):
        HttpStamp("http://127.0.0.1:1/tsr")(b"query")


def test_what_was_stamped_is_kept_beside_its_stamp(tsa: Tsa, start: Start, tmp_path: Path) -> None:
    ledger = LedgerFolder(tmp_path)
    assert last_stamp(ledger, time.time()) == (0, -1.0)
    running = start(authority(tsa))
    running.stamper.offer(12, NOTES[0])
    eventually(lambda: running.has(1))
    keep_stamp(SystemDisk(), ledger, running.got[0])
    assert ledger.stamped_sizes() == [12]
    assert ledger.read_stamp(12) == (NOTES[0], running.got[0].response)
    size, age = last_stamp(ledger, time.time() + 60)
    assert size == 12
    assert 59 < age < 70
    assert timestamps.stock_verify(*ledger.stamp_paths(12), tsa.roots) == "OK"


def test_a_disk_that_fails_leaves_no_stamp_of_nothing(tsa: Tsa, start: Start, tmp_path: Path) -> None:
    ledger = LedgerFolder(tmp_path)
    running = start(authority(tsa))
    running.stamper.offer(12, NOTES[0])
    eventually(lambda: running.has(1))
    with pytest.raises(OSError, match="step 2"):
        keep_stamp(FailingDisk(2), ledger, running.got[0])
    assert ledger.stamped_sizes() == []
