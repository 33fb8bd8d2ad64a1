# SPDX-License-Identifier: Apache-2.0
"""Somebody who has stolen a key that the notary gave up: what they sign is believed by nobody who verifies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.notary import SEED, findings, folders, open_notary, seal, verify, write_entries
from support.rotation import NEW, OLD, rotate
from support.witness import TIME, open_witness

from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint, sign
from gatebook.evidence.cosignature import Request
from gatebook.evidence.tree import consistency_proof
from gatebook.vault.ledger import LedgerFolder, SystemDisk
from gatebook.vault.witness import Witness

KEYS = {"old": OLD.verifier.text(), "new": NEW.verifier.text()}


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of 300 entries, whose key was changed, and 300 more."""
    write_entries(tmp_path, "gate", 300)
    seal(tmp_path)
    rotate(tmp_path)
    write_entries(tmp_path, "gate", 300, first=300)
    seal(tmp_path)
    assert findings(verify(tmp_path, key=KEYS["old"])) == findings(verify(tmp_path, key=KEYS["new"])) == []
    return tmp_path


def continue_with_stolen_key(root: Path) -> bytes:
    """Seal what is new with the old key, as a notary of the thief's would; the checkpoint."""
    notary = open_notary(root)
    notary._signer = OLD
    write_entries(root, "gate", 10, first=600)
    notary.seal()
    notary.close()
    return (folders(root).ledger / "checkpoint").read_bytes()


def test_au_05_a_ledger_continued_with_a_stolen_old_key_is_refused_by_every_key(book: Path) -> None:
    continue_with_stolen_key(book)
    (folders(book).ledger / "ledger.vkey").write_text(KEYS["old"])
    assert findings(verify(book, key=KEYS["old"])) == [("checkpoint_key_old", "checkpoint")]
    assert findings(verify(book)) == [("checkpoint_key_old", "checkpoint")]
    assert findings(verify(book, key=KEYS["new"])) == [("checkpoint_key_old", "checkpoint")]


def test_au_05_taking_the_handover_away_does_not_help_who_has_the_old_key(book: Path) -> None:
    continue_with_stolen_key(book)
    shutil.rmtree(folders(book).ledger / "rotation")
    assert findings(verify(book, key=KEYS["old"])) == [("checkpoint_handover", "checkpoint")]


def test_au_05_the_same_tree_signed_by_the_old_key_alone_is_refused(book: Path) -> None:
    path = folders(book).ledger / "checkpoint"
    path.write_bytes(sign(open_checkpoint(path.read_bytes(), NEW.verifier), OLD))
    assert findings(verify(book, key=KEYS["old"])) == [("checkpoint_key_old", "checkpoint")]


def test_au_05_a_kept_checkpoint_of_the_old_key_s_that_is_too_new_is_refused(book: Path) -> None:
    now = open_checkpoint((folders(book).ledger / "checkpoint").read_bytes(), NEW.verifier)
    forged = sign(Checkpoint(OLD.name, now.size - 1, bytes(32)), OLD)
    for key in KEYS.values():
        assert findings(verify(book, key=key, since=forged)) == [("ledger_fork", "checkpoint")]


def test_au_05_a_witness_that_knows_the_new_key_cosigns_nothing_of_the_old(book: Path) -> None:
    root = book / "elsewhere"
    open_witness(root).close()
    witness = Witness.open(root, "", [NEW.verifier], SEED, SystemDisk())
    ledger = LedgerFolder(folders(book).ledger)
    good = ledger.read_checkpoint()
    assert witness.add_checkpoint(Request(0, (), good).encode(), lambda: float(TIME)).status == 200
    before = open_checkpoint(good, NEW.verifier).size
    forged = continue_with_stolen_key(book)
    proof = consistency_proof(ledger, before, open_checkpoint(forged, OLD.verifier).size)
    reply = witness.add_checkpoint(Request(before, tuple(proof), forged).encode(), lambda: float(TIME))
    assert reply.status == 403
    witness.close()


def test_au_02_a_fork_from_before_the_change_is_not_the_past_of_what_was_kept(book: Path) -> None:
    kept = (folders(book).ledger / "checkpoint").read_bytes()
    for folder in (book / "journal", folders(book).ledger, folders(book).notary):
        shutil.rmtree(folder)
    write_entries(book, "gate", 700, first=1)
    seal(book)
    assert findings(verify(book, key=KEYS["old"])) == []  # the old key alone does not show it
    assert findings(verify(book, key=KEYS["new"])) == [("note_unsigned", "checkpoint")]
    assert findings(verify(book, key=KEYS["old"], since=kept)) == [("ledger_fork", "checkpoint")]
