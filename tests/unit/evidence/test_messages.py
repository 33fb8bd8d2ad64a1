# SPDX-License-Identifier: Apache-2.0
"""Messages out of a byte stream: any split gives the same ones, and nothing raises."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import NOW, message

from gatebook.evidence import messages
from gatebook.evidence.messages import Fields, Message, Splitter

STREAM = message("Q", b"select 1\0") + message("S", b"") + message("X", b"")
SPLIT = [Message("Q", NOW, b"select 1\0"), Message("S", NOW, b""), Message("X", NOW, b"")]


def feed(*pieces: bytes) -> list[Message]:
    splitter = Splitter()
    return [found for piece in pieces for found in splitter.feed(piece, NOW)]


@given(st.sets(st.integers(1, len(STREAM) - 1)))
def test_any_split_gives_the_same_messages(cuts: set[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    assert feed(*(STREAM[a:b] for a, b in itertools.pairwise(places))) == SPLIT


@given(st.sets(st.integers(1, len(STREAM) - 1)), st.booleans())
def test_any_split_gives_the_same_places(cuts: set[int], is_large: bool) -> None:
    splitter, places = Splitter(), [0, *sorted(cuts), len(STREAM)]
    with pytest.MonkeyPatch.context() as patch:
        if is_large:
            patch.setattr(messages, "MAX_MESSAGE_BYTES", 8)
        found = [one.offset for a, b in itertools.pairwise(places) for one in splitter.feed(STREAM[a:b], NOW, 1000 + a)]
    assert found == [1000, 1014, 1019]


def test_a_message_stands_where_it_began_whatever_came_between() -> None:
    splitter = Splitter()
    assert list(splitter.feed(STREAM[:3], NOW, 50)) == []
    assert list(splitter.feed(STREAM[3:7], NOW, 100)) == []
    assert [one.offset for one in splitter.feed(STREAM[7:], NOW, 200)] == [50, 207, 212]


def test_knows_a_startup_message_by_its_first_byte() -> None:
    startup = struct.pack(">II", 15, 196_608) + b"user\0\0\0"
    assert feed(startup + STREAM) == [Message("", NOW, struct.pack(">I", 196_608) + b"user\0\0\0"), *SPLIT]


@pytest.mark.parametrize("size", [100_000, 3 << 20])
def test_keeps_only_the_size_of_a_message_that_is_too_large(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_MESSAGE_BYTES", 50_000)
    large = message("D", bytes(size))
    pieces = [(large + STREAM)[start : start + 65_536] for start in range(0, len(large) + len(STREAM), 65_536)]
    assert feed(*pieces) == [Message("D", NOW, b"", size + 4), *SPLIT]
    assert feed(large + STREAM) == [Message("D", NOW, b"", size + 4), *SPLIT]


@pytest.mark.parametrize("garbage", [b"Q\0\0\0\3", b"\x1b\0\0\0\7abc"])
def test_stops_where_nothing_can_be_read(garbage: bytes) -> None:
    splitter = Splitter()
    assert list(splitter.feed(garbage + STREAM, NOW)) == []
    assert splitter.unreadable
    assert list(splitter.feed(STREAM, NOW)) == []


@given(st.binary(max_size=100))
def test_fields_give_zeros_and_empty_strings_behind_the_end(payload: bytes) -> None:
    fields = Fields(payload)
    for _ in range(fields.count()):
        fields.value()
    fields.string()
    fields.take(1000)
    assert fields.left == 0
    assert fields.number(4) == 0
    assert fields.string() == ""
    assert fields.take(-1) == b""


@pytest.mark.parametrize(
    ("data", "form", "oid", "shown"),
    [
        (None, 0, 25, None),
        (b"x\xff", 0, 25, "x\\xff"),
        (b"\0\0\0\7", 1, 23, "7"),
        (b"\xff\xff", 1, 21, "-1"),
        (struct.pack(">q", 1 << 40), 1, 20, "1099511627776"),
        (struct.pack(">d", 1.5), 1, 701, "1.5"),
        (b"\1", 1, 16, "t"),
        (b"\0", 1, 16, "f"),
        ("é".encode(), 1, 25, "é"),
        (b'\1{"a":1}', 1, 3802, '{"a":1}'),
        (bytes(16), 1, 2950, "00000000-0000-0000-0000-000000000000"),
        (b"\0\0\7", 1, 23, "\\x000007"),
        (struct.pack(">q", 820_000_000_000_000), 1, 1184, "2025-12-25 17:46:40+00"),
        (struct.pack(">q", 1), 1, 1114, "2000-01-01 00:00:00.000001"),
        (struct.pack(">i", -1), 1, 1082, "1999-12-31"),
        (struct.pack(">q", (1 << 63) - 1), 1, 1184, "\\x7fffffffffffffff"),
        (b"\0", 1, 1082, "\\x00"),
        (b"\1\2", 1, 1700, "\\x0102"),
        (b"\1" * 300, 1, 17, "\\x" + "01" * 256 + "..."),
    ],
)
def test_shows_values_as_text(data: bytes | None, form: int, oid: int, shown: str | None) -> None:
    assert messages.show_value(data, form, oid) == shown
