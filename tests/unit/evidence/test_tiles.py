# SPDX-License-Identifier: Apache-2.0
"""Names and contents of the ledger's files: the forms of C2SP, and nothing beside them."""

from __future__ import annotations

import pytest

from gatebook.evidence.tiles import (
    MAX_INDEX,
    TileName,
    TilesFault,
    decode_bundle,
    encode_bundle,
    entries_path,
    parse_tile_path,
    tile_path,
    tiles_of,
)
from gatebook.evidence.tree import TreeFault

NAMES = {
    "tile/0/000": TileName(0, 0, 256),
    "tile/0/999.p/1": TileName(0, 999, 1),
    "tile/1/x001/000": TileName(1, 1000, 256),
    "tile/5/x001/x234/067.p/112": TileName(5, 1_234_067, 112),
    "tile/63/x036/x028/x797/x018/x963/967.p/255": TileName(63, 36_028_797_018_963_967, 255),
    "tile/entries/000": TileName(None, 0, 256),
    "tile/entries/x001/x234/067.p/9": TileName(None, 1_234_067, 9),
}


def path_of(name: TileName) -> str:
    if name.level is None:
        return entries_path(name.index, name.width)
    return tile_path(name.level, name.index, name.width)


@pytest.mark.parametrize("path", NAMES)
def test_names_tiles_as_c2sp_does_and_reads_them_back(path: str) -> None:
    assert path_of(NAMES[path]) == path
    assert parse_tile_path(path) == NAMES[path]


def test_a_full_tile_is_what_one_gets_by_saying_nothing() -> None:
    assert (tile_path(0, 7), entries_path(7)) == ("tile/0/007", "tile/entries/007")


@pytest.mark.parametrize(
    "path",
    [
        *("", "tile", "tile/0", "tile/0/", "checkpoint", "/tile/0/000", "tile/0/000/", "tile/0/000\n", " tile/0/000"),
        *("tile/00/000", "tile/01/000", "tile/64/000", "tile/-1/000", "tile/data/000", "tile/8/0/000", "tile//000"),
        *("tile/0/0", "tile/0/00", "tile/0/0000", "tile/0/x000", "tile/0/x000/000", "tile/0/x000/x001/000"),
        *("tile/0/001/000", "tile/0/X001/000", "tile/0/x1/000", "tile/0/..", "tile/0/../000", "tile/0/00a"),
        *("tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p/256", "tile/0/000.p/999"),
        *("tile/0/000.p/-1", "tile/0/000.p/1/2", "tile/0/000.p/1000", "tile/0/x001.p/1/000", "tile/0/000.P/1"),
        *("tile/0/\u0660\u0660\u0660", "tile/\u0661/000", "tile/0/000.p/\u0661", "tile/0/000\0"),
        "tile/0/x036/x028/x797/x018/x963/968",
        "tile/0/x999/x999/x999/x999/x999/999",
        "tile/0/x001/x000/x000/x000/x000/x000/000",
    ],
)
def test_a_path_of_any_other_form_is_no_tile(path: str) -> None:
    assert parse_tile_path(path) is None


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [(-1, 0, 256), (64, 0, 256), (0, -1, 256), (0, MAX_INDEX + 1, 256), (0, 0, 0), (0, 0, 257), (0, 0, -1)],
)
def test_refuses_to_name_a_tile_that_cannot_be(level: int, index: int, width: int) -> None:
    with pytest.raises(TilesFault) as caught:
        tile_path(level, index, width)
    assert caught.value.finding == "ledger_tile"


@pytest.mark.parametrize(("index", "width"), [(-1, 256), (MAX_INDEX + 1, 256), (0, 0), (0, 257)])
def test_refuses_to_name_a_bundle_that_cannot_be(index: int, width: int) -> None:
    with pytest.raises(TilesFault) as caught:
        entries_path(index, width)
    assert caught.value.finding == "ledger_tile"


def test_a_bundle_is_entries_behind_their_lengths() -> None:
    assert encode_bundle([b"ab", b"", b"c" * 258]) == b"\x00\x02ab" + b"\x00\x00" + b"\x01\x02" + b"c" * 258
    assert decode_bundle(b"\x00\x02ab" + b"\x00\x00", 2) == [b"ab", b""]


def test_a_bundle_may_be_as_long_as_its_entries_may() -> None:
    entries = [b"x" * 65_535] * 256
    assert decode_bundle(encode_bundle(entries), 256) == entries


@pytest.mark.parametrize("entries", [[], [b""] * 257, [b"x" * 65_536]])
def test_refuses_to_write_a_bundle_that_cannot_be(entries: list[bytes]) -> None:
    with pytest.raises(TilesFault) as caught:
        encode_bundle(entries)
    assert caught.value.finding == "ledger_bundle"


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"", 1),
        (b"\x00", 1),
        (b"\x00\x01", 1),
        (b"\x00\x02a", 1),
        (b"\x00\x01a", 2),
        (b"\x00\x01a\x00", 2),
        (b"\x00\x01a\x00\x01", 1),
        (b"\x00\x01ab", 1),
        (b"", 0),
        (b"", -1),
        (b"\x00\x00" * 257, 257),
    ],
)
def test_refuses_a_bundle_of_another_count(data: bytes, count: int) -> None:
    with pytest.raises(TilesFault) as caught:
        decode_bundle(data, count)
    assert caught.value.finding == "ledger_bundle"


def test_lists_the_tiles_of_a_tree_as_the_specification_does() -> None:
    # the example of C2SP tlog-tiles, "Partial Tiles"
    tiles = list(tiles_of(70_000))
    assert tiles[:2] == [(0, 0, 256), (0, 1, 256)]
    assert tiles[272:] == [(0, 272, 256), (0, 273, 112), (1, 0, 256), (1, 1, 17), (2, 0, 1)]


@pytest.mark.parametrize(
    ("size", "tiles"),
    [
        (0, []),
        (1, [(0, 0, 1)]),
        (255, [(0, 0, 255)]),
        (256, [(0, 0, 256), (1, 0, 1)]),
        (257, [(0, 0, 256), (0, 1, 1), (1, 0, 1)]),
    ],
)
def test_lists_the_tiles_of_small_trees(size: int, tiles: list[tuple[int, int, int]]) -> None:
    assert list(tiles_of(size)) == tiles


@pytest.mark.parametrize("size", [-1, 1 << 63])
def test_refuses_at_once_a_size_that_no_tree_has(size: int) -> None:
    with pytest.raises(TreeFault) as caught:
        tiles_of(size)
    assert caught.value.finding == "ledger_size"
