# SPDX-License-Identifier: Apache-2.0
"""Recordings: chunks checked without key, frames opened with it, bombs and cuts refused."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
from datetime import timedelta

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import NOW, RECORDING_KEY, SESSION, chunk, frame, recording_header

from gatebook.evidence import recording
from gatebook.evidence.recording import Chunk, ChunkOpener, Frame, RecordingFault
from gatebook.model.secret import Secret

FRAMES = [frame(">", b"hello"), frame("<", b"", 0.5)]
FIRST, SECOND = chunk(0, FRAMES), chunk(1, [frame("<", b"x" * 1000)])
OPENER = ChunkOpener(Secret(RECORDING_KEY), SESSION)


def read(data: bytes) -> list[Chunk]:
    return list(recording.read_chunks(io.BytesIO(data).read))


def refused(data: bytes) -> RecordingFault:
    def open_all() -> None:
        for part in read(data):
            OPENER.open(part)

    with pytest.raises(RecordingFault) as caught:
        open_all()
    return caught.value


def test_opens_frames_as_they_were_recorded() -> None:
    first, second = read(FIRST + SECOND)
    assert OPENER.open(first) == [Frame(">", NOW, b"hello"), Frame("<", NOW + timedelta(seconds=0.5), b"")]
    assert OPENER.open(second) == [Frame("<", NOW, b"x" * 1000)]


def test_gives_what_an_entry_says_of_a_chunk_without_a_key() -> None:
    first, second = read(FIRST + SECOND)
    assert first.digest == hashlib.sha256(FIRST).digest()
    assert (first.size, first.plain_bytes, first.frames) == (len(FIRST), 31, 2)
    assert second.end == 80 + len(FIRST) + len(SECOND)


def test_root_is_the_hash_over_the_hashes() -> None:
    assert recording.root_of([b"\x01" * 32, b"\x02" * 32]) == (
        "sha256:" + hashlib.sha256(b"\x01" * 32 + b"\x02" * 32).hexdigest()
    )


def test_knows_its_header() -> None:
    recording.parse_header(recording_header(), SESSION)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (recording_header()[:-1], "is shorter than its header"),
        (b"X" + recording_header()[1:], "has another magic or version"),
        (recording_header("s_other"), "is of another session"),
    ],
)
def test_refuses_another_header(data: bytes, words: str) -> None:
    with pytest.raises(RecordingFault, match=words):
        recording.parse_header(data, SESSION)


@pytest.mark.parametrize("size", [1, 15, 16, len(FIRST) - 1])
def test_refuses_a_chunk_that_is_cut(size: int) -> None:
    assert refused(FIRST[:size]).message == "chunk 0 is cut"


def test_refuses_chunks_out_of_order() -> None:
    assert refused(SECOND).message == "chunk 0 has another index"
    assert refused(FIRST + FIRST).message == "chunk 1 has another index"


@pytest.mark.parametrize("head", [struct.pack(">IIII", 0, (8 << 20) + 1, 1, 1), struct.pack(">IIII", 0, 1, 1, 1 << 31)])
def test_refuses_impossible_lengths_before_reading_them(head: bytes) -> None:
    assert refused(head).message == "chunk 0 has an impossible length"


@pytest.mark.parametrize("position", [4, 8, 20])
def test_refuses_a_chunk_that_was_changed(position: int) -> None:
    changed = bytearray(FIRST)
    changed[position + 3] ^= 1
    assert refused(bytes(changed)).message == "chunk 0 does not authenticate"


def test_refuses_a_chunk_of_another_session_or_place() -> None:
    assert refused(chunk(0, FRAMES, "s_other")).message == "chunk 0 does not authenticate"
    moved = struct.pack(">I", 1) + FIRST[4:]
    assert refused(FIRST + moved).message == "chunk 1 does not authenticate"


def test_refuses_to_unpack_more_than_was_said() -> None:
    bomb = zstandard.compress(bytes(100 << 20))
    assert refused(chunk(0, [b"x"], packed=bomb)).message in {
        "a frame has not its form",
        "chunk 0 is not what its header says",
        "a frame is cut",
    }


def test_refuses_what_does_not_unpack() -> None:
    assert refused(chunk(0, FRAMES, packed=b"no zstd")).message == "chunk 0 does not decompress"


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([b"x" * 12], "a frame is cut"),
        ([struct.pack(">cQI", b"?", 1, 0)], "a frame has not its form"),
        ([struct.pack(">cQI", b">", 1, 5)], "a frame has not its form"),
        ([struct.pack(">cQI", b">", (1 << 64) - 1, 0)], "a frame has an impossible time"),
        ([frame(">", b"") + frame(">", b"")], "chunk 0 is not what its header says"),
    ],
)
def test_refuses_frames_that_have_not_their_form(frames: list[bytes], words: str) -> None:
    assert refused(chunk(0, frames)).message == words


@given(st.binary(max_size=200))
def test_raises_one_error_class_on_garbage(garbage: bytes) -> None:
    with contextlib.suppress(RecordingFault):
        read(garbage)
    with pytest.raises(RecordingFault):
        OPENER.open(Chunk(0, 31, 2, FIRST[:16], garbage, b"", 0))
