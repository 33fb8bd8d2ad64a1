# SPDX-License-Identifier: Apache-2.0
"""A change of the notary's key: the wish, and what may and may not come of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.evidence import leaf
from support.notary import DiskFailed, FailingDisk, findings, folders, open_notary, seal, verify, write_entries
from support.rotation import NEW, OLD, carry_out, rotate, wish

from gatebook.evidence.checkpoint import open_checkpoint
from gatebook.model.errors import OperatorFault
from gatebook.vault.journal import JournalWriter
from gatebook.vault.ledger import SystemDisk
from gatebook.vault.rotating import foreign_rotation, prepare_key, read_wish
from gatebook.vault.sealing import Tampered


@pytest.fixture
def book(tmp_path: Path) -> Path:
    write_entries(tmp_path, "gate", 300)
    seal(tmp_path)
    return tmp_path


def vkey(root: Path) -> str:
    return (folders(root).ledger / "ledger.vkey").read_text().strip()


def test_the_new_key_signs_alone_what_comes_after_a_tree_that_both_have_signed(book: Path) -> None:
    assert rotate(book) == NEW.verifier.text() == vkey(book)
    ledger = folders(book).ledger
    (handover,) = (ledger / "rotation").iterdir()
    assert handover.name == "301"
    for key in (OLD, NEW):
        assert open_checkpoint(handover.read_bytes(), key.verifier).size == 301
    write_entries(book, "gate", 1, first=300)
    seal(book)
    note = (ledger / "checkpoint").read_bytes()
    assert open_checkpoint(note, NEW.verifier).size == 302
    assert note.count("\u2014".encode()) == 1
    kept = {path.name for path in folders(book).notary.iterdir()}
    assert kept == {"key", "state", "lock"}
    assert OLD.text().encode() not in (folders(book).notary / "key").read_bytes()
    assert findings(verify(book, key=NEW.verifier.text())) == []


def test_the_key_that_was_prepared_is_taken(book: Path) -> None:
    notary = folders(book).notary
    prepared = prepare_key(notary, bytes([9]) * 32, SystemDisk())
    assert prepare_key(notary, bytes([10]) * 32, SystemDisk()) == prepared
    assert (notary / "key.next").stat().st_mode & 0o777 == 0o600
    assert wish(book, 11) == prepared
    assert (notary / "rotation").stat().st_mode & 0o777 == 0o600
    assert carry_out(book) == prepared


def test_a_prepared_key_that_a_crash_left_is_not_taken_again(book: Path) -> None:
    notary = folders(book).notary
    prepare_key(notary, bytes([9]) * 32, SystemDisk())
    left = (notary / "key.next").read_bytes()
    first = rotate(book, 11)
    (notary / "key.next").write_bytes(left)
    second = rotate(book, 12)
    assert second != first
    assert findings(verify(book, key=OLD.verifier.text())) == []


def test_one_change_at_a_time(book: Path) -> None:
    wish(book)
    with pytest.raises(OperatorFault, match="under way"):
        wish(book, 8)


def test_there_is_a_key_before_there_is_another(tmp_path: Path) -> None:
    with pytest.raises(OperatorFault, match="no key yet"):
        wish(tmp_path)


def test_a_wish_that_cannot_be_read_stops_the_notary(book: Path) -> None:
    assert read_wish(folders(book).notary) is None
    wish(book)
    path = folders(book).notary / "rotation"
    path.write_bytes(path.read_bytes().replace(b'"v":1', b'"w":1'))
    with pytest.raises(Tampered, match="not in its form"):
        carry_out(book)


def test_a_wish_for_another_notary_s_key_is_none(book: Path) -> None:
    wish(book)
    path = folders(book).notary / "rotation"
    path.write_bytes(path.read_bytes().replace(OLD.verifier.text().encode(), NEW.verifier.text().encode()))
    with pytest.raises(Tampered, match="not for this one"):
        carry_out(book)


def test_a_key_that_was_given_up_signs_nothing_any_more(book: Path) -> None:
    key = folders(book).notary / "key"
    old = key.read_bytes()
    rotate(book)
    key.write_bytes(old)
    with pytest.raises(OperatorFault, match="given up"):
        open_notary(book)


def forged(writer: str) -> bytes:
    words = {"old": OLD.verifier.text(), "key": NEW.verifier.text(), "reason": "mine", "by": "eve"}
    return leaf("notary.key", writer="notary", **words) if writer == "notary" else leaf("notary.key", **words)


@pytest.mark.parametrize("writer", ["notary", "gate"])
@pytest.mark.parametrize("journal", ["notary", "gate"])
def test_an_entry_that_somebody_else_wrote_gives_the_ledger_no_key(book: Path, journal: str, writer: str) -> None:
    with JournalWriter.open(folders(book).journals, journal, sync="every", segment_bytes=1 << 16) as written:
        written.append(forged(writer))
    before = (folders(book).ledger / "checkpoint").read_bytes()
    notary = None
    with pytest.raises((Tampered, OperatorFault)):  # noqa: PT012  where it is seen, it opens
        notary = open_notary(book)
        notary.seal()
    if notary is not None:
        notary.close()
    assert (folders(book).ledger / "checkpoint").read_bytes() == before


def test_leaves_are_searched_one_by_one() -> None:
    def bundle(*leaves: bytes) -> bytes:
        return b"".join(len(one).to_bytes(2) + one for one in leaves)

    other = leaf("failure", what='says "event":"notary.key" in words', action="none")
    assert not foreign_rotation(bundle(other), None)
    assert foreign_rotation(bundle(other, forged("notary"), other), None)


def test_a_disk_that_fails_leaves_no_half_wish(book: Path) -> None:
    for at in (1, 2, 3):
        for persists in (False, True):
            with pytest.raises(DiskFailed):
                wish(book, disk=FailingDisk(at, persists=persists))
            if (folders(book).notary / "rotation").exists():
                assert carry_out(book) == NEW.verifier.text()
                return
    pytest.fail("no step made a wish")
