# SPDX-License-Identifier: Apache-2.0
"""The player's state: time, keys, places and search, without a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from support.evidence import NOW

from gatebook.cli.playback import Playback, status_line
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.replay import Item
from gatebook.evidence.timeline import number_points


def item(seconds: float, text: str, direction: str = ">", offset: int = 0) -> Item:
    words = {"text": text} if direction == ">" else {"tag": text}
    kind = "query" if direction == ">" else "done"
    return Item(NOW + timedelta(seconds=seconds), direction, kind, words, offset=offset)


ITEMS = [item(0, "first"), item(2, "ONE", "<", 10), item(5, "second", offset=20), item(605, "TWO", "<", 30)]


def play(max_pause_s: float | None = None, most: int = 100) -> Playback:
    playback = Playback(number_points(ITEMS), lambda: {1: 0, 2: 20}, max_pause_s=max_pause_s, most=most)
    playback.read()
    return playback


def press(playback: Playback, keys: str | list[str]) -> Playback:
    for key in keys:
        playback.press(key)
    return playback


def test_shows_what_is_due() -> None:
    playback = play()
    assert playback.advance(0)
    assert (playback.shown, playback.wait_s) == (1, 2.0)
    assert not playback.advance(1.5)
    assert playback.advance(0.5)
    assert (playback.shown, playback.wait_s) == (2, 3.0)
    playback.press("+")
    assert playback.wait_s == 1.5
    assert playback.advance(1.5)
    assert playback.shown == 3
    assert playback.advance(1000)
    assert (playback.shown, playback.is_playing) == (4, False)
    assert play(most=0).wait_s is None


def test_shortens_pauses_but_tells_the_true_time() -> None:
    playback = play(max_pause_s=1)
    playback.advance(3)
    assert (playback.shown, playback.elapsed) == (4, timedelta(seconds=605))


def test_pauses_and_begins_anew_at_the_end() -> None:
    playback = press(play(), " ")
    assert not playback.is_playing
    assert not playback.advance(100)
    press(playback, ["end"])
    assert playback.shown == 4
    press(playback, " ")
    assert (playback.shown, playback.is_playing, playback.clock_s) == (0, True, 0.0)


def test_changes_speed_within_bounds() -> None:
    assert press(play(), "+" * 50).speed == 1000.0
    assert press(play(), "-" * 50).speed == 0.25
    assert press(play(), "=+-_").speed == 1.0


def test_steps_and_pauses_by_it() -> None:
    playback = press(play(), ["right", "n", "n"])
    assert (playback.shown, playback.is_playing, playback.clock_s) == (3, False, 5.0)
    assert press(playback, ["left", "p", "p", "p"]).shown == 1
    assert press(playback, ["end"]).shown == 4
    assert press(playback, ["home"]).shown == 1


@pytest.mark.parametrize(
    ("typed", "shown"), [("+2", 2), ("+10:05", 4), ("12:00:05", 3), ("2", 3), ("1", 1), ("+1", 2), ("2026-01-01", 1)]
)
def test_goes_to_a_place(typed: str, shown: int) -> None:
    assert press(play(), ["g", *typed, "enter"]).shown == shown


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("noon", "`noon` is no place in a session"),
        ("9", "the book has no operation 9 of this session"),
        ("+99:00", "that is behind the end"),
    ],
)
def test_says_why_it_does_not_go(typed: str, words: str) -> None:
    assert press(play(), ["g", *typed, "enter"]).message == words


def test_searches_on_and_round() -> None:
    playback = press(play(), ["/", *"ON", "enter"])
    assert (playback.shown, playback.message) == (2, "found in item 2; / and enter for the next")
    assert press(playback, ["/", "enter"]).shown == 3
    assert press(playback, ["/", "enter"]).shown == 4
    assert press(playback, ["/", "enter"]).shown == 2
    assert press(playback, ["/", *"zebra", "enter"]).message.startswith("not found")
    assert press(play(), ["/", "enter"]).shown == 0


def test_forgets_what_was_typed_on_escape_and_bounds_it() -> None:
    playback = press(play(), ["/", *"abc", "backspace", "left"])
    assert (playback.typed, status_line(playback, 80)) == ("ab", "search: ab_")
    assert status_line(press(playback, ["escape", "g"]), 80) == "go to (+MM:SS, HH:MM:SS, operation): _"
    assert len(press(playback, ["x"] * 500).typed) == 200
    assert press(playback, ["enter"]).shown == 0
    assert press(play(), ["g", "enter"]).message == ""


def test_scrolls() -> None:
    assert press(play(), ["page up", "up", "down"]).scrolled == 10
    assert press(play(), ["down", "page down", "x"]).scrolled == 0


def test_quits() -> None:
    assert press(play(), "q").is_over


def test_holds_no_more_than_it_may() -> None:
    playback = play(most=2)
    assert (len(playback.items), playback.is_whole) == (2, False)
    assert playback.message == "what comes is more than can be held: see it with --from"
    press(playback, "x")
    assert "of +00:02 or more" in status_line(playback, 100)
    assert "item 0 of 2+" in status_line(playback, 100)


def test_plays_while_it_reads() -> None:
    playback = Playback(number_points(ITEMS), dict)
    playback.read(1)
    assert playback.advance(0)
    assert not playback.advance(1000)
    assert (playback.shown, playback.is_playing, playback.wait_s) == (1, True, None)
    playback.read(2)
    assert playback.advance(0)
    assert playback.shown == 3
    assert press(playback, ["end"]).shown == 4
    assert playback.is_whole


def test_shows_what_could_be_read_of_a_damaged_recording() -> None:
    def damaged() -> Iterator[Item]:
        yield ITEMS[0]
        raise EvidenceFault("recording_chunk", "chunk 1 does not\x1b authenticate")

    playback = Playback(number_points(damaged()), dict)
    playback.read()
    assert (len(playback.items), playback.is_read, playback.is_whole) == (1, True, False)
    assert playback.message == "it cannot be read further: chunk 1 does not\\x1b authenticate"
    assert playback.fault is not None


def test_reads_what_is_needed_to_search_and_to_go_somewhere() -> None:
    assert press(Playback(number_points(ITEMS), dict), ["/", *"TWO", "enter"]).shown == 4
    assert press(Playback(number_points(ITEMS), dict), ["g", *"+10:05", "enter"]).shown == 4


def test_tells_where_it_is() -> None:
    playback = play()
    playback.advance(2)
    bar = "[" + "-" * 25 + "]"
    assert status_line(playback, 88) == f"playing {bar} +00:02 of +10:05  1x  12:00:02Z  item 2 of 4  h help"
    assert status_line(press(playback, ["end"]), 30) == "at end +10:05 of +10:05  1x  1"
    assert "[" + "=" * 40 + "]" in status_line(playback, 200)
