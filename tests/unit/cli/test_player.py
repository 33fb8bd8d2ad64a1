# SPDX-License-Identifier: Apache-2.0
"""The player on a real (pseudo) terminal: keys, pace, harmless output, and the terminal as it was at the end."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from support.data_folder import put_journal, put_recording
from support.evidence import KEK, SESSION, chunk, end, frame, intent, message, recording_header, start
from support.hostile import hostile_chunk
from support.installation import Installation
from support.terminal import OnTerminal, on_terminal

from gatebook.cli.playback import Playback
from gatebook.cli.player import draw, fold

QUERIES = chunk(
    0,
    [
        frame(">", message("Q", b"select 'first'\0")),
        frame("<", message("C", b"SELECT 1\0") + message("Z", b"I"), 0.3),
        frame(">", message("Q", b"select 'second'\0"), 1),
        frame("<", message("C", b"SELECT 2\0") + message("Z", b"I"), 3600),
    ],
)
OWN = re.compile(r"\x1b\[(?:\?(?:1049|25|7)[hl]|\d*(?:;\d+)?H|2J|K|0m|7m|31m|32m|36m)")


@pytest.fixture
def book(gate: Installation) -> Installation:
    (gate.folder / "recording.key").write_text(KEK.hex())
    second = len(message("Q", b"select 'first'\0") + message("C", b"SELECT 1\0") + message("Z", b"I"))
    entries = [start(), intent(1, 1), intent(2, 2, recording={"offset": second}), end(3)]
    put_journal(gate.settings.journal_path, entries)
    put_recording(gate.settings.recordings_path, recording_header() + QUERIES)
    return gate


@contextmanager
def playing(book: Installation, *options: str) -> Iterator[OnTerminal]:
    words = ["sessions", "replay", SESSION, "--config", str(book.config), *options]
    with on_terminal([sys.executable, "-m", "gatebook", *words]) as terminal:
        yield terminal


def test_plays_in_the_time_of_the_session_and_quits(book: Installation) -> None:
    with playing(book) as terminal:
        terminal.wait_for(b"\x1b[?1049h")
        began = time.monotonic()
        terminal.wait_for(b"select 'second'")
        assert 0.8 < time.monotonic() - began < 5
        assert b"playing [" in terminal.wait_for(b"item 3 of 4")
        terminal.press(b"q")
        status, last = terminal.wait_for_end()
        assert status == 0
        assert last.endswith(b"\x1b[?7h\x1b[?25h\x1b[?1049l")
        assert terminal.is_as_before
    assert (book.entries()[-1]["event"], book.entries()[-1]["form"]) == ("evidence.viewed", "replay")


def test_pauses_steps_jumps_and_searches(book: Installation) -> None:
    with playing(book, "--speed", "0.1") as terminal:
        terminal.wait_for(b"item 1 of 4")
        terminal.press(b" ")
        terminal.wait_for(b"paused [")
        terminal.press(b"\x1b[Cn")
        terminal.wait_for(b"item 3 of 4")
        terminal.press(b"\x1b[D")
        terminal.wait_for(b"item 2 of 4")
        terminal.press(b"+++")
        terminal.wait_for(b"  1x  ")
        terminal.press(b"-")
        terminal.wait_for(b"  0.5x  ")
        terminal.press(b"g+1:00:00\r")
        terminal.wait_for(b"at end [")
        terminal.wait_for(b"+1:00:00 of +1:00:00")
        terminal.wait_for(b"item 4 of 4")
        terminal.press(b"g2\n")
        terminal.wait_for(b"item 3 of 4")
        terminal.press(b"g7\n")
        terminal.wait_for(b"the book has no operation 7")
        terminal.press(b"/SECT\x7f")
        terminal.wait_for(b"search: SEC_")
        terminal.press(b"\x1b")
        terminal.press(b"/FIRST\r")
        terminal.wait_for(b"found in item 1")
        terminal.press(b"/nowhere\r")
        terminal.wait_for(b"not found in what is shown")
        terminal.press(b"h")
        terminal.wait_for(b"space pause")
        terminal.press(b"q")
        assert terminal.wait_for_end()[0] == 0


def test_begins_at_a_place(book: Installation) -> None:
    with playing(book, "--from", "2", "--speed", "0.1") as terminal:
        terminal.wait_for(b"item 3 of 4")
        terminal.press(b"q")
        assert terminal.wait_for_end()[0] == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_gives_the_terminal_back_when_it_is_ended(book: Installation, number: signal.Signals) -> None:
    with playing(book) as terminal:
        terminal.wait_for(b"item 1 of 4")
        assert not terminal.is_as_before
        terminal.process.send_signal(number)
        status, last = terminal.wait_for_end()
        assert status == (130 if number is signal.SIGINT else -number)
        assert b"\x1b[?25h\x1b[?1049l" in last
        assert terminal.is_as_before


def test_gives_the_terminal_back_while_it_is_stopped(book: Installation) -> None:
    shell = 'echo "modes $(stty -g)"; "$@"; echo "modes $(stty -g)"; fg >/dev/null'
    words = [sys.executable, "-m", "gatebook", "sessions", "replay", SESSION, "--config", str(book.config)]
    with on_terminal(["bash", "-mc", shell, "--", *words]) as terminal:
        terminal.wait_for(b"modes ")
        modes = terminal.wait_for(b"\r\n")
        terminal.wait_for(b"item 1 of 4")
        terminal.press(b"\x1a")
        terminal.wait_for(b"\x1b[?1049l")
        terminal.wait_for(b"modes ")
        assert terminal.wait_for(b"\r\n") == modes
        terminal.wait_for(b"\x1b[?1049h")
        terminal.wait_for(b"h help")
        terminal.press(b"q")
        terminal.wait_for_end()
        assert terminal.is_as_before


def test_gives_the_terminal_back_when_something_is_raised() -> None:
    programme = (
        "import sys\nfrom gatebook.cli.keyboard import taken\n"
        "with taken(0, 1):\n    sys.stderr.flush()\n    raise RuntimeError('within')\n"
    )
    with on_terminal([sys.executable, "-c", programme]) as terminal:
        status, last = terminal.wait_for_end()
        assert status == 1
        assert last.index(b"\x1b[?1049l") < last.index(b"RuntimeError: within")
        assert terminal.is_as_before


def test_au_11_nothing_hostile_acts_on_the_terminal(book: Installation) -> None:
    put_recording(book.settings.recordings_path, recording_header() + hostile_chunk())
    with playing(book, "--speed", "10000") as terminal:
        seen = terminal.wait_for(b"at end")
        terminal.press(b"\x1b[A" * 5 + b"\x1b[5~/\x1b]52;c;aGk=\x07\r" + b"\xc2\x9b2J" + b"g\x9b\rh")
        seen += terminal.wait_for(b"space pause")
        terminal.press(b"q")
        status, last = terminal.wait_for_end()
    assert status == 0
    text = OWN.sub("", (seen + last).decode())
    assert "]52;c;" in text
    assert {ch for ch in text if not ch.isprintable()} <= {"\r", "\n"}


def test_prints_plain_lines_where_it_is_asked_to_or_the_terminal_is_dumb(book: Installation) -> None:
    with playing(book, "--plain") as terminal:
        status, last = terminal.wait_for_end()
    assert status == 0
    assert last.startswith(b"12:00:00.000000 > query\r\n")
    command = [sys.executable, "-m", "gatebook", "sessions", "replay", SESSION, "--config", str(book.config)]
    with on_terminal(command, {"TERM": "dumb"}) as terminal:
        assert terminal.wait_for_end()[1].startswith(b"12:00:00.000000 > query\r\n")


def test_says_that_there_is_nothing(book: Installation) -> None:
    put_recording(book.settings.recordings_path, recording_header())
    with playing(book) as terminal:
        status, last = terminal.wait_for_end()
    assert status == 0
    assert b"the recording holds nothing" in last
    assert b"\x1b" not in last


def test_plays_a_damaged_recording_as_far_as_it_goes(book: Installation) -> None:
    put_recording(book.settings.recordings_path, recording_header() + QUERIES + QUERIES)
    with playing(book, "--speed", "10000") as terminal:
        terminal.wait_for(b"it cannot be read further")
        terminal.press(b" ")
        terminal.press(b"q")
        status, last = terminal.wait_for_end()
    assert status == 1
    assert last.index(b"\x1b[?1049l") < last.index(b"error: chunk 1 has another index")


def test_folds_by_the_columns_of_a_terminal() -> None:
    assert list(fold("abcdef", 4)) == ["abcd", "ef"]
    assert list(fold("日本語x", 4)) == ["日本", "語x"]
    assert list(fold("", 4)) == [""]


def test_draws_on_the_smallest_terminal() -> None:
    playback = Playback(iter(()), dict)
    assert draw(playback, 1, 1).decode() == "\x1b[H\x1b[1;1H\x1b[0m\x1b[0m\x1b[K\x1b[1;1H\x1b[7mp\x1b[0m"
