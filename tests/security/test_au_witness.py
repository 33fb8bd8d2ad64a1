# SPDX-License-Identifier: Apache-2.0
"""What only witnesses show: a ledger remade by somebody who has every file, and the notary's key too."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.notary import findings, folders, verify, write_entries
from support.notary import seal as seal_alone
from support.witness import NAME, NOTARY, TIME, Stranger, eventually, open_notary, open_witness, seal, strangers

from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint, sign
from gatebook.evidence.cosignature import Request
from gatebook.evidence.tree import consistency_proof, root_of
from gatebook.vault.cosigning import Witnesses
from gatebook.vault.ledger import LedgerFolder
from gatebook.vault.sealing import Tampered
from gatebook.vault.verification import Trust, verify_ledger

KEY = NOTARY.verifier.text()


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    """A witness that has cosigned a book of 500 entries."""
    witness = Stranger(open_witness(tmp_path / "elsewhere"))
    write_entries(tmp_path, "gate", 500)
    assert seal(tmp_path, [witness]) == 500
    assert verify(tmp_path, key=KEY, witnesses=(witness.key,)).ok
    return witness


def remake(root: Path, count: int, *, first: int = 0, keep: tuple[str, ...] = ()) -> None:
    """Make journals and ledger anew, as one who has stolen the notary's key."""
    ledger = folders(root).ledger
    kept = {name: (ledger / name).read_bytes() for name in keep}
    for folder in (root / "journal", ledger, folders(root).notary):
        shutil.rmtree(folder)
    write_entries(root, "gate", count, first=first)
    assert seal_alone(root) == count
    for name, data in kept.items():
        (ledger / name).write_bytes(data)


REMADE = {"cut": (300, 0), "as long": (500, 1), "longer": (600, 1)}


@pytest.mark.parametrize("kind", REMADE)
def test_au_02_a_ledger_remade_with_the_stolen_key_is_noticed_by_who_has_a_witness_s_key(
    tmp_path: Path, stranger: Stranger, kind: str
) -> None:
    count, first = REMADE[kind]
    remake(tmp_path, count, first=first)
    assert verify(tmp_path, key=KEY).ok  # the key alone does not show it
    report = verify(tmp_path, key=KEY, witnesses=(stranger.key,))
    assert findings(report) == [("witness_quorum", "cosignatures")]


@pytest.mark.parametrize("kind", REMADE)
def test_au_02_a_cosigned_checkpoint_that_was_kept_beside_it_is_not_its_past(
    tmp_path: Path, stranger: Stranger, kind: str
) -> None:
    count, first = REMADE[kind]
    remake(tmp_path, count, first=first, keep=("checkpoint.cosigned",))
    report = verify(tmp_path, key=KEY, witnesses=(stranger.key,))
    assert findings(report) == [("ledger_fork", "checkpoint")]


@pytest.mark.parametrize("kind", REMADE)
def test_au_02_a_witness_that_lives_refuses_a_remade_ledger_and_the_book_says_so(
    tmp_path: Path, stranger: Stranger, kind: str
) -> None:
    count, first = REMADE[kind]
    remake(tmp_path, count, first=first)
    notary = open_notary(tmp_path, [stranger])
    eventually(lambda: bool(notary._witnesses._news))
    (news,) = notary._witnesses.news()
    assert (
        news.what
        == {
            "cut": "witness `w1` has seen a ledger of 500, and this one has 300",
            "as long": "witness `w1` has seen another ledger of 500",
            "longer": "witness `w1` says that the ledger of 600 does not continue the 500 it has seen",
        }[kind]
    )
    notary.seal()
    assert LedgerFolder(folders(tmp_path).ledger).read_cosigned() is None
    notary.close()


def test_au_02_a_ledger_put_back_whole_shows_by_the_age_of_its_cosignatures(tmp_path: Path, stranger: Stranger) -> None:
    assert verify(tmp_path, key=KEY, witnesses=(stranger.key,), cosigned_after=TIME).ok
    report = verify(tmp_path, key=KEY, witnesses=(stranger.key,), cosigned_after=TIME + 1)
    assert findings(report) == [("witness_old", "cosignatures")]


def test_au_02_a_notary_that_was_put_back_behind_what_was_cosigned_stops(tmp_path: Path, stranger: Stranger) -> None:
    ledger = folders(tmp_path).ledger
    older = {path: path.read_bytes() for path in (folders(tmp_path).notary / "state", ledger / "checkpoint")}
    write_entries(tmp_path, "gate", 10, first=500)
    seal(tmp_path, [stranger])
    for path, data in older.items():
        path.write_bytes(data)
    with pytest.raises(Tampered, match="state is behind"):
        open_notary(tmp_path, [stranger])


