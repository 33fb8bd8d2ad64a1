# SPDX-License-Identifier: Apache-2.0
"""Witnesses for tests: one in this process that can be down, slow or a liar, and notaries that ask it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gatebook.evidence.note import Signer, Verifier
from gatebook.vault import cosigning
from gatebook.vault.cosigning import Answer, NotAnswered, Witnesses
from gatebook.vault.ledger import Disk, SystemDisk
from gatebook.vault.notary import Notary, read_seen
from gatebook.vault.witness import Witness
from support.notary import ORIGIN, SEED, folders

NAME = "witness.example/w1"
NOTARY = Signer.make(ORIGIN, SEED)
TIME = 1_700_000_000
LATEST_S = 10.0
_opened: list[Witness] = []


def open_witness(
    folder: Path, *, name: str = NAME, seed: int = 7, disk: Disk | None = None, also: Sequence[Verifier] = ()
) -> Witness:
    made = Witness.open(folder, name, [NOTARY.verifier, *also], bytes([seed]) * 32, disk or SystemDisk())
    _opened.append(made)
    return made


def close_witnesses() -> None:
    """Close whatever a test has opened; tests/conftest.py calls it after each."""
    while _opened:
        _opened.pop().close()


@dataclass
class Stranger:
    """A witness as a notary reaches it. `change` may exchange what it answers."""

    witness: Witness
    name: str = "w1"
    down: bool = False
    let: threading.Event = field(default_factory=threading.Event)
    change: Callable[[Answer], Answer] = lambda answer: answer
    asked: list[bytes] = field(default_factory=list)
    _one: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.let.set()

    def ask(self, body: bytes) -> Answer:
        self.asked.append(body)
        if self.down:
            raise NotAnswered("cannot be reached: nobody is there")
        if not self.let.wait(LATEST_S):
            raise NotAnswered("takes longer than 10 s")
        with self._one:
            reply = self.witness.add_checkpoint(body, lambda: float(TIME))
        return self.change(Answer(reply.status, reply.body))

    @property
    def asker(self) -> cosigning.Witness:
        return cosigning.Witness(self.name, self.witness.key, self.ask)

    @property
    def key(self) -> str:
        return self.witness.key.text()


def strangers(root: Path, count: int) -> list[Stranger]:
    names = [f"w{one}" for one in range(count)]
    return [
        Stranger(open_witness(root / name, name=f"witness.example/{name}", seed=seed), name)
        for seed, name in enumerate(names)
    ]


def open_notary(root: Path, asked: Sequence[Stranger], quorum: int = 0, disk: Disk | None = None) -> Notary:
    witnesses = Witnesses([one.asker for one in asked], quorum, read_seen(folders(root).notary))
    return Notary.open(folders(root), ORIGIN, SEED, disk or SystemDisk(), witnesses=witnesses)


def seal(root: Path, asked: Sequence[Stranger], quorum: int = 0, disk: Disk | None = None) -> int:
    """Open a notary, seal what is there, close it; the size of the tree."""
    notary = open_notary(root, asked, quorum, disk)
    try:
        return notary.seal().size
    finally:
        notary.close()


def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    until = time.monotonic() + LATEST_S
    while not holds():
        assert time.monotonic() < until, "never came"
        time.sleep(0.01)


def next_news(witnesses: Witnesses) -> list[str]:
    """Wait until there is news of witnesses; what it says."""
    told: list[str] = []

    def has_come() -> bool:
        told.extend(one.what for one in witnesses.news())
        return bool(told)

    eventually(has_come)
    return told
