# SPDX-License-Identifier: Apache-2.0
"""After a crash: what was lost is written down, and the book is whole again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.data_folder import put_journal, put_recording, recordings
from support.evidence import (
    KEK,
    NOW,
    SESSION,
    chunk,
    chunk_leaf,
    end,
    frame,
    intent,
    leaf,
    outcome,
    recording_header,
    sealed_leaf,
    session_leaf,
    start,
)
from support.notary import folders

from gatebook.evidence.entry import Leaf, decode_leaf
from gatebook.model.secret import Secret
from gatebook.vault.journal import Faults, JournalReader, JournalWriter
from gatebook.vault.keys import KeyFile, parse_key
from gatebook.vault.keystore import KeyRing, KeyStore
from gatebook.vault.recordings import Recordings
from gatebook.vault.recovery import find_unfinished, finish_lost
from gatebook.vault.transit import TransitKey, TransitPlace
from gatebook.vault.verification import verify_data

OLD = parse_key(Secret(KEK.hex()))
FIRST, SECOND = chunk(0, [frame(">", b"a")]), chunk(1, [frame("<", b"b"), frame("<", b"c")])
GATEWAY_START = leaf("gateway.start", version="0", policy="sha256:a", config="sha256:b")
CRASHED: list[Any] = [GATEWAY_START, start(), intent(1, 1), outcome(1, 2), intent(2, 3), chunk_leaf(0, FIRST, 1)]


def recover(root: Path, key: KeyStore = OLD) -> list[Leaf]:
    """Do what a gate does before it starts; return the entries it wrote, without writer and time."""
    before = len(list(JournalReader(root / "journal" / "gate", Faults()).read()))
    with JournalWriter.open(root / "journal", "gate", sync="every") as writer:
        finish_lost(writer, Recordings(root / "recordings", key), lambda: NOW)
    added = list(JournalReader(root / "journal" / "gate", Faults()).read())[before:]
    leaves = [decode_leaf(record.leaf) for record in added]
    return [{key: value for key, value in one.items() if key not in {"writer", "time", "v"}} for one in leaves]


ADMITTED = leaf("authn", admitted=SESSION, result="accepted", checks=[], claimed={}, source={})


def test_a_session_that_was_admitted_and_never_began_is_lost_too(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", [GATEWAY_START, ADMITTED], padding=65_536)
    put_recording(tmp_path / "recordings", recording_header())
    assert [
        finding.name for finding in verify_data(folders(tmp_path), recordings(tmp_path / "recordings")).findings
    ] == [
        "session_without_end",
        "recording_unknown",
    ]
    added = recover(tmp_path)
    assert [one["event"] for one in added] == ["recording.sealed", "session.lost"]
    assert "last_seq" not in added[1]
    report = verify_data(folders(tmp_path), recordings(tmp_path / "recordings"))
    assert (report.findings, [finding.name for finding in report.accounted]) == ([], ["session_lost"])


def test_a_start_up_parameter_of_the_client_names_no_session(tmp_path: Path) -> None:
    other = session_leaf("session.start", 0, recording={"id": SESSION}, upstream={}, parameters={"session": "s_other"})
    put_journal(tmp_path / "journal", [GATEWAY_START, other], padding=65_536)
    put_recording(tmp_path / "recordings", recording_header())
    assert [one["session"] for one in recover(tmp_path)] == [SESSION, SESSION]
    assert verify_data(folders(tmp_path), recordings(tmp_path / "recordings")).ok


@pytest.mark.parametrize("torn", [b"", b'{"key":"'])
def test_a_key_that_was_never_whole_goes_with_the_recording_that_never_was(tmp_path: Path, torn: bytes) -> None:
    put_journal(tmp_path / "journal", [GATEWAY_START, ADMITTED], padding=65_536)
    path = put_recording(tmp_path / "recordings", b"", key=torn)
    path.unlink()
    recover(tmp_path)
    assert list(path.parent.iterdir()) == []
    assert verify_data(folders(tmp_path), recordings(tmp_path / "recordings")).ok


def test_a_whole_key_stays_and_so_does_one_beside_a_recording(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", [GATEWAY_START, ADMITTED], padding=65_536)
    path = put_recording(tmp_path / "recordings", b"", key=b"")
    recover(tmp_path)
    assert path.with_suffix(".key").exists()
    path.unlink()
    path.with_suffix(".key").write_bytes(b"{}\n")
    put_journal(tmp_path / "journal", [GATEWAY_START, ADMITTED], padding=65_536)
    recover(tmp_path)
    assert path.with_suffix(".key").exists()


def test_tells_what_was_lost_and_seals_the_recording(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", CRASHED, padding=65_536)
    path = put_recording(tmp_path / "recordings", recording_header() + FIRST + SECOND + b"half a chunk")
    added = recover(tmp_path)
    assert [one["event"] for one in added] == ["recording.chunk", "failure", "recording.sealed", "session.lost"]
    assert (added[0]["index"], added[0]["bytes"], added[0]["frames"]) == (1, len(SECOND), 2)
    assert added[1]["what"] == f"recording of {SESSION}: 12 bytes behind the last whole chunk"
    assert (added[2]["chunks"], added[2]["frames"]) == (2, 3)
    assert added[3] == {
        "event": "session.lost",
        "session": SESSION,
        "cause": "gateway lost",
        "last_seq": 3,
        "open": [f"{SESSION}.2"],
    }
    assert path.stat().st_size == 80 + len(FIRST) + len(SECOND)
    report = verify_data(folders(tmp_path), recordings(tmp_path / "recordings"))
    assert report.ok
    assert {finding.name for finding in report.accounted} == {"session_lost", "intent_without_outcome"}


def test_does_it_once(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", CRASHED, padding=65_536)
    put_recording(tmp_path / "recordings", recording_header() + FIRST)
    assert [one["event"] for one in recover(tmp_path)] == ["recording.sealed", "session.lost"]
    assert recover(tmp_path) == []


def test_goes_on_where_a_crash_interrupted_it(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", [*CRASHED, chunk_leaf(1, SECOND, 2)], padding=65_536)
    put_recording(tmp_path / "recordings", recording_header() + FIRST + SECOND)
    assert [one["event"] for one in recover(tmp_path)] == ["recording.sealed", "session.lost"]


def test_has_nothing_to_do_after_an_orderly_end(tmp_path: Path) -> None:
    whole = [GATEWAY_START, start(), end(1), chunk_leaf(0, FIRST, 1), sealed_leaf([FIRST], 1)]
    put_journal(tmp_path / "journal", whole, padding=65_536)
    put_recording(tmp_path / "recordings", recording_header() + FIRST)
    assert recover(tmp_path) == []


@pytest.mark.parametrize("content", [None, b"", recording_header()[:30]])
def test_seals_a_recording_that_was_never_begun(tmp_path: Path, content: bytes | None) -> None:
    put_journal(tmp_path / "journal", [GATEWAY_START, start()], padding=65_536)
    if content is not None:
        put_recording(tmp_path / "recordings", content)
    events = [one["event"] for one in recover(tmp_path)]
    assert [event for event in events if event != "failure"] == ["recording.sealed", "session.lost"]
    assert verify_data(folders(tmp_path), recordings(tmp_path / "recordings")).ok


def test_cuts_a_chunk_that_does_not_authenticate(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", CRASHED, padding=65_536)
    path = put_recording(tmp_path / "recordings", recording_header() + FIRST + SECOND[:-1] + b"\0")
    recover(tmp_path)
    assert path.stat().st_size == 80 + len(FIRST)


def test_cuts_no_whole_chunk_for_want_of_a_key(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", CRASHED, padding=65_536)
    path = put_recording(tmp_path / "recordings", recording_header() + FIRST + SECOND, key=b"damaged")
    recover(tmp_path)
    assert path.stat().st_size == 80 + len(FIRST) + len(SECOND)


@pytest.mark.parametrize("older", [(OLD,), ()], ids=["with the older key", "without it"])
def test_finishes_a_recording_whose_key_was_rotated_meanwhile(tmp_path: Path, older: tuple[KeyStore, ...]) -> None:
    put_journal(tmp_path / "journal", CRASHED, padding=65_536)
    half = SECOND[:-1] + b"\0"  # whole by its length: only who has its key sees that it does not authenticate
    path = put_recording(tmp_path / "recordings", recording_header() + FIRST + half + b"half a chunk")
    ring = KeyRing(parse_key(Secret("22" * 32)), older)
    added = recover(tmp_path, ring)
    assert [one["event"] for one in added][-2:] == ["recording.sealed", "session.lost"]
    assert path.stat().st_size == 80 + len(FIRST) + (0 if older else len(half))
    assert recover(tmp_path, ring) == []
    assert find_unfinished(tmp_path / "journal" / "gate").recordings == {}
    if older:
        assert verify_data(folders(tmp_path), Recordings(tmp_path / "recordings", ring)).ok


def test_finishes_a_recording_whose_key_store_does_not_answer(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", CRASHED, padding=65_536)
    head = KeyFile(SESSION, "vault:main", b"vault:v1:YWJj").encode()
    path = put_recording(tmp_path / "recordings", recording_header() + FIRST + SECOND + b"half", key=head)
    store = TransitKey(TransitPlace("main", "https://127.0.0.1:1", "transit", "rec", "", None, lambda: Secret("t")))
    events = [one["event"] for one in recover(tmp_path, store)]
    assert events == ["recording.chunk", "failure", "recording.sealed", "session.lost"]
    assert path.stat().st_size == 80 + len(FIRST) + len(SECOND)
    report = verify_data(folders(tmp_path), Recordings(tmp_path / "recordings", store))
    assert [(finding.name, finding.subject) for finding in report.findings] == [("key_store", "key store")]


def test_hides_nothing_where_chunks_that_were_entered_are_gone(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", CRASHED, padding=65_536)
    put_recording(tmp_path / "recordings", recording_header())
    assert [one["event"] for one in recover(tmp_path)] == ["session.lost"]
    report = verify_data(folders(tmp_path), recordings(tmp_path / "recordings"))
    assert {finding.name for finding in report.findings} == {"recording_cut", "recording_unsealed"}


def test_reads_only_what_the_last_run_wrote(tmp_path: Path) -> None:
    old = "s_before"
    folder = put_journal(
        tmp_path / "journal", [GATEWAY_START, start(session=old)], [GATEWAY_START], [start(), intent(1, 1)]
    )
    unfinished = find_unfinished(folder)
    assert [session.id for session in unfinished.sessions] == [SESSION]
    assert unfinished.recordings == {SESSION: 0}


def test_reads_everything_where_no_gate_ever_started(tmp_path: Path) -> None:
    folder = put_journal(tmp_path / "journal", [start()], [intent(1, 1)])
    assert [session.open_operations for session in find_unfinished(folder).sessions] == [[f"{SESSION}.1"]]
    assert find_unfinished(tmp_path / "absent").sessions == []


def test_a_damaged_entry_does_not_keep_a_gate_from_starting(tmp_path: Path) -> None:
    folder = put_journal(tmp_path / "journal", [b"garbage", b'{"event":"session.start"}', start()])
    assert [session.id for session in find_unfinished(folder).sessions] == [SESSION]


def test_passes_over_an_entry_of_a_lost_session_that_is_damaged(tmp_path: Path) -> None:
    damaged = intent(1, 1)[:-1] + b" }"
    folder = put_journal(tmp_path / "journal", [GATEWAY_START, start(), damaged, intent(2, 2)])
    (session,) = find_unfinished(folder).sessions
    assert session.open_operations == [f"{SESSION}.2"]
