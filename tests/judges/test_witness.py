# SPDX-License-Identifier: Apache-2.0
"""Strangers of torchwood: litewitness cosigns our checkpoints, its library verifies what our witness has cosigned."""

from __future__ import annotations

import base64
import contextlib
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import judges
from support.notary import ORIGIN, SEED, findings, folders, verify, write_entries
from support.notary import seal as seal_alone
from support.rotation import NEW, OLD, carry_out, wish
from support.witness import NOTARY, TIME, eventually, next_news, seal, strangers

from gatebook.evidence.cosignature import CosignerKey
from gatebook.evidence.tree import EMPTY_ROOT
from gatebook.evidence.verify import Report
from gatebook.vault.asking import HttpAsk
from gatebook.vault.cosigning import Witness, Witnesses
from gatebook.vault.ledger import SystemDisk
from gatebook.vault.notary import Notary, read_seen

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # the first run builds the witness, and fetches what it is made of
]

NAME = "stranger.example/litewitness"
# The tables that litewitness makes; its own tool for this, witnessctl, needs a module more.
SCHEMA = """
CREATE TABLE log (origin TEXT PRIMARY KEY, tree_size INTEGER NOT NULL, tree_hash TEXT NOT NULL);
CREATE TABLE key (origin TEXT NOT NULL, key TEXT NOT NULL, FOREIGN KEY(origin) REFERENCES log(origin));
"""


@dataclass
class Litewitness:
    """One litewitness with its agent, in a folder of its own."""

    program: Path
    folder: Path
    port: int
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def key(self) -> CosignerKey:
        encoded = (self.folder / "id.pub").read_text().split(" ")[1]
        return CosignerKey(NAME, base64.b64decode(encoded)[-32:])

    def prepare(self) -> None:
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "id")]
        subprocess.run(command, check=True, timeout=30)
        with contextlib.closing(sqlite3.connect(self.folder / "db")) as db:
            db.executescript(SCHEMA)
            db.execute("INSERT INTO log VALUES (?, 0, ?)", (ORIGIN, base64.b64encode(EMPTY_ROOT).decode()))
            db.execute("INSERT INTO key VALUES (?, ?)", (ORIGIN, NOTARY.verifier.text()))
            db.commit()
        self._start("ssh-agent", "-D", "-a", str(self.folder / "agent"))
        eventually((self.folder / "agent").exists)
        agent = {"SSH_AUTH_SOCK": str(self.folder / "agent")}
        subprocess.run([str(shutil.which("ssh-add")), "-q", str(self.folder / "id")], env=agent, check=True, timeout=30)

    def start(self) -> None:
        told = subprocess.run(
            ["ssh-keygen", "-l", "-E", "sha256", "-f", str(self.folder / "id.pub")], capture_output=True, check=True
        )
        files = ["-db", str(self.folder / "db"), "-ssh-agent", str(self.folder / "agent")]
        key = ["-key", told.stdout.decode().split(" ")[1], "-name", NAME]
        self._start(str(self.program), *files, *key, "-listen", f"127.0.0.1:{self.port}")
        eventually(self.listens)

    def listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def kill(self) -> None:
        """Kill the witness; its agent lives on."""
        process = self._running.pop()
        process.kill()
        process.wait(30)

    def end(self) -> None:
        while self._running:
            self.kill()

    def _start(self, *command: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self._running.append(subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL))


@pytest.fixture
def litewitness() -> Iterator[Litewitness]:
    program = judges.litewitness()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:  # short: the path of a socket has 107 bytes
        running = Litewitness(program, Path(folder), port)
        try:
            running.prepare()
            running.start()
            yield running
        finally:
            running.end()


@contextlib.contextmanager
def notary(root: Path, litewitness: Litewitness) -> Iterator[tuple[Notary, Witnesses]]:
    ask = HttpAsk(f"http://127.0.0.1:{litewitness.port}")
    witnesses = Witnesses([Witness("lite", litewitness.key, ask)], seen=read_seen(folders(root).notary))
    opened = Notary.open(folders(root), ORIGIN, SEED, SystemDisk(), witnesses=witnesses)
    try:
        yield opened, witnesses
    finally:
        opened.close()
        ask.close()


def wait_until_witnessed(root: Path, opened: Notary, litewitness: Litewitness, size: int) -> None:
    """Wait until so many entries are cosigned, and verified to be."""

    def is_witnessed() -> bool:
        opened.seal()
        report = verify(root, key=NOTARY.verifier.text(), witnesses=(litewitness.key.text(),))
        return report.ok and report.checked["entries witnessed"] == size

    eventually(is_witnessed)


