# SPDX-License-Identifier: Apache-2.0
"""The published vectors of entries, journals and recordings are read, and every change of a byte is refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gatebook.evidence.entry import EntryFault, decode_canonical, encode_canonical
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import (
    HEADER_BYTES,
    JournalFault,
    check_zeros,
    parse_header,
    read_records,
    start_of,
)
from gatebook.evidence.private import PrivateParts
from gatebook.evidence.recording import HEADER_BYTES as RECORDING_HEADER_BYTES
from gatebook.evidence.recording import ChunkOpener, read_chunks, root_of
from gatebook.evidence.recording import parse_header as parse_recording
from gatebook.model.secret import Secret
from gatebook.vault.keys import parse_key

TESTS = Path(__file__).parents[2]
FOLDER = TESTS / "vectors/evidence"
VECTORS: Any = json.loads((FOLDER / "vectors.json").read_text("utf-8"))
SESSION = VECTORS["keys"]["session"]
KEY = Secret(bytes.fromhex(VECTORS["keys"]["recording_key"]))
SEGMENT = bytes.fromhex(VECTORS["journal"]["segment"])
RECORDING = bytes.fromhex(VECTORS["recording"]["file"])


def test_are_what_the_specifications_alone_give() -> None:
    command = [sys.executable, str(FOLDER / "make.py")]
    made = subprocess.run(command, env={"PYTHONPATH": str(TESTS)}, capture_output=True, check=True)
    told = json.loads(made.stdout)
    if told["recording"]["file"] != VECTORS["recording"]["file"]:  # another zstd may pack otherwise
        for name in ("file", "digests", "root"):
            told["recording"][name] = VECTORS["recording"][name]
        told["journal"] = VECTORS["journal"]
    assert told == VECTORS


@pytest.mark.parametrize("vector", VECTORS["entry"]["good"])
def test_canonical_entries_both_ways(vector: Any) -> None:  # noqa: ANN401  JSON
    data = bytes.fromhex(vector["bytes"])
    assert encode_canonical(vector["value"]) == data
    assert decode_canonical(data) == vector["value"]


@pytest.mark.parametrize("vector", VECTORS["entry"]["bad"], ids=lambda vector: vector["why"])
def test_entries_that_are_not_canonical(vector: Any) -> None:  # noqa: ANN401  JSON
    with pytest.raises(EntryFault):
        decode_canonical(bytes.fromhex(vector["bytes"]))


def test_a_private_part_opens_and_is_what_its_leaf_committed_to() -> None:
    private = VECTORS["private"]
    parts = PrivateParts(KEY, SESSION)
    sealed = bytes.fromhex(private["sealed"])
    assert parts.open(private["seq"], sealed, private["commitment"]) == private["content"]
    for place in range(len(sealed)):
        with pytest.raises(EvidenceFault):
            parts.open(private["seq"], changed(sealed, place), private["commitment"])


def test_a_key_file_gives_the_recording_key() -> None:
    kek = parse_key(Secret(VECTORS["keys"]["key_encryption_key"]))
    head = VECTORS["key_file"].encode()
    assert kek.unwrap(SESSION, head).reveal() == KEY.reveal()
    for place in range(len(head)):
        with pytest.raises(EvidenceFault):
            kek.unwrap(SESSION, changed(head, place))


def test_a_segment_gives_its_leaves_and_last_link() -> None:
    leaves, link, writer = read_segment(SEGMENT)
    assert [leaf.decode() for leaf in leaves] == VECTORS["journal"]["leaves"]
    assert (link.hex(), writer) == (VECTORS["journal"]["last_link"], VECTORS["journal"]["writer"])


def test_every_changed_byte_of_a_segment_shows() -> None:
    # The eight bytes of the time at which it was made (57 to 64) are nobody's proof.
    good = read_segment(SEGMENT)
    for place in [place for place in range(len(SEGMENT)) if not 56 <= place < 64]:
        try:
            found = read_segment(changed(SEGMENT, place))
        except JournalFault:
            continue
        assert found != good, place


def test_a_recording_gives_its_frames_and_root() -> None:
    chunks = read_recording(RECORDING)
    told = VECTORS["recording"]
    assert [chunk.digest.hex() for chunk in chunks] == told["digests"]
    assert root_of([chunk.digest for chunk in chunks]) == told["root"]
    opener = ChunkOpener(KEY, SESSION)
    begun = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=told["begins_unix_us"])
    frames = [frame for chunk in chunks for frame in opener.open(chunk)]
    assert [
        [frame.direction, (frame.at - begun) // timedelta(microseconds=1), frame.data.decode()] for frame in frames
    ] == told["frames"]


def test_every_changed_byte_of_a_recording_shows() -> None:
    good = [chunk.digest for chunk in read_recording(RECORDING)]
    for place in range(len(RECORDING)):
        try:
            found = [chunk.digest for chunk in read_recording(changed(RECORDING, place))]
        except EvidenceFault:
            continue
        assert found != good, place


def changed(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def read_segment(data: bytes) -> tuple[list[bytes], bytes, str]:
    """Leaves, last link and writer. JournalFault at the first record whose link does not hold."""
    file = io.BytesIO(data)
    header = parse_header(file.read(HEADER_BYTES))
    place, leaves = start_of(header), []
    if (header.first, header.previous) != (1, bytes(32)):
        raise JournalFault("journal_link", "does not begin where a journal begins")
    for record in read_records(file.read, place):
        if not record.link_holds:
            raise JournalFault("journal_link", "is not what its link says")
        leaves.append(record.leaf)
        place = record.end
    file.seek(place.offset)
    check_zeros(file.read, place)
    return leaves, place.link, header.writer


def read_recording(data: bytes) -> list[Any]:
    file = io.BytesIO(data)
    parse_recording(file.read(RECORDING_HEADER_BYTES), SESSION)
    return list(read_chunks(file.read))
