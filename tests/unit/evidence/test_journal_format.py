# SPDX-License-Identifier: Apache-2.0
"""Journal segments: what is whole is read, what is not is refused with one error class."""

from __future__ import annotations

import contextlib
import io
import struct
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import header, records

from gatebook.evidence import journal_format
from gatebook.evidence.journal_format import JournalFault, Position, Record
from gatebook.native import pure

ENTRIES: list[bytes | tuple[bytes, bytes]] = [b'{"a":1}', (b'{"b":2}', b"private"), b""]
DATA, LAST_LINK = records(ENTRIES)


def read(data: bytes, start: Position | None = None) -> list[Record]:
    file = io.BytesIO(data)
    place = start or Position(0, 1, bytes(32))
    return list(journal_format.read_records(file.read, place))


def test_reads_leaf_private_part_number_and_link() -> None:
    found = read(DATA + bytes(100))
    assert [(record.number, record.leaf, record.private) for record in found] == [
        (1, b'{"a":1}', b""),
        (2, b'{"b":2}', b"private"),
        (3, b"", b""),
    ]
    assert all(record.link_holds for record in found)
    assert found[-1].end == Position(len(DATA), 4, LAST_LINK)


def test_goes_on_from_a_place_it_gave() -> None:
    first = read(DATA)[0]
    rest = read(DATA[first.end.offset :], first.end)
    assert [record.number for record in rest] == [2, 3]
    assert all(record.link_holds for record in rest)


@pytest.mark.parametrize("tail", [b"", b"\0", b"\0\0\0", bytes(50)])
def test_ends_at_zeros_or_the_end_of_the_file(tail: bytes) -> None:
    assert len(read(DATA + tail)) == 3


def test_names_one_changed_byte_once_and_goes_on() -> None:
    changed = bytearray(DATA)
    changed[10] ^= 1
    assert [record.link_holds for record in read(bytes(changed))] == [False, True, True]


def test_names_a_changed_link_at_it_and_behind_it() -> None:
    changed = bytearray(DATA)
    changed[4 + 4 + 7] ^= 1
    assert [record.link_holds for record in read(bytes(changed))] == [False, False, True]


def test_notices_records_that_changed_places() -> None:
    first, second = records([b"x"])[0], records([b"y"])[0]
    assert [record.link_holds for record in read(second + first)] == [True, False]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (struct.pack(">I", 3) + bytes(40), "record 1 at byte 0: has an impossible length"),
        (struct.pack(">I", 4_194_305), "record 1 at byte 0: has an impossible length"),
        (struct.pack(">II", 8, 5) + bytes(36), "record 1 at byte 0: has an impossible leaf length"),
        (struct.pack(">II", 70_000, 65_536) + bytes(70_028), "record 1 at byte 0: has an impossible leaf length"),
        (DATA[:-1], "record 3 at byte 101: is longer than its segment"),
        (DATA + b"\0\1", "record 4 at byte 141: bytes behind the last record are not zero"),
    ],
)
def test_refuses_what_is_no_record(data: bytes, words: str) -> None:
    with pytest.raises(JournalFault) as caught:
        read(data)
    assert caught.value.message == words
    assert caught.value.finding == "journal_torn"


def test_reads_a_header() -> None:
    parsed = journal_format.parse_header(header(5, b"\x01" * 32, b"cli", 1_000_001))
    assert parsed.first == 5
    assert parsed.previous == b"\x01" * 32
    assert parsed.writer == "cli"
    assert parsed.created_at == datetime(1970, 1, 1, 0, 0, 1, 1, tzinfo=UTC)
    assert journal_format.start_of(parsed) == Position(128, 5, b"\x01" * 32)


@pytest.mark.parametrize(
    "data",
    [
        header()[:-1],
        b"X" + header()[1:],
        header().replace(b"JNL1\0\0\0\1", b"JNL1\0\0\0\2"),
        header(first=0),
        header(writer=b""),
        header(writer=b"\xff"),
        header(writer=b"a\x1b[2J"),
        header(created_us=(1 << 64) - 1),
    ],
)
def test_refuses_what_is_no_header(data: bytes) -> None:
    with pytest.raises(JournalFault) as caught:
        journal_format.parse_header(data)
    assert caught.value.finding == "journal_header"


def test_names_segments_by_their_first_entry() -> None:
    assert journal_format.segment_name(12) == "00000000000000000012.seg"
    assert journal_format.parse_segment_name("00000000000000000012.seg") == 12
    for name in ["12.seg", "00000000000000000012.aside", "0000000000000000001x.seg", "", "\u0660" * 20 + ".seg"]:
        assert journal_format.parse_segment_name(name) is None


def test_finds_a_byte_that_is_not_zero_far_behind_the_end() -> None:
    zeros = bytes(3 << 20)
    place = Position(0, 1, bytes(32))
    journal_format.check_zeros(io.BytesIO(zeros).read, place)
    with pytest.raises(JournalFault, match="are not zero"):
        journal_format.check_zeros(io.BytesIO(zeros + b"x").read, place)


@given(st.binary(max_size=300))
def test_raises_one_error_class_on_garbage(garbage: bytes) -> None:
    with contextlib.suppress(JournalFault):
        assert all(not record.link_holds for record in read(garbage))


@given(st.binary(min_size=128, max_size=128))
def test_header_raises_one_error_class_on_garbage(garbage: bytes) -> None:
    with pytest.raises(JournalFault):
        journal_format.parse_header(garbage)


def test_agrees_with_the_native_link() -> None:
    *_, count, _, link, _ = pure.journal_leaves(DATA, 0, bytes(32), 1)
    assert (count, link) == (1, read(DATA)[0].link)
