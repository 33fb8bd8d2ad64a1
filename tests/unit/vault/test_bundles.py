# SPDX-License-Identifier: Apache-2.0
"""Bundles out of a data folder: what goes in, that nothing is written unsealed, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bundle import NASTY, OTHER, check, found, make_bundle, maker_of, members_of, write_book, write_session
from support.data_folder import put_recording
from support.evidence import SESSION, end, session_leaf
from support.notary import seal, write_entries
from support.record import whole

from gatebook.evidence.bundle import Manifest
from gatebook.evidence.bundle_entries import BundleFault, decode_entries
from gatebook.evidence.bundle_selection import Selection
from gatebook.evidence.entry import decode_leaf, encode_leaf
from gatebook.model.errors import OperatorFault
from gatebook.vault.bundles import opened_bundle
from gatebook.vault.journal import JournalWriter

ONE = Selection(sessions=(SESSION,))


def manifest_of(data: bytes) -> Manifest:
    return Manifest.parse(members_of(data)["manifest.json"])


def test_holds_whole_sessions_and_their_login(tmp_path: Path) -> None:
    write_book(tmp_path)
    data = make_bundle(tmp_path)
    assert len(decode_entries(members_of(data)["entries"])) == 9
    manifest = manifest_of(data)
    assert manifest.counts == {"entries": 9, "operations": 2, "private": 2, "recordings": 1, "sessions": 1}
    assert (manifest.purpose, manifest.size) == (f"audit {NASTY}", 318)
    assert b"SELECT" not in members_of(data)["private"]


def test_only_what_is_sealed_goes_in_and_the_rest_is_counted(tmp_path: Path) -> None:
    write_book(tmp_path)
    write_entries(tmp_path, "gate", 3, first=300)
    write_session(tmp_path, "s_late01")
    manifest = maker_of(tmp_path, ONE).manifest
    assert manifest.not_sealed == {"gate": 12}
    with pytest.raises(OperatorFault, match="nothing that is sealed is selected"):
        maker_of(tmp_path, Selection(sessions=("s_late01",)))


def test_nothing_is_written_before_it_is_sealed(tmp_path: Path) -> None:
    write_book(tmp_path)
    maker = maker_of(tmp_path, ONE)
    assert not maker.seal()
    with pytest.raises(OperatorFault, match="once it is sealed"):
        maker.write(tmp_path / "bundle.zip")
    assert not (tmp_path / "bundle.zip").exists()


def test_is_for_its_owner_only_and_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_book(tmp_path)
    make_bundle(tmp_path)
    assert (tmp_path / "bundle.zip").stat().st_mode & 0o777 == 0o600
    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("gatebook.vault.bundles.os.fsync", _fail)
    with pytest.raises(OSError, match="disk"):
        make_bundle(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def _fail(descriptor: int) -> None:
    raise OSError(5, "disk")


def test_an_erased_session_stays_sealed_and_is_named(tmp_path: Path) -> None:
    write_book(tmp_path)
    next((tmp_path / "recordings").glob(f"*/{SESSION}.key")).unlink()
    data = make_bundle(tmp_path, Selection(sessions=(SESSION, OTHER)), with_contents=True)
    manifest = manifest_of(data)
    assert (manifest.undisclosed, manifest.counts["sessions"]) == ((SESSION,), 2)
    report = check(data)
    assert report.ok
    assert report.checked["private parts opened"] == 2


def test_policies_of_another_time_are_named_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_book(tmp_path)
    missing = manifest_of(make_bundle(tmp_path)).policies[0][0]
    monkeypatch.setattr("support.bundle.POLICY_HASH", "sha256:" + "00" * 32)
    data = make_bundle(tmp_path)
    assert manifest_of(data).policies_missing == (missing,)
    assert not [name for name in members_of(data) if name.startswith("policies/")]
    assert check(data).ok


@pytest.mark.parametrize("damage", ["gone", "cut", "link", "empty"])
def test_a_recording_that_is_damaged_goes_in_as_far_as_it_is_whole(tmp_path: Path, damage: str) -> None:
    write_book(tmp_path)
    path = next((tmp_path / "recordings").glob(f"*/{SESSION}.rec"))
    whole = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(whole[:-3])
    elif damage == "empty":
        path.touch()
    elif damage == "link":
        path.symlink_to(tmp_path / "journal")
    names = found(make_bundle(tmp_path))
    assert names == {("recording_cut" if damage == "cut" else "recording_missing", SESSION)}


def test_a_recording_that_grew_behind_its_last_entry_is_cut_there(tmp_path: Path) -> None:
    write_book(tmp_path, ends=False)
    path = next((tmp_path / "recordings").glob(f"*/{SESSION}.rec"))
    whole = path.read_bytes()
    put_recording(tmp_path / "recordings", whole + whole[80:], SESSION)
    data = make_bundle(tmp_path)
    assert members_of(data)[f"recordings/{SESSION}.rec"] == whole
    assert check(data).ok


def test_a_session_whose_recording_is_not_sealed_yet_is_told(tmp_path: Path) -> None:
    write_book(tmp_path)
    assert maker_of(tmp_path, ONE).unsettled == []
    still_open = tmp_path / "open"
    write_book(still_open, ends=False)
    assert maker_of(still_open, ONE).unsettled == []
    with JournalWriter.open(still_open / "journal", "gate", sync="privileged") as journal:
        journal.append(end(4))
    seal(still_open)
    assert maker_of(still_open, ONE).unsettled == [SESSION]
    assert ("recording_unsealed", SESSION) in found(make_bundle(still_open))


def test_a_request_of_which_the_ledger_has_not_all_yet_is_told(tmp_path: Path) -> None:
    start = session_leaf("session.start", 0, "s_1", recording={}, upstream={}, parameters={})
    leaves = {"start": decode_leaf(start)} | whole()
    late = leaves.pop("granted")
    for writer in ("cli", "gate"):
        with JournalWriter.open(tmp_path / "journal", writer, sync="privileged") as journal:
            for one in leaves.values():
                if one["writer"] == writer:
                    journal.append(encode_leaf(one), durable=False)
    seal(tmp_path)
    selection = Selection(approval="apr_1")
    assert maker_of(tmp_path, selection).unsettled == ["s_1.3"]
    with JournalWriter.open(tmp_path / "journal", "cli", sync="privileged") as journal:
        journal.append(encode_leaf(late), durable=False)
    seal(tmp_path)
    assert maker_of(tmp_path, selection).unsettled == []


def test_a_file_that_is_no_bundle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    with pytest.raises(BundleFault), opened_bundle(path):
        pass
    with path.open("wb") as file:
        file.truncate(1 << 31)
    with pytest.raises(BundleFault), opened_bundle(path):
        pass
    path.write_bytes(b"abc")
    with opened_bundle(path) as data:
        assert bytes(data) == b"abc"


def test_a_book_that_was_never_sealed_says_so(tmp_path: Path) -> None:
    write_session(tmp_path)
    with pytest.raises(OperatorFault):
        maker_of(tmp_path, ONE)
    seal(tmp_path)
    assert maker_of(tmp_path, ONE).manifest.counts["entries"] == 9
