# SPDX-License-Identifier: Apache-2.0
"""Exports under receivers that fail in every way and exporters that are killed: what is sealed arrives, in order."""

from __future__ import annotations

import json
import os
import random
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from support.certificates import SERVER, Maker
from support.installation import Installation, install
from support.ledger import ORIGIN
from support.notary import folders, seal, write_entries
from support.receiver import CUT, CUT_ANSWER, HANG, LONG_ANSWER, Siem, siem
from support.servers import eventually

from gatebook.evidence.entry import encode_canonical
from gatebook.evidence.tiles import entries_path
from gatebook.evidence.tree import leaf_hash
from gatebook.vault.ledger import LedgerFolder

KILLS = int(os.environ.get("KILLS", "12"))
BATCH = 20
EXIT_TAMPERED = 3
TOKEN = "a-token-of-the-siem"


@dataclass
class Exporting:
    """An installation whose book the test itself writes and seals, and an export of it."""

    gate: Installation
    siem: Siem

    @property
    def data(self) -> Path:
        return self.gate.settings.gate.data

    @property
    def cursor(self) -> Path:
        return self.data / "export" / "siem.cursor"

    def configure(self, *lines: str, url: str = "") -> None:
        """Add the export, with more lines of configuration."""
        if "[ledger]" not in self.gate.config.read_text():
            added = f'\n[ledger]\norigin = "{ORIGIN}"\n'
            self.gate.config.write_text(self.gate.config.read_text() + added)
        export = ["[[export]]", 'name = "siem"', f'url = "{url or self.siem.url}"', f"batch_entries = {BATCH}", *lines]
        self.gate.config.write_text(self.gate.config.read_text() + "\n" + "\n".join(export) + "\n")

    def write(self, count: int, first: int = 0) -> int:
        """Write entries and seal them; the size of the ledger."""
        write_entries(self.data, "gate", count, first=first)
        return seal(self.data)

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command("run"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def once(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._command("once"), capture_output=True, text=True, check=False, timeout=60)

    def show(self) -> dict[str, Any]:
        (told,) = self.gate.run("export", "show", "--json").json
        return dict(told)

    def sealed(self) -> list[bytes]:
        """Every entry of the ledger."""
        size = seal(self.data)
        ledger = LedgerFolder(folders(self.data).ledger)
        return [entry for bundle in range((size + 255) // 256) for entry in ledger.entries(bundle, size)]

    def check_all_arrived(self, *, repeats: int) -> None:
        """Each sealed entry is there byte for byte; in order, but for at most so many repeats of at most one batch."""
        entries = self.sealed()[: self.show()["next"]]
        place, gone_back = -1, 0
        for record in self.siem.told.kept:
            index = record["index"]
            if index <= place:
                gone_back += 1
                assert place - index < BATCH
            else:
                assert index == place + 1
            place = index
            assert record["ledger"] == ORIGIN
            assert encode_canonical(record["entry"]) == entries[index]
            assert record["hash"] == leaf_hash(entries[index]).hex()
        assert place == len(entries) - 1
        assert gone_back <= repeats

    def _command(self, word: str) -> list[str]:
        return [sys.executable, "-m", "gatebook", "export", word, "siem", "--config", str(self.gate.config)]


@pytest.fixture
def export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Exporting]:
    with siem() as receiver:
        yield Exporting(install(tmp_path / "gate", capsys), receiver)


def stop(process: subprocess.Popen[bytes]) -> str:
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said.decode()
    return said.decode()


def test_au_15_every_sealed_entry_arrives_in_order_whatever_the_receiver_answers(export: Exporting) -> None:
    export.configure()
    size = export.write(300)
    fails: list[int | str] = [500, 302, CUT, CUT_ANSWER, LONG_ANSWER, 413, 404]
    export.siem.told.script = [one for fail in fails for one in (fail, 204)]
    process = export.start()
    eventually(lambda: export.show()["next"] == size, within_s=60)
    stop(process)
    # What is cut after the receiver has kept it, or answered at length, was not acknowledged: those two come again.
    export.check_all_arrived(repeats=2)
    assert {request["path"] for request in export.siem.told.requests} == {"/in"}
    assert {request["content-type"] for request in export.siem.told.requests} == {"application/x-ndjson"}


@pytest.mark.timeout(60 + 5 * KILLS)
def test_au_15_an_exporter_killed_at_any_moment_loses_nothing_and_repeats_one_batch_at_most(export: Exporting) -> None:
    export.configure()
    chance = random.Random(15)
    written = 0
    for _ in range(KILLS):
        export.write(400, first=written)
        written += 400
        before = len(export.siem.told.requests)
        with export.start() as process:
            eventually(lambda: len(export.siem.told.requests) > before, within_s=30)  # noqa: B023  called at once
            time.sleep(chance.random() * 0.15)
            process.kill()
    done = export.once()
    assert done.returncode == 0, done.stderr
    assert export.show()["behind_entries"] == 0
    export.check_all_arrived(repeats=KILLS)


def test_au_15_a_receiver_that_hangs_or_is_gone_is_asked_again_after_the_exporter_was_killed(export: Exporting) -> None:
    export.configure()
    size = export.write(50)
    export.siem.told.answer = HANG
    with export.start() as process:
        eventually(lambda: export.siem.told.requests, within_s=30)
        process.kill()
    export.siem.stop()
    done = export.once()
    assert done.returncode == 1
    assert f"error: {size} entries are not acknowledged: the receiver cannot be reached" in done.stderr
    assert "cannot be reached" in export.show()["error"]
    export.siem.told.answer = 204
    export.siem.start()
    process = export.start()
    eventually(lambda: export.show()["next"] == size, within_s=30)
    stop(process)
    assert export.show()["error"] == ""
    export.check_all_arrived(repeats=0)


def test_au_15_a_batch_that_is_too_large_is_halved_down_to_one_entry_and_never_skipped(export: Exporting) -> None:
    export.configure()
    size = export.write(40)
    export.siem.told.most_bytes = 200
    done = export.once()
    assert done.returncode == 1
    assert "the batch is too large" in done.stderr
    assert export.siem.told.kept == []
    export.siem.told.most_bytes = 1000
    assert export.once().returncode == 0
    assert export.show()["next"] == size
    export.check_all_arrived(repeats=0)


def test_au_15_the_lag_alarm_begins_and_ends_with_one_entry_each_and_feeds_no_loop(export: Exporting) -> None:
    export.configure("lag_alarm_s = 2")
    export.write(30)
    export.siem.told.answer = 503
    process = export.start()

    def entered() -> list[str]:
        seal(export.data)
        journal = export.data / "journal" / "export-siem"
        return [str(one["what"]) for one in export.gate.entries("export-siem")] if journal.exists() else []

    assert eventually(entered, within_s=30) == [
        "export siem: entries wait for more than 2 s: the receiver answers with status 503"
    ]
    assert export.show()["alarm"]
    time.sleep(3)
    assert len(entered()) == 1
    export.siem.told.answer = 204
    eventually(lambda: len(entered()) == 2, within_s=60)
    assert entered()[1] == "export siem: entries wait no longer"
    size = seal(export.data)
    eventually(lambda: export.show()["next"] == size, within_s=30)
    time.sleep(3)
    assert len(entered()) == 2
    assert (export.show()["alarm"], seal(export.data)) == (False, size)
    said = stop(process)
    assert "entries wait for more than 2 s" in said
    export.check_all_arrived(repeats=0)


FORGED = ("cut", "nothing", "another origin", "beyond the ledger", "back", "at the start")


def forged(kind: str, data: bytes, next_: int) -> bytes:
    """A cursor as somebody, or a disk, has changed it."""
    told = b'"next":%d' % next_
    if kind == "cut":
        return data[:-20]
    if kind == "nothing":
        return b""
    if kind == "another origin":
        return data.replace(ORIGIN.encode(), b"another.example/gate")
    other = {"beyond the ledger": next_ + 1, "back": next_ - 1, "at the start": 0}[kind]
    return data.replace(told, b'"next":%d' % other)


@pytest.mark.parametrize("kind", FORGED)
def test_au_15_a_cursor_that_was_changed_is_refused_and_left_as_it_is(export: Exporting, kind: str) -> None:
    export.configure()
    export.write(30)
    assert export.once().returncode == 0
    before = len(export.siem.told.kept)
    changed = forged(kind, export.cursor.read_bytes(), export.show()["next"])
    assert changed != export.cursor.read_bytes()
    export.cursor.write_bytes(changed)
    export.write(30, first=30)
    done = export.once()
    assert done.returncode == EXIT_TAMPERED, done.stderr
    assert "error: " in done.stderr
    assert export.cursor.read_bytes() == changed
    assert len(export.siem.told.kept) == before
    assert export.show()["refused"]
    (entered,) = export.gate.entries("export-siem")
    assert entered["action"] == "it exports nothing any more"


def test_au_15_an_entry_that_was_changed_in_the_ledger_is_not_exported_and_the_book_says_so(export: Exporting) -> None:
    export.configure()
    export.write(600)
    path = folders(export.data).ledger / entries_path(1)
    path.write_bytes(path.read_bytes().replace(b'"sessions":400', b'"sessions":401'))
    process = export.start()
    assert process.wait(60) == EXIT_TAMPERED
    _, said = process.communicate()
    assert b"ledger_inclusion: entries 256 to 511 are not what was sealed" in said
    assert max(export.siem.told.indexes) < 256
    (entered,) = export.gate.entries("export-siem")
    assert "entries 256 to 511 are not what was sealed" in str(entered["what"])


def test_au_15_another_ledger_in_its_place_is_refused(export: Exporting, tmp_path: Path) -> None:
    export.configure()
    export.write(30)
    assert export.once().returncode == 0
    write_entries(tmp_path / "other", "gate", 90)
    seal(tmp_path / "other")
    ledger = folders(export.data).ledger
    ledger.rename(tmp_path / "away")
    (tmp_path / "other" / "ledger").rename(ledger)
    done = export.once()
    assert done.returncode == EXIT_TAMPERED
    assert "does not continue" in done.stderr


def test_au_15_a_receiver_behind_tls_is_verified_and_gets_the_token(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Maker.root()
    made = root.issue(names=[x509.IPAddress(ip_address("127.0.0.1"))], purposes=SERVER)
    files = made.write(tmp_path, "siem")
    (tmp_path / "root.pem").write_bytes(root.pem)
    (tmp_path / "other.pem").write_bytes(Maker.root("other").pem)
    (tmp_path / "token").write_text(TOKEN)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["sslcert"], files["sslkey"])
    with siem(context) as receiver:
        export = Exporting(install(tmp_path / "gate", capsys), receiver)
        export.configure(f'token = "file:{tmp_path / "token"}"', f'tls_roots = "{tmp_path / "other.pem"}"')
        size = export.write(10)
        done = export.once()
        assert done.returncode == 1
        assert "certificate" in done.stderr.lower()
        assert receiver.told.kept == []
        config = export.gate.config.read_text().replace("other.pem", "root.pem")
        export.gate.config.write_text(config)
        assert export.once().returncode == 0
        assert {request["authorization"] for request in receiver.told.requests} == {f"Bearer {TOKEN}"}
        assert receiver.told.indexes == list(range(size))
        assert TOKEN not in json.dumps(export.show())


def test_au_15_a_file_gets_whole_lines_only_behind_what_a_crash_left_of_one(export: Exporting, tmp_path: Path) -> None:
    file = tmp_path / "book.jsonl"
    export.configure(url=f"file:{file}")
    size = export.write(30)
    assert export.once().returncode == 0
    lines = file.read_bytes().splitlines()
    assert [json.loads(line)["index"] for line in lines] == list(range(size))
    file.write_bytes(file.read_bytes() + lines[0][:40])
    assert export.write(30, first=30) == 30 + size
    assert export.once().returncode == 0
    lines = file.read_bytes().splitlines()
    assert [json.loads(line)["index"] for line in lines if line.endswith(b"}")] == list(range(size + 30))
    assert len(lines) == size + 31
    assert file.stat().st_mode & 0o777 == 0o600
