# SPDX-License-Identifier: Apache-2.0
"""Which segments are free: links proven up to what is sealed, sessions done, the next one old enough."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.data_folder import put_journal
from support.evidence import end, header, intent, leaf, records, sealed_leaf, start

from gatebook.evidence.sealed import Place
from gatebook.vault.removable import Follower, Segment
from gatebook.vault.sealing import JournalTail, Tampered

LATER = datetime(2026, 1, 1, tzinfo=UTC)  # segments of tests bear the year 1970
BEAT = leaf("heartbeat", sessions=0, journal=0, clock="unknown")
GATE = leaf("gateway.start", version="0", policy="sha256:a", config="sha256:b")
LOST = leaf("session.lost", session="s_abcdef", cause="gateway lost", open=[])


def sealed_place(folder: Path) -> Place:
    tail = JournalTail(folder, Place())
    while tail.take(100) is not None:
        pass
    return tail.place


def followed(folder: Path) -> Follower:
    follower = Follower(folder, Place())
    for _ in follower.follow(sealed_place(folder)):
        pass
    return follower


def firsts(folder: Path, *, before: datetime = LATER) -> list[int]:
    follower, found = followed(folder), []
    while (segment := follower.removable(before)) is not None:
        found.append(segment.first)
        follower.drop()
    return found


def test_all_but_the_last_are_free_where_nothing_is_open(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [BEAT, BEAT], [BEAT], [BEAT])
    assert firsts(folder) == [1, 3]
    link = records([BEAT, BEAT])[1]
    assert followed(folder).removable(LATER) == Segment(1, 3, bytes(32), link)


def test_the_newest_is_never_free(tmp_path: Path) -> None:
    assert firsts(put_journal(tmp_path, [BEAT])) == []


def test_one_that_was_ended_too_lately_is_kept(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [BEAT], [BEAT])
    assert firsts(folder, before=datetime(1970, 1, 1, 0, 0, 0, 6, UTC)) == []
    assert firsts(folder, before=datetime(1970, 1, 1, 0, 0, 0, 7, UTC)) == [1]


PINS: dict[str, tuple[list[list[Any]], list[int]]] = {
    "open": ([[BEAT], [start()], [intent(1, 1)], [BEAT]], [1]),
    "ended, its recording not sealed": ([[BEAT], [start()], [end(1)], [BEAT]], [1]),
    "sealed, not ended": ([[BEAT], [start()], [sealed_leaf([], 0)], [BEAT]], [1]),
    "done": ([[BEAT], [start()], [end(1), sealed_leaf([], 0)], [BEAT]], [1, 2, 3]),
    "lost": ([[BEAT], [start()], [sealed_leaf([], 0), LOST], [BEAT]], [1, 2, 3]),
    "another is open": ([[start()], [start(session="s_two")], [end(1), sealed_leaf([], 0)], [BEAT]], [1]),
    "before a start of the gate": ([[start()], [intent(1, 1)], [GATE, BEAT], [BEAT]], [1, 2, 3]),
    "damaged": ([[b'{"event":"session.start" }'], [BEAT]], [1]),
    "of a session that began before": ([[end(1)], [sealed_leaf([], 0)], [BEAT]], [1, 2]),
}


@pytest.mark.parametrize("name", PINS)
def test_a_session_that_is_not_done_keeps_its_segments(tmp_path: Path, name: str) -> None:
    segments, expected = PINS[name]
    found = firsts(put_journal(tmp_path, *segments))
    # the segment in which a session begins is kept, and so is all behind it
    number = {1: 0}
    first = 1
    for place, entries in enumerate(segments, 1):
        number[place] = first
        first += len(entries)
    assert found == [number[place] for place in expected]


def test_following_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [start()], [BEAT])
    follower = followed(folder)
    assert follower.removable(LATER) is None
    put_journal(tmp_path, [start()], [BEAT, end(1), sealed_leaf([], 0)], [BEAT])
    for _ in follower.follow(sealed_place(folder)):
        pass
    assert follower.removable(LATER) == Segment(1, 2, bytes(32), records([start()])[1])


def test_begins_behind_what_was_removed(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [BEAT, BEAT], [BEAT], [BEAT])
    place, link = sealed_place(folder), records([BEAT, BEAT])[1]
    (folder / f"{1:020}.seg").unlink()
    follower = Follower(folder, Place(segment=3, number=3, link=link))
    for _ in follower.follow(place):
        pass
    found = follower.removable(LATER)
    assert found is not None
    assert (found.first, found.next, found.before) == (3, 4, link)


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_a_segment_that_somebody_else_removed_is_missed(tmp_path: Path, missing: int) -> None:
    folder = put_journal(tmp_path, [BEAT], [BEAT], [BEAT])
    place = sealed_place(folder)
    (folder / f"{missing:020}.seg").unlink()
    with pytest.raises(Tampered, match="gone"):
        list(Follower(folder, Place()).follow(place))


def test_a_journal_linked_anew_is_not_what_was_sealed(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [BEAT, BEAT], [BEAT])
    place = sealed_place(folder)
    put_journal(tmp_path, [BEAT, GATE], [BEAT])
    with pytest.raises(Tampered, match="another entry than was sealed"):
        list(Follower(folder, Place()).follow(place))


def test_a_successor_that_is_exchanged_after_it_was_followed_is_refused(tmp_path: Path) -> None:
    folder = put_journal(tmp_path, [BEAT], [BEAT])
    follower = followed(folder)
    (folder / f"{2:020}.seg").write_bytes(header(2, b"\x09" * 32))
    with pytest.raises(Tampered, match="does not continue"):
        follower.removable(LATER)
