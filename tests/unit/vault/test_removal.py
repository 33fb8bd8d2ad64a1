# SPDX-License-Identifier: Apache-2.0
"""The notary removes what is old, done, sealed and vouched for; nothing sooner, and what it cannot remove it keeps."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.data_folder import recordings
from support.evidence import start
from support.notary import folders, open_notary
from support.removal import (
    SEGMENT_BYTES,
    removals,
    remove,
    removing,
    segments,
    unaccounted,
    verify,
    write,
    write_sessions,
)
from support.witness import Stranger, open_witness

from gatebook.vault import removal
from gatebook.vault.cosigning import Witnesses
from gatebook.vault.journal import Faults, JournalWriter
from gatebook.vault.reading import BookReader
from gatebook.vault.sealing import Tampered

SESSIONS = ("s_aaaa", "s_bbbb")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_sessions(tmp_path, *SESSIONS)
    return tmp_path


def test_all_but_the_newest_segment_is_removed_and_told(root: Path) -> None:
    before = segments(root)
    assert remove(root) == []
    assert segments(root) == before[-1:]
    assert [one.first for one in removals(root)] == before[:-1]
    assert [one.last + 1 for one in removals(root)] == before[1:]
    assert unaccounted(root) == []
    report = verify(root)
    assert report.ok, report.findings
    assert (report.checked["removed segments"], report.checked["segments"]) == (len(before) - 1, 2)


def test_what_is_young_is_kept(root: Path) -> None:
    before = segments(root)
    assert remove(root, now=datetime.now(UTC)) == []
    assert (segments(root), removals(root)) == (before, [])


def test_what_a_living_session_has_written_is_kept(root: Path) -> None:
    write(root, [(start(session="s_alive"), b"")])
    write_sessions(root, "s_cccc", "s_dddd")
    write(root, [(start(session="s_more"), b"")])
    alive = max(first for first in segments(root) if first <= entry_of(root, "s_more"))
    remove(root)
    # `write_sessions` begins with a `gateway.start`, which ends what was before it
    assert entry_of(root, "s_alive") < segments(root)[0] <= alive


def entry_of(root: Path, session: str) -> int:
    """Number of the entry with which a session starts."""
    reader = BookReader(folders(root), recordings(root / "recordings"))
    found = reader.read(root / "journal" / "gate", Faults(), lambda _: False)
    return next(one.number for one in found if session.encode() in one.leaf)


def test_it_goes_on_while_the_writer_writes(root: Path) -> None:
    remove(root)
    write_sessions(root, "s_cccc", "s_dddd")
    remove(root)
    assert len(segments(root)) == 1
    assert unaccounted(root) == []
    report = verify(root)
    assert report.ok, report.findings
    assert report.checked["private parts opened"] == 4 * 6


def test_nothing_is_unlinked_before_its_entry_is_sealed(root: Path) -> None:
    before = segments(root)
    with removing(root) as at_work:
        for may_go_on in at_work.remover.round():
            if not may_go_on:
                break
        assert removals(root) == []  # entered, not sealed
        assert segments(root) == before
        sealed = at_work.notary.seal()
        assert sealed.entries == 1
        assert [one.first for one in removals(root)] == [1]


def test_nothing_is_removed_before_a_quorum_has_cosigned(root: Path) -> None:
    stranger = Stranger(open_witness(root / "elsewhere"))
    stranger.down = True
    witnesses = Witnesses([stranger.asker])
    before = segments(root)
    with removing(root, witnesses=witnesses) as at_work:
        for _ in range(10):
            at_work.remover.advance(0.1)
            at_work.notary.seal()
        assert (segments(root), removals(root)) == (before, [])
        stranger.down = False
    with removing(root, witnesses=Witnesses([stranger.asker])) as at_work:
        deadline = time.monotonic() + 20
        while len(segments(root)) > 1 and time.monotonic() < deadline:
            at_work.remover.advance(0.1)
            at_work.notary.seal()
    assert segments(root) == before[-1:]
    assert verify(root).ok


def test_work_is_done_in_small_steps(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "ROUND_S", 0.0)
    with removing(root) as at_work:
        passes, count = 0, len(segments(root))
        while len(segments(root)) > 1:
            at_work.remover.advance(0)
            at_work.notary.seal()
            passes += 1
    assert passes > 2 * (count - 1)


def test_between_rounds_it_rests(root: Path) -> None:
    with removing(root, now=datetime.now(UTC)) as at_work:
        at_work.remover.advance(0.1)
        began = time.monotonic()
        for _ in range(1000):
            at_work.remover.advance(0.1)
        assert time.monotonic() - began < 0.1


def test_what_cannot_be_moved_is_kept_and_told_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "REST_S", 0.0)
    shard = next((root / "recordings").glob("*/s_aaaa.rec")).parent
    (shard / "s_aaaa.private").symlink_to(root / "nowhere")
    before = segments(root)
    with removing(root) as at_work:
        for _ in range(3):
            for may_go_on in at_work.remover.round():
                assert may_go_on
        assert at_work.entries.failures == ["segments of gate cannot be removed: too many levels of symbolic links"]
        assert segments(root) == before
        (shard / "s_aaaa.private").unlink()
        for _ in at_work.remover.round():
            at_work.notary.seal()
        assert segments(root) == before[-1:]
    assert verify(root).ok


def test_one_journal_that_cannot_be_removed_holds_up_no_other(root: Path) -> None:
    with JournalWriter.open(root / "journal", "another", sync="every", segment_bytes=SEGMENT_BYTES) as journal:
        for number in range(40):
            journal.append(b'{"event":"odd","number":%d,"writer":"another"}' % number, b"private part of nobody" * 9)
    assert remove(root) == ["segments of another cannot be removed: another/1: a private part of no session"]
    assert segments(root, "another")[0] == 1
    assert segments(root)[0] > 1


def test_what_is_left_of_a_removal_is_unlinked_at_the_next_start(root: Path) -> None:
    first = root / "journal" / "gate" / f"{1:020}.seg"
    kept = first.read_bytes()
    remove(root)
    first.write_bytes(kept)
    assert verify(root).ok
    remove(root)
    assert not first.exists()
    assert len([one for one in removals(root) if one.first == 1]) == 1


def test_the_notary_starts_and_audits_behind_what_it_removed(root: Path) -> None:
    remove(root)
    notary = open_notary(root)
    try:
        assert notary.kept("gate").segment == segments(root)[0]
        for _ in notary.audit():
            pass
    finally:
        notary.close()


def test_an_audit_that_is_overtaken_goes_on_behind(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.vault.sealing.AUDIT_ENTRIES", 3)
    with removing(root) as at_work:
        audit = at_work.notary.audit()
        next(audit)
        for may_go_on in at_work.remover.round():
            if not may_go_on:
                at_work.notary.seal()
        assert len(segments(root)) == 1
        for _ in audit:
            pass


def test_a_memory_that_is_lost_or_older_stops_the_notary(root: Path) -> None:
    remembered = folders(root).notary / "removed"
    remove(root)
    older = remembered.read_bytes()
    write_sessions(root, "s_cccc", "s_dddd")
    remove(root)
    remembered.write_bytes(older)
    with pytest.raises(Tampered, match="gone"):
        remove(root)
    remembered.unlink()
    with pytest.raises(Tampered, match="gone"):
        remove(root)
    remembered.write_bytes(b"garbage\n")
    with pytest.raises(Tampered):
        open_notary(root)