def test_au_09_a_fork_gets_no_second_cosignature(tmp_path: Path, stranger: Stranger) -> None:
    fork = tmp_path / "fork"
    write_entries(fork, "gate", 500, first=7)
    write_entries(tmp_path, "gate", 1, first=500)
    seal_alone(fork)
    tiles = LedgerFolder(folders(fork).ledger)
    note = sign(Checkpoint(NOTARY.name, 500, root_of(tiles, 500)), NOTARY)
    for old in (0, 256, 499, 500):
        assert stranger.ask(Request(old, tuple(consistency_proof(tiles, old, 500)), note).encode()).status == 409
    assert seal(tmp_path, [stranger]) == 501
    assert verify(tmp_path, key=KEY, witnesses=(stranger.key,)).ok


def test_au_09_two_halves_of_a_split_cannot_both_reach_a_quorum_of_more_than_half(tmp_path: Path) -> None:
    asked = strangers(tmp_path, 3)
    for name, first in (("one", 0), ("two", 1)):
        write_entries(tmp_path / name, "gate", 50, first=first)
    seal(tmp_path / "one", asked[:2], quorum=2)
    notary = open_notary(tmp_path / "two", asked, quorum=2)
    notary.seal()
    eventually(lambda: len(notary._witnesses._news) == 2)
    notary.close()
    keys = tuple(one.key for one in asked)
    assert verify(tmp_path / "one", key=KEY, witnesses=keys, quorum=2).ok
    assert findings(verify(tmp_path / "two", key=KEY, witnesses=keys, quorum=2)) == [("witness_quorum", "cosignatures")]


def test_a_verifier_counts_each_witness_once_and_only_those_it_names(tmp_path: Path, stranger: Stranger) -> None:
    other = open_witness(tmp_path / "other", name="witness.example/other", seed=9)
    twice = (stranger.key, stranger.key)
    assert verify(tmp_path, key=KEY, witnesses=twice).ok
    for keys, quorum in ((twice, 2), ((other.key.text(),), 0), ((other.key.text(), stranger.key), 0)):
        report = verify(tmp_path, key=KEY, witnesses=keys, quorum=quorum)
        assert findings(report) == [("witness_quorum", "cosignatures")]
    assert verify(tmp_path, key=KEY, witnesses=(other.key.text(), stranger.key), quorum=1).ok


def test_a_verifier_refuses_a_cosignature_that_was_changed(tmp_path: Path, stranger: Stranger) -> None:
    path = folders(tmp_path).ledger / "checkpoint"
    data = path.read_bytes()
    path.write_bytes(data[:-8] + (b"AAAAAAA\n" if data[-8:] != b"AAAAAAA\n" else b"BBBBBBB\n"))
    report = verify(tmp_path, key=KEY, witnesses=(stranger.key,))
    assert findings(report) == [("note_signature", "cosignatures")]
    assert verify(tmp_path, key=KEY).ok


def test_a_verifier_says_when_a_key_is_no_witness_s(tmp_path: Path, stranger: Stranger) -> None:
    assert findings(verify(tmp_path, key=KEY, witnesses=(KEY,))) == [("note_key", "cosignatures")]


def test_what_was_sealed_while_witnesses_were_down_is_told_apart(tmp_path: Path, stranger: Stranger) -> None:
    write_entries(tmp_path, "gate", 20, first=500)
    stranger.down = True
    assert seal(tmp_path, [stranger]) == 520
    report = verify(tmp_path, key=KEY, witnesses=(stranger.key,))
    assert report.ok, findings(report)
    assert (report.checked["ledger entries"], report.checked["entries witnessed"]) == (520, 500)
    assert report.checked["cosigned checkpoints"] == 1


def test_a_copy_of_the_ledger_alone_is_verified_with_the_witness_s_key(tmp_path: Path, stranger: Stranger) -> None:
    from gatebook.evidence.verify import Report

    shutil.copytree(folders(tmp_path).ledger, tmp_path / "copy")
    report = Report()
    verify_ledger(tmp_path / "copy", report, Trust(KEY, witnesses=(stranger.key,)))
    assert report.ok, findings(report)
    assert report.checked["cosignatures"] == 1
    assert stranger.witness.key.name == NAME
    assert open_checkpoint((tmp_path / "copy/checkpoint.cosigned").read_bytes(), NOTARY.verifier).size == 500
    assert not Witnesses().are_there
