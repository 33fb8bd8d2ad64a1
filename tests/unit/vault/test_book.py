# SPDX-License-Identifier: Apache-2.0
"""The book as people look at it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.data_folder import put_journal
from support.evidence import (
    RECORDING_KEY,
    SESSION,
    end,
    intent,
    leaf,
    outcome,
    seal_private,
    sealed_leaf,
    session_leaf,
    start,
)
from support.notary import folders

from gatebook.evidence.private import PrivateParts
from gatebook.model.secret import Secret
from gatebook.vault.book import Book
from gatebook.vault.recordings import Recordings

PRIVATE, COMMITMENT = seal_private(1, 1, b'{"text":"select 1"}')
ERROR, ERROR_COMMITMENT = seal_private(2, 1, b'{"error":{"message":"no"}}')
ENTRIES: list[Any] = [
    start(),
    (intent(1, 1, private=COMMITMENT), PRIVATE),
    (outcome(1, 2, private=ERROR_COMMITMENT, effect={"status": "error", "sqlstate": "42P01"}), ERROR),
    end(3),
    start(session="s_second"),
]


def book_of(root: Path) -> Book:
    return Book(folders(root), Recordings(root / "recordings"))


def test_lists_sessions_with_their_end(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", ENTRIES)
    sessions = book_of(tmp_path).list_sessions()
    assert [(one.id, one.cause) for one in sessions] == [(SESSION, "client closed"), ("s_second", "")]


def test_tells_a_session_without_its_texts(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", ENTRIES)
    story = book_of(tmp_path).read_session(SESSION, None)
    assert story is not None
    (operation,) = story.operations
    assert (operation.summary.number, operation.summary.status, operation.summary.sqlstate) == (1, "error", "42P01")
    assert operation.private == {}


def test_opens_texts_with_the_key(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", ENTRIES)
    story = book_of(tmp_path).read_session(SESSION, PrivateParts(Secret(RECORDING_KEY), SESSION))
    assert story is not None
    assert story.operations[0].private == {"text": "select 1"}
    assert story.operations[0].error == {"error": {"message": "no"}}


def test_does_not_know_a_session_that_is_not_there(tmp_path: Path) -> None:
    put_journal(tmp_path / "journal", ENTRIES)
    assert book_of(tmp_path).read_session("s_absent", None) is None


def test_counts_what_it_could_not_read(tmp_path: Path) -> None:
    bad_time = session_leaf("session.start", 0, "s_third", time="today", recording={}, upstream={}, parameters={})
    put_journal(tmp_path / "journal", [*ENTRIES, b'{"event":"session.start"', bad_time])
    book = book_of(tmp_path)
    assert len(book.list_sessions()) == 2
    assert book.faults == 2  # not JSON; no time
    wrong_key = book_of(tmp_path)
    story = wrong_key.read_session(SESSION, PrivateParts(Secret(b"\x00" * 32), SESSION))
    assert story is not None
    assert story.operations[0].private == {}
    assert wrong_key.faults == 2


def test_takes_a_lost_session_for_ended(tmp_path: Path) -> None:
    lost = leaf("session.lost", session=SESSION, cause="gateway lost", open=[])
    put_journal(tmp_path / "journal", [start(), lost])
    assert book_of(tmp_path).list_sessions()[0].cause == "gateway lost"
    story = book_of(tmp_path).read_session(SESSION, None)
    assert story is not None
    assert story.session.cause == "gateway lost"


def test_is_not_led_astray_by_text_that_looks_like_an_event(tmp_path: Path) -> None:
    odd = intent(1, 1, action={"shape": '"event":"session.end"'})
    put_journal(tmp_path / "journal", [start(), odd])
    assert book_of(tmp_path).list_sessions()[0].cause == ""


def test_leaves_out_what_does_not_belong_to_a_whole_session(tmp_path: Path) -> None:
    bad_time = intent(2, 2, time="today")
    put_journal(
        tmp_path / "journal",
        [end(9), intent(7, 8), start(), intent(1, 1), bad_time, outcome(2, 3), sealed_leaf([], 0), end(4)],
    )
    book = book_of(tmp_path)
    assert [one.id for one in book.list_sessions()] == [SESSION]
    story = book.read_session(SESSION, None)
    assert story is not None
    assert [operation.summary.number for operation in story.operations] == [1]
    assert book.faults == 1


def test_lists_the_newest_logins_and_those_that_failed(tmp_path: Path) -> None:
    def attempt(second: int, result: str, **more: Any) -> bytes:  # noqa: ANN401  members of a leaf
        at = f"2026-11-25T10:00:{second:02}.000000Z"
        return leaf("authn", time=at, result=result, checks=[], claimed={}, source={"ip": "192.0.2.1"}, **more)

    counted = leaf("authn.counted", source={"ip": "192.0.2.1"}, failures=7, checks={"form": 7}, seconds=10)
    odd = leaf("authn", time="now")
    many = [attempt(second, "accepted") for second in range(50)] * 24
    put_journal(
        tmp_path / "journal",
        [start(), counted, odd, *many, attempt(55, "refused", failed="form"), attempt(50, "accepted")],
    )
    book = book_of(tmp_path)
    assert [(one.result, one.failed) for one in book.list_logins(2)] == [("accepted", ""), ("refused", "form")]
    assert [one.times for one in book.list_logins(9, failed=True)] == [7, 1]
    assert book.faults == 2
