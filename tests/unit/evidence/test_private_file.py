# SPDX-License-Identifier: Apache-2.0
"""Private files as bytes: what the specification says, byte by byte, and what is refused."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.evidence.private import PrivateFault
from gatebook.evidence.private_file import (
    HEADER_BYTES,
    Stored,
    check_header,
    encode_header,
    encode_record,
    find_end,
    read_stored,
)

SESSION, WRITER = "s_abcdef", "gate"
HEADER = struct.pack(">12sI64s64s", b"GATEBOOKPRV1", 1, b"s_abcdef", b"gate")


def record(number: int, seq: int, sealed: bytes, session: bytes = b"s_abcdef") -> bytes:
    head = struct.pack(">QQI", number, seq, len(sealed))
    return head + sealed + hashlib.sha256(session + head + sealed).digest()[:8]


FIRST, SECOND, THIRD = record(3, 1, b"one"), record(5, 3, b"second"), record(9, 5, b"3")


def stored(data: bytes) -> list[Stored]:
    return list(read_stored(io.BytesIO(data).read, SESSION))


def end_of(data: bytes, first: int) -> tuple[int, bool]:
    return find_end(io.BytesIO(data).read, SESSION, first)


def test_is_what_the_specification_says() -> None:
    assert encode_header(SESSION, WRITER) == HEADER
    assert len(HEADER) == HEADER_BYTES == 144
    assert encode_record(SESSION, 3, 1, b"one") == FIRST


def test_records_are_read_back_with_their_place() -> None:
    assert stored(FIRST + SECOND) == [
        Stored(3, 1, b"one", holds=True, end=144 + len(FIRST)),
        Stored(5, 3, b"second", holds=True, end=144 + len(FIRST) + len(SECOND)),
    ]


@pytest.mark.parametrize("other", [HEADER[:-1], HEADER[:12] + b"\0\0\0\2" + HEADER[16:], b"X" + HEADER[1:], b""])
def test_another_header_is_refused(other: bytes) -> None:
    check_header(HEADER, SESSION, WRITER)
    with pytest.raises(PrivateFault):
        check_header(other, SESSION, WRITER)


@pytest.mark.parametrize(("session", "writer"), [("s_other1", WRITER), (SESSION, "cli")])
def test_a_header_of_another_session_or_writer_is_refused(session: str, writer: str) -> None:
    with pytest.raises(PrivateFault, match="another session or writer"):
        check_header(HEADER, session, writer)


def test_one_changed_byte_is_one_record_that_does_not_hold() -> None:
    whole = FIRST + SECOND + THIRD
    place = len(FIRST) + 22
    changed = whole[:place] + b"X" + whole[place + 1 :]
    assert [one.holds for one in stored(changed)] == [True, False, True]


def test_a_record_of_another_session_does_not_hold() -> None:
    assert [one.holds for one in stored(record(3, 1, b"one", b"s_other1"))] == [False]


@pytest.mark.parametrize("cut", range(1, len(FIRST)))
def test_a_cut_record_is_refused(cut: int) -> None:
    with pytest.raises(PrivateFault, match="cut"):
        stored(SECOND + FIRST[:cut])


@pytest.mark.parametrize("length", [0, 4_194_305, 0xFFFF_FFFF])
def test_an_impossible_length_is_refused(length: int) -> None:
    with pytest.raises(PrivateFault, match="impossible"):
        stored(struct.pack(">QQI", 3, 1, length) + bytes(100))


@pytest.mark.parametrize("sealed", [b"", bytes(4_194_305)])
def test_a_part_that_no_entry_has_is_not_written(sealed: bytes) -> None:
    with pytest.raises(PrivateFault):
        encode_record(SESSION, 1, 1, sealed)


@pytest.mark.parametrize(
    ("data", "first", "expected"),
    [
        (b"", 4, (144, False)),
        (FIRST + SECOND, 4, (144 + len(FIRST), True)),  # an earlier try wrote the second
        (FIRST + SECOND[:-1], 4, (144 + len(FIRST), True)),  # and was killed within it
        (FIRST + SECOND[:7], 4, (144 + len(FIRST), True)),
        (FIRST + bytes(500), 4, (144 + len(FIRST), True)),  # space that power loss left without content
        (FIRST, 3, (144, False)),
        (FIRST + SECOND, 6, (144 + len(FIRST) + len(SECOND), True)),
    ],
)
def test_the_end_is_behind_what_was_told(data: bytes, first: int, expected: tuple[int, bool]) -> None:
    assert end_of(data, first) == expected


@pytest.mark.parametrize("change", [20, len(FIRST) - 1, 19])
def test_damage_of_what_was_told_is_never_cut(change: int) -> None:
    damaged = bytearray(FIRST)
    damaged[change] ^= 1
    with pytest.raises(PrivateFault, match="entry 3 was changed"):
        end_of(bytes(damaged) + SECOND, 6)


@given(st.binary(max_size=400))
def test_garbage_raises_one_kind_of_error(data: bytes) -> None:
    for read in (lambda: stored(data), lambda: end_of(data, 1 << 62), lambda: check_header(data, SESSION, WRITER)):
        with contextlib.suppress(PrivateFault):
            read()
