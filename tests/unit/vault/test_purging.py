# SPDX-License-Identifier: Apache-2.0
"""The files of purging: requests, lists, and what goes of a session."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.data_folder import put_journal, put_recording, recordings
from support.evidence import NOW, SESSION, moment, recording_header
from support.notary import folders

from gatebook.evidence.consent import Request
from gatebook.evidence.entry import Leaf, format_hash
from gatebook.evidence.recording import RecordingFault
from gatebook.evidence.retention import Listed, ListFault, encode_list
from gatebook.model.errors import OperatorFault
from gatebook.vault.purging import Requests, destroy, left_of, read_custody
from gatebook.vault.reading import BookReader

LISTED = [Listed(SESSION, "all", NOW, due=True)]


def request_of(data: bytes, sessions: int = 1) -> Request:
    value: Leaf = {
        "v": 1,
        "id": "00112233445566ff",
        "ledger": "x",
        "kind": "purge",
        "made": moment(),
        "expires": moment(60),
        "by": "root",
        "reason": "x",
        "erase": "contents",
        "sessions": sessions,
        "list": format_hash(data),
    }
    return Request.from_value(value)


def test_keeps_what_is_to_be_signed_for_its_owner_only(tmp_path: Path) -> None:
    data = encode_list(LISTED)
    request, requests = request_of(data), Requests(tmp_path / "retention")
    path = requests.keep(request, data)
    assert path == requests.path_of(request.id)
    assert path.read_bytes() == request.message()
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert requests.read_list(request) == LISTED


def test_refuses_a_list_that_is_another(tmp_path: Path) -> None:
    data = encode_list(LISTED)
    requests = Requests(tmp_path)
    assert requests.read_list(request_of(data)) is None
    requests.keep(request_of(data), data)
    (tmp_path / "00112233445566ff.list").write_bytes(data.replace(b"all", b"any"))
    with pytest.raises(ListFault, match="not the list"):
        requests.read_list(request_of(data))
    (tmp_path / "00112233445566ff.list").write_bytes(data)
    with pytest.raises(ListFault, match="another number"):
        requests.read_list(request_of(data, 2))
    (tmp_path / "00112233445566ff.list").unlink()
    (tmp_path / "00112233445566ff.list").mkdir()
    with pytest.raises(ListFault, match="cannot be read"):
        requests.read_list(request_of(data))


def test_the_key_goes_first_and_neighbours_stay(tmp_path: Path) -> None:
    path = put_recording(tmp_path, recording_header())
    path.with_suffix(".private").write_bytes(b"12345")
    (path.parent / f".rewrap-{SESSION}-1").write_bytes(b"1")  # a copy of the key that a killed rewrapping left
    neighbour = put_recording(tmp_path, recording_header(), "s_x" + SESSION[-2:])
    left = [one.name.replace(SESSION, "") for one in left_of(recordings(tmp_path), SESSION, "contents")]
    assert left == [".key", ".rewrap--1", ".private", ".rec"]
    sizes = list(destroy(recordings(tmp_path), SESSION, "contents"))
    assert (len(sizes), sizes[1:]) == (4, [1, 5, 80])
    assert sorted(one.name for one in path.parent.iterdir()) == [f"{neighbour.stem}.key", neighbour.name]
    assert list(destroy(recordings(tmp_path), SESSION, "contents")) == []


def test_the_recording_alone(tmp_path: Path) -> None:
    path = put_recording(tmp_path, recording_header())
    assert list(destroy(recordings(tmp_path), SESSION, "recording")) == [80]
    assert [one.suffix for one in path.parent.iterdir()] == [".key"]


def test_a_link_goes_and_not_what_it_points_to(tmp_path: Path) -> None:
    path = put_recording(tmp_path / "recordings", recording_header())
    path.unlink()
    (tmp_path / "passwd").write_text("root")
    path.symlink_to(tmp_path / "passwd")
    list(destroy(recordings(tmp_path / "recordings"), SESSION, "recording"))
    assert (tmp_path / "passwd").read_text() == "root"
    assert not path.is_symlink()


def test_what_is_no_session_id_reaches_no_file(tmp_path: Path) -> None:
    for name in ("../x", "*", "", "a/b", "s_?"):
        with pytest.raises(RecordingFault):
            list(destroy(recordings(tmp_path), name, "contents"))


def test_a_journal_that_is_damaged_says_nothing(tmp_path: Path) -> None:
    folder = put_journal(tmp_path / "journal", [b"{}", b"{}"], writer="cli")
    reader = BookReader(folders(tmp_path), recordings(tmp_path / "recordings"))
    assert read_custody(reader)[1] == []
    (segment,) = folder.glob("*.seg")
    data = segment.read_bytes()
    segment.write_bytes(data.replace(b"{}", b"[]", 1))
    with pytest.raises(OperatorFault, match="damaged"):
        read_custody(reader)
    segment.write_bytes(b"x" + data[1:])
    with pytest.raises(OperatorFault, match="damaged"):
        read_custody(reader)
