# SPDX-License-Identifier: Apache-2.0
"""What a verifier of a ledger follows: from any key of the notary to the next, and every time stamp."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rfc3161_client import HashAlgorithm, TimestampRequestBuilder
from support.notary import ORIGIN, findings, folders, seal, verify, write_entries
from support.rotation import NEW, NEWER, OLD, rotate
from support.timestamps import Authority, stock_verify

from gatebook.evidence.checkpoint import Checkpoint, sign
from gatebook.evidence.note import Signer, countersign, parse_note
from gatebook.evidence.verify import Report
from gatebook.vault import verification
from gatebook.vault.following import newest_key
from gatebook.vault.ledger import LedgerFolder, SystemDisk
from gatebook.vault.recordings import Recordings
from gatebook.vault.verification import Trust


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book whose key was changed twice, with a checkpoint of each time kept elsewhere."""
    for number, change in enumerate((None, 7, 8)):
        if change is not None:
            rotate(tmp_path, change)
        write_entries(tmp_path, "gate", 300, first=number * 300)
        seal(tmp_path)
        (tmp_path / f"kept-{number}").write_bytes(published(tmp_path).read_bytes())
    return tmp_path


def published(root: Path) -> Path:
    return folders(root).ledger / "checkpoint"


@pytest.mark.parametrize("key", [OLD, NEW, NEWER])
@pytest.mark.parametrize("kept", [0, 1, 2])
def test_any_key_leads_to_the_present_and_takes_checkpoints_of_all_times(book: Path, key: Signer, kept: int) -> None:
    report = verify(book, key=key.verifier.text(), since=(book / f"kept-{kept}").read_bytes())
    assert findings(report) == []
    assert report.checked["changes of the key"] == 2
    assert report.checked["older checkpoints"] == 1


def test_without_a_handover_the_old_key_leads_nowhere(book: Path) -> None:
    (first, _) = sorted((folders(book).ledger / "rotation").iterdir(), key=lambda path: int(path.name))
    first.unlink()
    assert findings(verify(book, key=OLD.verifier.text())) == [("note_unsigned", "checkpoint")]
    assert findings(verify(book, key=NEW.verifier.text())) == []


def test_a_later_handover_that_is_gone_is_named(book: Path) -> None:
    (_, second) = sorted((folders(book).ledger / "rotation").iterdir(), key=lambda path: int(path.name))
    second.unlink()
    assert findings(verify(book, key=OLD.verifier.text())) == [("checkpoint_handover", "checkpoint")]


def test_a_handover_that_only_the_new_key_signed_is_none(book: Path) -> None:
    for path in (folders(book).ledger / "rotation").iterdir():
        checkpoint = Checkpoint.parse(parse_note(path.read_bytes()).text)
        path.write_bytes(countersign(sign(checkpoint, NEWER), NEW))
    assert findings(verify(book, key=OLD.verifier.text())) == [("note_unsigned", "checkpoint")]


def stamp(root: Path, authority: Authority, *, note: bytes = b"", size: int = 0) -> int:
    """Put a time stamp into the ledger; the size of what was stamped."""
    note = note or published(root).read_bytes()
    made = TimestampRequestBuilder().data(note).hash_algorithm(HashAlgorithm.SHA256).cert_request(cert_request=True)
    size = size or Checkpoint.parse(parse_note(note).text).size
    for path, data in zip(
        LedgerFolder(folders(root).ledger).stamp_paths(size),
        (note, authority.reply(made.build().as_bytes())),
        strict=True,
    ):
        SystemDisk().replace(path, data, 0o644)
    return size


