# SPDX-License-Identifier: Apache-2.0
"""Strangers judge the ledger: Go's sumdb and Tessera's fsck accept what we write, and refuse it when it was changed."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from support import judges
from support.ledger import ORIGIN, SIGNER, MemoryTiles, entry, write_ledger

from gatebook.evidence.checkpoint import Checkpoint, sign
from gatebook.evidence.receipt import Receipt
from gatebook.evidence.tree import inclusion_proof, root_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # the first run builds the judges, and fetches what they are made of
]

SIZES = (0, 1, 2, 255, 256, 257, 65_836)
BIG = max(SIZES)
ENTRIES = [entry(number) for number in range(BIG)]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge said of a ledger."""

    accepted: bool
    words: str


Judge = Callable[..., Verdict]


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folders = {size: tmp_path_factory.mktemp("ledgers") / str(size) for size in SIZES}
    for size, folder in folders.items():
        write_ledger(folder, ENTRIES[:size])
    return folders


@pytest.fixture(params=["go", "fsck"])
def either(request: pytest.FixtureRequest) -> Judge:
    """Each of the judges, so that one speaks where the other cannot be had."""
    judge: Judge = request.getfixturevalue(request.param)
    return judge


@pytest.fixture(scope="module")
def go() -> Judge:
    """golang.org/x/mod/sumdb: a folder, then older checkpoints and receipts."""
    program = judges.ledger_judge()

    def judge(folder: Path, *files: Path) -> Verdict:
        command: list[str | Path] = [program, "check", folder, SIGNER.verifier.text(), *files]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode in {0, 1}, done.stderr
        assert done.stderr.startswith("flaw:") == (done.returncode == 1), done.stderr
        return Verdict(done.returncode == 0, done.stdout + done.stderr)

    return judge


