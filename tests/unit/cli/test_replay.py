# SPDX-License-Identifier: Apache-2.0
"""`gatebook sessions replay`: at once, in its own time, searched, from a place to a place; and nobody looks unseen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from support.data_folder import put_journal, put_recording
from support.evidence import KEK, NOW, SESSION, chunk, end, frame, intent, message, recording_header, start
from support.hostile import hostile_chunk
from support.installation import Installation

from gatebook.cli.replay import pace
from gatebook.evidence.replay import Item
from gatebook.evidence.timeline import Point
from gatebook.vault.journal import JournalWriter

FIRST = message("Q", b"select name from people\0")
ROWS = message("T", b"\0\1name\0" + bytes(18)) + b"".join(
    message("D", b"\0\1\0\0\0\6" + name) for name in (b"Alice ", b"Bob   ") * 15 + (b"Zo\xc3\xa9  ",)
)
ANSWER = ROWS + message("C", b"SELECT 31\0") + message("Z", b"I")
SECOND = message("Q", b"delete from people\0")
CHUNK = chunk(
    0,
    [
        frame(">", FIRST),
        frame("<", ANSWER, 1.5),
        frame(">", SECOND, 65),
        frame("<", message("C", b"DELETE 31\0"), 66),
        frame(">", message("X", b""), 3700),
    ],
)
OFFSET = len(FIRST) + len(ANSWER)


@pytest.fixture
def book(gate: Installation) -> Installation:
    (gate.folder / "recording.key").write_text(KEK.hex())
    entries = [start(), intent(1, 1), intent(2, 2, recording={"offset": OFFSET}), end(3)]
    put_journal(gate.settings.journal_path, entries)
    put_recording(gate.settings.recordings_path, recording_header() + CHUNK)
    return gate


def heads(out: str) -> list[str]:
    return [line for line in out.splitlines() if not line.startswith(" ")]


QUERY, DONE = "12:00:00.000000 > query", "12:00:01.500000 < done: SELECT 31"
ROWS_HEAD = "12:00:01.500000 < rows: 31"
DELETE, DELETED = "12:01:05.000000 > query", "12:01:06.000000 < done: DELETE 31"
GOODBYE = "13:01:40.000000 > says goodbye"


@pytest.mark.parametrize(
    ("window", "shown"),
    [
        (("--from", "2"), [DELETE, DELETED, GOODBYE]),
        (("--at", "2", "--until", "2"), [DELETE, DELETED]),
        (("--until", "1"), [QUERY, ROWS_HEAD, DONE]),
        (("--from", "+01:05"), [DELETE, DELETED, GOODBYE]),
        (("--from", "+1", "--until", "+00:02"), [ROWS_HEAD, DONE]),
        (("--from", "12:01:05", "--until", "12:01:05"), [DELETE]),
        (("--from", "12:01"), [DELETE, DELETED, GOODBYE]),
        (("--from", "+1:00:00"), [GOODBYE]),
        (("--from", "2026-01-01T14:00:30+01:00"), [GOODBYE]),
        (("--from", "+2:00:00"), []),
    ],
)
def test_replays_from_a_place_to_a_place(book: Installation, window: tuple[str, ...], shown: list[str]) -> None:
    told = book.run("sessions", "replay", SESSION, *window)
    assert told.status == 0, told.err
    assert heads(told.out) == shown


def test_says_that_there_is_no_such_operation(book: Installation) -> None:
    told = book.run("sessions", "replay", SESSION, "--from", "3")
    assert (told.status, told.out) == (1, "")
    assert "the book has no operation 3 of this session" in told.err


def test_says_what_a_place_is(book: Installation) -> None:
    told = book.run("sessions", "replay", SESSION, "--from", "noon")
    assert told.status == 2
    assert "`noon` is no place in a session: write `+MM:SS`, `HH:MM:SS` (UTC) or the number of an operation" in told.err
    assert len(book.entries()) == 1


def test_finds_words_beyond_the_rows_that_are_shown_and_says_where(book: Installation) -> None:
    told = book.run("sessions", "replay", SESSION, "--find", "zoé", "--purpose", "who saw Zoé")
    assert told.out.splitlines() == [
        "+00:01.500  12:00:01.500000 < rows: 31",
        "    of: select name from people",
        "    row 31, column name: [[Zoé]]  ",
    ]
    assert told.err == "1 found\n"
    entry = book.entries()[-1]
    assert (entry["event"], entry["form"], entry["purpose"]) == ("evidence.viewed", "search", "who saw Zoé")


def test_finds_for_programs_and_between_places(book: Installation) -> None:
    told = book.run("sessions", "replay", SESSION, "--find", "PEOPLE", "--from", "2", "--json")
    (found,) = told.json_lines
    assert (found["kind"], found["at"]) == ("query", "2026-01-01T12:01:05.000000Z")
    assert found["hits"] == [{"where": "text", "before": "delete from ", "match": "people", "after": ""}]


def test_finds_nothing(book: Installation) -> None:
    told = book.run("sessions", "replay", SESSION, "--find", "nowhere")
    assert (told.status, told.out, told.err) == (0, "", "0 found\n")
    assert book.run("sessions", "replay", SESSION, "--find", "").status == 2


@pytest.mark.parametrize("way", [(), ("--find", "select"), ("--speed", "10000"), ("--json",)])
def test_nobody_looks_unseen_in_any_way(
    book: Installation, way: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatebook.cli.common.LOCK_WAIT_S", 0)
    with JournalWriter.open(book.settings.journal_path, "cli", sync="every"):
        told = book.run("sessions", "replay", SESSION, *way)
    assert (told.status, told.out) == (1, "")


@pytest.mark.parametrize("way", [(), ("--find", "e"), ("--find", "\x1b"), ("--json",), ("--speed", "10000")])
def test_au_11_nothing_hostile_acts_on_the_terminal(book: Installation, way: tuple[str, ...]) -> None:
    put_recording(book.settings.recordings_path, recording_header() + hostile_chunk())
    told = book.run("sessions", "replay", SESSION, *way)
    assert told.status == 0, told.err
    assert len(told.out) > 1000
    assert "unreadable" in told.out or "cannot be read" in told.out or "--find" in way
    assert all(ch == "\n" or ch.isprintable() for ch in told.out)
    if "--json" in way:
        assert all(json.loads(line)["kind"] for line in told.out.splitlines())
    else:
        assert max(map(len, told.out.splitlines())) < 4100


def test_keeps_the_time_of_the_session() -> None:
    clock, slept = [100.0], list[float]()

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        clock[0] += seconds

    def points() -> Iterator[Point]:
        for number, seconds in enumerate((0, 10, 10, 100, 101)):
            yield Point(number, timedelta(seconds=seconds), Item(NOW, ">", "end"))
            clock[0] += 0.25  # what printing takes

    assert len(list(pace(points(), 2.0, 20.0, sleep, lambda: clock[0]))) == 5
    assert slept == [4.75, 9.5, 0.25]
