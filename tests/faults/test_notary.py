# SPDX-License-Identifier: Apache-2.0
"""The notary's disk fails at every step, before and after it was done: never a fork, and whole when it starts again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.notary import (
    ORIGIN,
    DiskFailed,
    FailingDisk,
    findings,
    folders,
    open_notary,
    seal,
    verify,
    write_entries,
)
from support.rotation import NEW, OLD, carry_out, wish

from gatebook.evidence.checkpoint import open_checkpoint
from gatebook.evidence.note import Verifier
from gatebook.evidence.sealed import decode_sealed
from gatebook.evidence.tree import consistency_proof, verify_consistency
from gatebook.vault.ledger import LedgerFolder

BEFORE = {"gate": 300, "cli": 3}
LATER = {"gate": 700, "cli": 2}


def write_all(root: Path, counts: dict[str, int], first: int) -> None:
    for writer, count in counts.items():
        write_entries(root, writer, count, first=first)


def one_more_sealing(root: Path, disk: FailingDisk) -> None:
    """What is broken at every step: the start of a notary that has sealed before, and a sealing over several tiles."""
    notary = open_notary(root, disk)
    try:
        notary.seal()
    finally:
        notary.close()


def prepare(root: Path) -> None:
    write_all(root, BEFORE, 0)
    assert seal(root) == 303
    write_all(root, LATER, 1000)


def steps(root: Path) -> list[str]:
    prepare(root)
    disk = FailingDisk()
    one_more_sealing(root, disk)
    return disk.names


def signed(root: Path) -> Iterator[bytes]:
    """Every checkpoint that may have left the notary."""
    for path in (folders(root).ledger / "checkpoint", folders(root).notary / "state"):
        data = path.read_bytes()
        yield data if path.name == "checkpoint" else decode_sealed(data).checkpoint


def test_the_table_breaks_every_kind_of_step(tmp_path: Path) -> None:
    assert {*steps(tmp_path)} == {"write", "sync", "replace", "sync_data", "remove"}


def test_au_09_a_disk_that_fails_at_any_step_never_makes_a_fork(tmp_path: Path) -> None:
    names = steps(tmp_path / "steps")
    assert len(names) > 15
    for at in range(1, len(names) + 1):
        for persists in (False, True):
            root = tmp_path / f"{at}-{persists}"
            prepare(root)
            past = [*signed(root)]
            with pytest.raises(DiskFailed):
                one_more_sealing(root, FailingDisk(at, persists=persists))
            past += signed(root)
            write_all(root, {"gate": 1, "cli": 300}, 5000)  # what comes next is in another order than it was
            seal(root)
            report = verify(root)
            assert findings(report) == [], (at, names[at - 1], persists)
            assert report.checked["ledger entries"] == 303 + 702 + 301
            assert_is_past(root, past)


def assert_is_past(root: Path, past: list[bytes]) -> None:
    ledger = LedgerFolder(folders(root).ledger)
    verifier = Verifier.parse(ledger.read_vkey())
    now = open_checkpoint(ledger.read_checkpoint(), verifier)
    assert now.origin == ORIGIN
    for note in past:
        then = open_checkpoint(note, verifier)
        proof = consistency_proof(ledger, then.size, now.size)
        verify_consistency(then.size, then.root, now.size, now.root, proof)


def test_the_first_start_may_fail_at_any_step(tmp_path: Path) -> None:
    disk = FailingDisk()
    write_entries(tmp_path / "steps", "gate", 5)
    seal(tmp_path / "steps", disk)
    for at in range(1, disk.steps + 1):
        for persists in (False, True):
            root = tmp_path / f"{at}-{persists}"
            write_entries(root, "gate", 5)
            with pytest.raises(DiskFailed):
                seal(root, FailingDisk(at, persists=persists))
            assert seal(root) == 5
            assert findings(verify(root)) == []


def prepare_change(root: Path) -> None:
    prepare(root)
    assert seal(root) == 1005
    write_all(root, {"gate": 3}, 3000)
    wish(root)


def test_au_09_a_disk_that_fails_at_any_step_of_a_change_of_key_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    counting = FailingDisk()
    prepare_change(tmp_path / "steps")
    carry_out(tmp_path / "steps", counting)
    assert counting.steps > 10
    for at in range(1, counting.steps + 1):
        for persists in (False, True):
            root = tmp_path / f"{at}-{persists}"
            prepare_change(root)
            past = [*signed(root)]
            with pytest.raises(DiskFailed):
                carry_out(root, FailingDisk(at, persists=persists))
            past += signed(root)
            assert findings(verify(root, key=OLD.verifier.text())) == [], (at, counting.names[at - 1], persists)
            write_all(root, {"gate": 1, "cli": 300}, 5000)
            assert carry_out(root) == NEW.verifier.text()
            assert findings(verify(root, key=OLD.verifier.text())) == [], (at, counting.names[at - 1], persists)
            report = verify(root, key=NEW.verifier.text())
            assert findings(report) == [], (at, counting.names[at - 1], persists)
            assert report.checked["changes of the key"] == 1
            assert report.checked["ledger entries"] == report.checked["entries"] == 1005 + 3 + 301 + 1
            assert not (folders(root).notary / "rotation").exists()
            past_by_either(root, past)


def past_by_either(root: Path, past: list[bytes]) -> None:
    for note in past:
        assert findings(verify(root, key=NEW.verifier.text(), since=note)) == []
