# SPDX-License-Identifier: Apache-2.0
"""The queue: in order, glass first, bounded, and as it was after any end of the process."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from support.asked import NOW

from gatebook.model.approval import State
from gatebook.notify import outbox as module
from gatebook.notify.outbox import Message, Outbox, OutboxFault, Told, read_standings


def message(name: str, receiver: str = "pager", *, is_urgent: bool = False, reminds: str = "") -> Message:
    return Message(receiver, name, is_urgent, NOW, name.encode(), reminds=reminds, outdates=reminds)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Outbox]:
    made = Outbox.open(tmp_path / "notify" / "outbox.db")
    made.keep_only([("pager", "webhook"), ("ops", "slack")])
    yield made
    made.close()


def ids(box: Outbox, receiver: str = "pager") -> list[str]:
    """Take all that waits."""
    found = []
    while (first := box.first(receiver)) is not None:
        found.append(first.id)
        box.taken(first, NOW)
    return found


def test_the_file_is_for_its_owner(box: Outbox, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "notify" / "outbox.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "notify").stat().st_mode) == 0o700


def test_messages_go_in_order_and_broken_glass_first(box: Outbox) -> None:
    box.put(1, [], [message("a"), message("b"), message("x", "ops")])
    box.put(2, [], [message("glass", is_urgent=True), message("c")])
    assert ids(box) == ["glass", "a", "b", "c"]
    assert ids(box, "ops") == ["x"]


def test_what_waits_and_what_was_told_is_there_after_the_process(box: Outbox, tmp_path: Path) -> None:
    told = Told("apr_1", State.GRANTED, 2, NOW + timedelta(minutes=15))
    box.put(7, [told], [message("a")])
    box.close()
    again = Outbox.open(tmp_path / "notify" / "outbox.db")
    assert again.seen() == 7
    assert again.find_told("apr_1") == told
    assert again.find_told("apr_2") is None
    first = again.first("pager")
    assert first is not None
    assert (first.id, first.made_at, first.body, first.is_urgent) == ("a", NOW, b"a", False)
    again.close()


def test_a_message_that_waits_is_not_doubled(box: Outbox) -> None:
    box.put(1, [], [message("a"), message("a")])
    box.put(2, [], [message("a")])
    assert ids(box) == ["a"]


def test_reminders_are_due_at_their_time_and_only_the_newest_waits(box: Outbox) -> None:
    box.put(1, [Told("apr_1", State.GRANTED, 0, NOW)], [message("r1", is_urgent=True, reminds="apr_1")])
    assert box.due(NOW - timedelta(seconds=1), 10) == ()
    assert [one.request for one in box.due(NOW, 10)] == ["apr_1"]
    box.put(2, [], [message("r2", is_urgent=True, reminds="apr_1"), message("s1", is_urgent=True, reminds="apr_2")])
    assert ids(box) == ["r2", "s1"]


def test_the_oldest_is_lost_where_too_many_wait_and_glass_last(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 3)
    assert box.put(1, [], [message("glass", is_urgent=True), message("a"), message("b")]) == {}
    assert box.put(2, [], [message("c"), message("d"), message("x", "ops")]) == {"pager": 2}
    assert ids(box) == ["glass", "c", "d"]
    assert ids(box, "ops") == ["x"]


def test_only_so_much_is_known_of_what_was_told(box: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOLD", 2)
    box.put(1, [Told("glass", State.GRANTED, 0, NOW)], [])
    for number in range(4):
        box.put(2, [Told(f"apr_{number}", State.USED)], [])
    kept = [name for name in ("glass", "apr_0", "apr_1", "apr_2", "apr_3") if box.find_told(name)]
    assert kept == ["glass", "apr_2", "apr_3"]


def test_what_is_too_old_is_given_up(box: Outbox) -> None:
    box.put(1, [], [message("a"), replace(message("b"), made_at=NOW + timedelta(hours=1))])
    assert box.drop_older("pager", NOW) == 0
    assert box.drop_older("pager", NOW + timedelta(minutes=1)) == 1
    assert ids(box) == ["b"]


def test_a_message_that_is_dropped_lets_the_next_one_go(box: Outbox) -> None:
    box.put(1, [], [message("a"), message("b")])
    first = box.first("pager")
    assert first is not None
    box.drop(first)
    assert ids(box) == ["b"]


def test_standings_say_what_waits_and_what_went_wrong(box: Outbox, tmp_path: Path) -> None:
    path = tmp_path / "notify" / "outbox.db"
    box.put(1, [], [message("a"), message("b")])
    box.failed("pager", "status 500", NOW)
    box.alarm("pager", NOW)
    pager, ops = read_standings(path, ["pager", "ops"])
    assert (pager.waiting, pager.waiting_since, pager.error, pager.error_at) == (2, NOW, "status 500", NOW)
    assert (pager.alarm_at, pager.taken_at, pager.gone_at) == (NOW, None, None)
    assert (ops.waiting, ops.waiting_since, ops.error) == (0, None, "")
    assert ids(box) == ["a", "b"]
    box.alarm("pager", None)
    (pager,) = read_standings(path, ["pager"])
    assert (pager.error, pager.taken_at, pager.alarm_at) == ("", NOW, None)
    assert read_standings(tmp_path / "none", ["pager"])[0].waiting == 0


def test_a_receiver_that_is_gone_has_nothing_waiting_until_it_is_back(box: Outbox) -> None:
    box.put(1, [], [message("a"), message("b")])
    assert box.gone("pager", NOW) == 2
    assert box.standing("pager").gone_at == NOW
    assert box.first("pager") is None
    box.back("pager")
    assert box.standing("pager").gone_at is None


def test_receivers_that_are_not_configured_or_of_another_kind_are_forgotten(box: Outbox) -> None:
    box.put(1, [], [message("a"), message("x", "ops")])
    box.failed("ops", "down", NOW)
    box.keep_only([("pager", "webhook"), ("ops", "teams")])
    assert ids(box, "ops") == []
    assert box.standing("ops").error == ""
    assert ids(box) == ["a"]


def test_a_file_that_is_no_queue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(OutboxFault, match="cannot be used"):
        Outbox.open(path)
    with pytest.raises(OutboxFault, match="cannot be read"):
        read_standings(path, ["pager"])
    with pytest.raises(OutboxFault, match="cannot be opened"):
        Outbox.open(tmp_path / "outbox.db" / "below")


def test_a_file_of_a_newer_version_is_refused(box: Outbox, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "notify" / "outbox.db") as other:
        other.execute("UPDATE meta SET version = 9")
    other.close()
    with pytest.raises(OutboxFault, match="has version 9"):
        Outbox.open(tmp_path / "notify" / "outbox.db")


def test_what_cannot_be_written_is_an_error_and_changes_nothing(box: Outbox, tmp_path: Path) -> None:
    box.put(1, [], [message("a")])
    box.close()
    looking = Outbox.look(tmp_path / "notify" / "outbox.db")
    with pytest.raises(OutboxFault, match="cannot be written"):
        looking.put(2, [], [message("b")])
    looking.close()
    again = Outbox.open(tmp_path / "notify" / "outbox.db")
    assert (again.seen(), ids(again)) == (1, ["a"])
    again.close()