def test_litewitness_cosigns_a_ledger_as_it_grows_also_after_it_was_killed(
    tmp_path: Path, litewitness: Litewitness
) -> None:
    sizes = (1, 2, 255, 256, 257, 1000, 1001)
    for turn, (before, size) in enumerate(zip((0, *sizes), sizes, strict=False)):
        write_entries(tmp_path, "gate", size - before, first=before)
        with notary(tmp_path, litewitness) as (opened, witnesses):
            assert opened.seal().size == size
            wait_until_witnessed(tmp_path, opened, litewitness, size)
            assert witnesses.news() == []
        if turn % 3 == 0:
            litewitness.kill()
            litewitness.start()


def test_au_02_litewitness_refuses_a_ledger_remade_with_the_stolen_key(
    tmp_path: Path, litewitness: Litewitness
) -> None:
    write_entries(tmp_path, "gate", 500)
    with notary(tmp_path, litewitness) as (opened, _):
        opened.seal()
        wait_until_witnessed(tmp_path, opened, litewitness, 500)
    for count, first, words in (
        (300, 0, "has seen a ledger of 500, and this one has 300"),
        (500, 1, "says that the ledger of 500 does not continue the 500 it has seen"),
        (600, 1, "says that the ledger of 600 does not continue the 500 it has seen"),
    ):
        for folder in (tmp_path / "journal", folders(tmp_path).ledger, folders(tmp_path).notary):
            shutil.rmtree(folder)
        write_entries(tmp_path, "gate", count, first=first)
        assert seal_alone(tmp_path) == count
        with notary(tmp_path, litewitness) as (_, witnesses):
            assert next_news(witnesses) == [f"witness `lite` {words}"]
        report = verify(tmp_path, key=NOTARY.verifier.text(), witnesses=(litewitness.key.text(),))
        assert findings(report) == [("witness_quorum", "cosignatures")]


def test_litewitness_follows_a_change_of_the_notary_s_key_once_it_is_told(
    tmp_path: Path, litewitness: Litewitness
) -> None:
    def check() -> Report:
        return verify(tmp_path, key=OLD.verifier.text(), witnesses=(litewitness.key.text(),))

    def run(size: int) -> str:
        """Run a notary until so many entries are witnessed; its key then."""
        with contextlib.closing(HttpAsk(f"http://127.0.0.1:{litewitness.port}")) as ask:
            witnesses = Witnesses([Witness("lite", litewitness.key, ask)], seen=read_seen(folders(tmp_path).notary))
            key = carry_out(tmp_path, witnesses=witnesses, until=lambda: check().checked["entries witnessed"] == size)
        report = check()
        assert (findings(report), report.checked["entries witnessed"]) == ([], size)
        return key

    write_entries(tmp_path, "gate", 300)
    assert run(300) == OLD.verifier.text()
    wish(tmp_path)
    # The handover bears both signatures: who knows the old key alone cosigns it, and nothing newer.
    assert run(301) == NEW.verifier.text()
    write_entries(tmp_path, "gate", 10, first=300)
    assert run(301) == NEW.verifier.text()
    with contextlib.closing(sqlite3.connect(litewitness.folder / "db")) as db:
        db.execute("INSERT INTO key VALUES (?, ?)", (ORIGIN, NEW.verifier.text()))
        db.commit()
    write_entries(tmp_path, "gate", 10, first=310)
    assert run(321) == NEW.verifier.text()


def without_cosignatures(note: bytes) -> bytes:
    return b"".join(line for line in note.splitlines(keepends=True) if b"witness.example" not in line)


def judged(program: Path, note: bytes, *witnesses: str) -> tuple[int, str]:
    done = subprocess.run(
        [program, NOTARY.verifier.text(), *witnesses], input=note, capture_output=True, check=False, timeout=30
    )
    return done.returncode, (done.stdout + done.stderr).decode()


def test_torchwood_accepts_what_our_witnesses_cosigned_and_nothing_else(tmp_path: Path) -> None:
    program = judges.cosignature_judge()
    asked = strangers(tmp_path, 2)
    write_entries(tmp_path, "gate", 300)
    seal(tmp_path, asked)
    keys = [one.key for one in asked]
    note = (folders(tmp_path).ledger / "checkpoint").read_bytes()
    lines = "".join(f"witness.example/w{number} 300 {TIME}\n" for number in range(2))
    assert judged(program, note, *keys) == (0, lines)
    assert judged(program, without_cosignatures(note), *keys)[0] == 1
    assert judged(program, note.replace(b"\n300\n", b"\n301\n"), *keys)[0] == 1
    changed = note[:-8] + (b"AAAAAAA\n" if note[-8:] != b"AAAAAAA\n" else b"BBBBBBB\n")
    assert judged(program, changed, *keys)[0] == 1
    assert judged(program, note, NOTARY.verifier.text())[0] == 1