@pytest.fixture
def tsa(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tsa")


def stamped(root: Path, tsa: Authority) -> Report:
    trust = Trust(OLD.verifier.text(), stamp_roots=tsa.roots.read_bytes())
    return verification.verify_data(folders(root), Recordings(root / "recordings"), trust)


def test_the_newest_time_is_said_and_openssl_agrees(tmp_path: Path, tsa: Authority) -> None:
    newest = 0
    for number in range(3):
        write_entries(tmp_path, "gate", 300, first=300 * number)
        seal(tmp_path)
        newest = stamp(tmp_path, tsa)
    report = stamped(tmp_path, tsa)
    assert findings(report) == []
    assert report.checked["time stamps"] == 3
    assert report.proven is not None
    assert report.proven[1] in {300, 600, 900}
    assert abs(report.proven[0] - datetime.now(UTC)) < timedelta(seconds=60)
    assert stock_verify(*LedgerFolder(folders(tmp_path).ledger).stamp_paths(newest), tsa.roots) == "OK"


def test_stamps_of_the_time_before_a_change_of_key_verify(tmp_path: Path, tsa: Authority) -> None:
    write_entries(tmp_path, "gate", 10)
    seal(tmp_path)
    stamp(tmp_path, tsa)
    rotate(tmp_path)
    stamp(tmp_path, tsa)
    report = stamped(tmp_path, tsa)
    assert findings(report) == []
    assert report.checked["time stamps"] == 2


def test_roots_without_a_stamp_are_not_satisfied(tmp_path: Path, tsa: Authority) -> None:
    write_entries(tmp_path, "gate", 10)
    seal(tmp_path)
    assert findings(stamped(tmp_path, tsa)) == [("timestamp_missing", "timestamp")]


def test_each_kind_of_bad_stamp_is_named(tmp_path: Path, tsa: Authority) -> None:
    write_entries(tmp_path, "gate", 10)
    seal(tmp_path)
    size = stamp(tmp_path, tsa)
    note, response = LedgerFolder(folders(tmp_path).ledger).stamp_paths(size)
    good = {note: note.read_bytes(), response: response.read_bytes()}

    def found() -> list[tuple[str, str]]:
        told = findings(stamped(tmp_path, tsa))
        for path, content in good.items():
            path.write_bytes(content)
        return told

    here = f"timestamp/{size}"
    note.write_bytes(good[note].replace(b"\n10\n", b"\n11\n"))
    assert found() == [("timestamp_imprint", here)]
    response.write_bytes(good[response][:-1] + bytes([good[response][-1] ^ 1]))
    assert found() == [("timestamp_signature", here)]
    response.write_bytes(good[response][:99])
    assert found() == [("timestamp_form", here)]
    note.unlink()
    assert found() == [("timestamp_missing", here)]
    stamp(tmp_path, Authority(tmp_path / "other"))
    assert found() == [("timestamp_signature", here)]
    stamp(tmp_path, tsa, note=sign(Checkpoint(OLD.name, size, bytes(32)), OLD))
    assert found() == [("timestamp_checkpoint", here)]
    stamp(tmp_path, tsa, note=sign(Checkpoint(OLD.name, size, bytes(32)), NEW))
    assert found() == [("note_unsigned", here)]
    assert findings(stamped(tmp_path, tsa)) == []


def test_a_stamp_under_another_size_than_its_own_is_named(tmp_path: Path, tsa: Authority) -> None:
    write_entries(tmp_path, "gate", 10)
    seal(tmp_path)
    stamp(tmp_path, tsa, size=9)
    assert findings(stamped(tmp_path, tsa)) == [("timestamp_checkpoint", "timestamp/9")]


def test_roots_that_are_none_are_named(tmp_path: Path, tsa: Authority) -> None:
    write_entries(tmp_path, "gate", 10)
    seal(tmp_path)
    tsa.roots.write_text("nothing")
    assert findings(stamped(tmp_path, tsa)) == [("timestamp_roots", "timestamp")]


def test_finds_the_newest_key_from_each_before_it(book: Path) -> None:
    ledger = LedgerFolder(folders(book).ledger)
    for known in (OLD, NEW, NEWER):
        assert newest_key(ledger, known.verifier.text()) == NEWER.verifier.text()
    stranger = Signer.make(ORIGIN, bytes([9]) * 32)
    assert newest_key(ledger, stranger.verifier.text()) == stranger.verifier.text()


def test_a_key_that_only_signs_beside_is_not_followed(book: Path) -> None:
    ledger = LedgerFolder(folders(book).ledger)
    (folder,) = {path.parent for path in folders(book).ledger.glob("rotation/*")}
    for path in folder.iterdir():
        path.unlink()
    stranger = Signer.make(ORIGIN, bytes([9]) * 32)
    kept = (book / "kept-0").read_bytes()
    size = Checkpoint.parse(parse_note(kept).text).size
    (folder / str(size)).write_bytes(countersign(kept, stranger))
    assert newest_key(ledger, OLD.verifier.text()) == OLD.verifier.text()