@pytest.fixture(scope="module")
def fsck() -> Judge:
    """Tessera's fsck, which says what it found and exits with 0 all the same."""
    program = judges.fsck()

    def judge(folder: Path) -> Verdict:
        where = [f"-storage_url=file://{folder}/", f"-public_key={folder / 'ledger.vkey'}"]
        # each worker ends with the first flaw it finds, and without one left fsck would wait for ever
        command = [str(program), *where, "-ui=false", "-v=1", "-N=64"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return Verdict("Successfully fsck'd log with size" in done.stderr, done.stderr)

    return judge


@cache
def tiles() -> MemoryTiles:
    return MemoryTiles(ENTRIES)


def receipt(index: int, size: int) -> bytes:
    note = sign(Checkpoint(ORIGIN, size, root_of(tiles(), size)), SIGNER)
    return Receipt(ENTRIES[index], index, tuple(inclusion_proof(tiles(), index, size)), note).text()


@contextlib.contextmanager
def changed(file: Path, data: bytes) -> Iterator[None]:
    """Exchange what is in a file, for a while."""
    kept = file.read_bytes()
    file.write_bytes(data)
    try:
        yield
    finally:
        file.write_bytes(kept)


@pytest.mark.parametrize("size", SIZES)
def test_go_accepts_a_ledger(go: Judge, ledgers: dict[int, Path], size: int) -> None:
    older = [ledgers[other] / "checkpoint" for other in SIZES if other <= size]
    told = go(ledgers[size], *older)
    assert told.accepted, told.words
    assert f"entries: {size}, each with the hash that the tree has" in told.words
    assert told.words.count("older checkpoint: the ledger begins with its") == len(older)


@pytest.mark.parametrize(
    ("index", "size"), [(0, 1), (0, 2), (255, 256), (256, 257), (137, 300), (65_535, BIG), (9, BIG)]
)
def test_go_accepts_a_receipt(go: Judge, ledgers: dict[int, Path], tmp_path: Path, index: int, size: int) -> None:
    file = tmp_path / "entry.tlog-proof"
    file.write_bytes(receipt(index, size))
    told = go(ledgers[0], file)
    assert told.accepted, told.words
    assert f"receipt: entry {index} is in the ledger of {size}" in told.words


def test_go_refuses_a_receipt_of_another_entry(go: Judge, ledgers: dict[int, Path], tmp_path: Path) -> None:
    file = tmp_path / "entry.tlog-proof"
    file.write_bytes(receipt(137, 300).replace(b"index 137", b"index 138"))
    assert not go(ledgers[0], file).accepted


# One file of each kind that a ledger has, and a byte of it.
FILES = {
    "full tile of leaves": ("tile/0/000", 4000),
    "partial tile of leaves": ("tile/0/257.p/44", 1400),
    "full tile above": ("tile/1/000", 8191),
    "partial tile above": ("tile/1/001.p/1", 0),
    "tile at the top": ("tile/2/000.p/1", 31),
    "bytes of an entry": ("tile/entries/100", 5),
    "length of an entry": ("tile/entries/000", 1),
    "partial bundle": ("tile/entries/257.p/44", 9),
    "origin": ("checkpoint", 0),
    "size": ("checkpoint", len(ORIGIN) + 2),
    "root": ("checkpoint", len(ORIGIN) + 20),
    "signature": ("checkpoint", 150),
}


@pytest.mark.parametrize("kind", FILES)
def test_each_judge_refuses_a_changed_byte(either: Judge, ledgers: dict[int, Path], kind: str) -> None:
    name, place = FILES[kind]
    file = ledgers[BIG] / name
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    with changed(file, bytes(data)):
        assert not either(ledgers[BIG]).accepted


@pytest.mark.parametrize("name", ["tile/0/000", "tile/0/257.p/44", "tile/1/000", "tile/entries/000", "checkpoint"])
def test_go_refuses_a_file_that_is_cut_longer_or_gone(go: Judge, ledgers: dict[int, Path], name: str) -> None:
    file = ledgers[BIG] / name
    data = file.read_bytes()
    for other in (b"", data[:-1], data + b"x"):
        with changed(file, other):
            assert not go(ledgers[BIG]).accepted
    file.unlink()
    told = go(ledgers[BIG])
    file.write_bytes(data)
    assert not told.accepted


@pytest.mark.parametrize("kind", [["tile/0/"], ["tile/entries/"], ["tile/0/", "tile/entries/"]])
def test_each_judge_refuses_exchanged_tiles(either: Judge, ledgers: dict[int, Path], kind: list[str]) -> None:
    with contextlib.ExitStack() as stack:
        for folder in kind:
            first, second = ledgers[BIG] / folder / "007", ledgers[BIG] / folder / "008"
            kept = second.read_bytes(), first.read_bytes()
            for file, data in zip((first, second), kept, strict=True):
                stack.enter_context(changed(file, data))
        assert not either(ledgers[BIG]).accepted
    assert either(ledgers[BIG]).accepted


def test_a_cut_and_signed_anew_ledger_is_refused_only_by_who_kept_a_checkpoint(
    go: Judge, ledgers: dict[int, Path], tmp_path: Path
) -> None:
    write_ledger(tmp_path / "cut", ENTRIES[:200])
    assert go(tmp_path / "cut").accepted
    assert not go(tmp_path / "cut", ledgers[257] / "checkpoint").accepted


def test_a_forked_ledger_is_refused_only_by_who_kept_a_checkpoint(
    go: Judge, ledgers: dict[int, Path], tmp_path: Path
) -> None:
    write_ledger(tmp_path / "forked", [*ENTRIES[:5], b"never happened", *ENTRIES[6:400]])
    assert go(tmp_path / "forked", ledgers[2] / "checkpoint").accepted
    assert not go(tmp_path / "forked", ledgers[257] / "checkpoint").accepted


@pytest.mark.parametrize("size", [size for size in SIZES if size])
def test_fsck_accepts_a_ledger(fsck: Judge, ledgers: dict[int, Path], size: int) -> None:
    told = fsck(ledgers[size])
    assert told.accepted, told.words
