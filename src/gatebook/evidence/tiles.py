# SPDX-License-Identifier: Apache-2.0
"""Files of the ledger: how tiles and entry bundles are named, what a bundle looks like, which tiles a tree has.

SPEC: docs/spec/ledger.md, "Folder". Source: C2SP tlog-tiles. Name: `tile/<level or entries>/<index>[.p/<width>]`, the
index in groups of three digits, all but the last with `x` before them. Bundle: for each entry its length (u16 BE) and
its bytes. Bounds: level 0 to 63, index below 2^55 (256 entries each, below 2^63), width 1 to 256, entry 65,535 bytes.
Names have one form: leading zeros, a partial width of 256 and signs are refused.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.tree import MAX_SIZE, TILE_WIDTH, check_size

MAX_LEVEL = 63
MAX_INDEX = MAX_SIZE // TILE_WIDTH
MAX_ENTRY_BYTES = 65_535

_NAME = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_LENGTH = struct.Struct(">H")


class TilesFault(EvidenceFault):
    """A tile or bundle has a place, width or form that none has."""

    code = "ledger"


@dataclass(frozen=True, slots=True)
class TileName:
    """What a file of the ledger holds: hashes of a level, or entries where `level` is None."""

    level: int | None
    index: int
    width: int


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a tile in the folder of the ledger. TilesFault if no tile has that place or width."""
    if not 0 <= level <= MAX_LEVEL:
        raise TilesFault("ledger_tile", f"no tile has the level {level}")
    return f"tile/{level}/{_place(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of an entry bundle in the folder of the ledger. TilesFault if none has that place or width."""
    return f"tile/entries/{_place(index, width)}"


def parse_tile_path(path: str) -> TileName | None:
    """Return what is in a file by its path; None unless `tile_path` or `entries_path` gives exactly this path."""
    found = _NAME.fullmatch(path)
    if found is None:
        return None
    kind, digits, partial = found.groups()
    level = None if kind == "entries" else int(kind)
    index = int(digits.replace("x", "").replace("/", ""))
    width = int(partial) if partial else TILE_WIDTH
    if index > MAX_INDEX or width > TILE_WIDTH or (level or 0) > MAX_LEVEL:
        return None
    written = entries_path(index, width) if level is None else tile_path(level, index, width)
    return TileName(level, index, width) if written == path else None


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Return 1 to 256 entries as the bytes of a bundle. TilesFault if they are more, none, or one is too long."""
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise TilesFault("ledger_bundle", f"a bundle cannot hold {len(entries)} entries")
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise TilesFault("ledger_bundle", f"an entry of {len(entry)} bytes is longer than {MAX_ENTRY_BYTES}")
        parts += (_LENGTH.pack(len(entry)), entry)
    return b"".join(parts)


def decode_bundle(data: bytes, count: int) -> list[bytes]:
    """Return the entries of a bundle. TilesFault unless it holds exactly `count` (1 to 256) entries."""
    if not 1 <= count <= TILE_WIDTH:
        raise TilesFault("ledger_bundle", f"a bundle cannot hold {count} entries")
    entries: list[bytes] = []
    place = 0
    for number in range(count):
        begin = place + _LENGTH.size
        if begin > len(data):
            raise TilesFault("ledger_bundle", f"a bundle ends before entry {number} of {count}")
        (length,) = _LENGTH.unpack_from(data, place)
        place = begin + length
        if place > len(data):
            raise TilesFault("ledger_bundle", f"entry {number} of {count} is longer than its bundle")
        entries.append(data[begin:place])
    if place != len(data):
        raise TilesFault("ledger_bundle", f"a bundle goes on behind its {count} entries")
    return entries


def tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    """Yield level, index and width of each tile of the tree of `size`: level by level, a partial one last.

    Those of level 0 are also the places of the entry bundles. TreeFault for a size that no tree has.
    """
    check_size(size)
    return _tiles_of(size)


def _tiles_of(size: int) -> Iterator[tuple[int, int, int]]:
    level, count = 0, size
    while count:
        full, partial = divmod(count, TILE_WIDTH)
        for index in range(full):
            yield level, index, TILE_WIDTH
        if partial:
            yield level, full, partial
        level, count = level + 1, full


def _place(index: int, width: int) -> str:
    """Return the last part of a path: the index in groups of three digits, and the width of a partial tile."""
    if not 0 <= index <= MAX_INDEX:
        raise TilesFault("ledger_tile", f"no tile has the index {index}")
    if not 1 <= width <= TILE_WIDTH:
        raise TilesFault("ledger_tile", f"no tile has the width {width}")
    index, last = divmod(index, 1000)
    groups = [f"{last:03}"]
    while index:
        index, group = divmod(index, 1000)
        groups.append(f"x{group:03}")
    groups.reverse()
    return "/".join(groups) + (f".p/{width}" if width < TILE_WIDTH else "")
