# SPDX-License-Identifier: Apache-2.0
"""The files of a ledger: written whole or not at all, read with a bound, and what is not there is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatebook.evidence.tiles import encode_bundle
from gatebook.evidence.tree import Tile
from gatebook.vault.ledger import FILE_MODE, MAX_NOTE_BYTES, SECRET_MODE, LedgerFault, LedgerFolder, SystemDisk

HASHES = bytes(range(64))


@pytest.fixture
def ledger(tmp_path: Path) -> LedgerFolder:
    return LedgerFolder(tmp_path / "ledger")


def fault(error: pytest.ExceptionInfo[LedgerFault]) -> tuple[str, str]:
    return error.value.finding, error.value.message


def test_a_tile_is_read_in_its_width_partial_or_full(ledger: LedgerFolder) -> None:
    disk = SystemDisk()
    ledger.write_tiles(disk, [Tile(0, 0, HASHES)])
    assert ledger.read(0, 0, 2) == HASHES
    whole = HASHES + bytes(254 * 32)
    ledger.write_tiles(disk, [Tile(0, 0, whole)])
    disk.sync()
    assert (ledger.read(0, 0, 256), ledger.read(0, 0, 1)) == (whole, HASHES[:32])


def test_a_whole_tile_that_a_killed_notary_had_begun_hides_no_partial_one(ledger: LedgerFolder) -> None:
    disk = SystemDisk()
    ledger.write_tiles(disk, [Tile(0, 0, HASHES)])
    ledger.write_bundle(disk, 0, 2, encode_bundle([b"a", b"b"]))
    disk.write(ledger.path / "tile/0/000", b"")
    disk.write(ledger.path / "tile/entries/000", b"")
    assert (ledger.read(0, 0, 2), ledger.read_bundle(0, 2)) == (HASHES, encode_bundle([b"a", b"b"]))


def test_entries_are_read_up_to_the_width_that_is_asked_for(ledger: LedgerFolder) -> None:
    disk = SystemDisk()
    ledger.write_bundle(disk, 0, 256, encode_bundle([b"%d" % number for number in range(256)]))
    assert ledger.read_bundle(0, 2) == encode_bundle([b"0", b"1"])


def test_partial_tiles_go_once_the_full_one_is_there(ledger: LedgerFolder) -> None:
    disk = SystemDisk()
    for width in (1, 2):
        ledger.write_tiles(disk, [Tile(0, 0, HASHES[: 32 * width])])
    ledger.drop_partials(disk, "tile/0/000")
    assert not (ledger.path / "tile/0/000.p").exists()
    ledger.drop_partials(disk, "tile/0/000")  # nothing to do


def test_what_is_missing_cut_or_too_long_is_named(ledger: LedgerFolder) -> None:
    with pytest.raises(LedgerFault) as missing:
        ledger.read(0, 0, 2)
    assert fault(missing) == ("tile_missing", "tile/0/000.p/2 cannot be read: no such file or directory")
    disk = SystemDisk()
    disk.write(ledger.path / "tile/0/000.p/2", HASHES[:-1])
    with pytest.raises(LedgerFault, match="fewer hashes"):
        ledger.read(0, 0, 2)
    disk.remove(ledger.path / "tile/0/000.p/2")
    disk.write(ledger.path / "tile/0/000", bytes(257 * 32))
    with pytest.raises(LedgerFault, match="longer than it can be"):
        ledger.read(0, 0, 2)
    ledger.write_bundle(disk, 0, 2, encode_bundle([b"a", b"b"])[:-1])
    with pytest.raises(LedgerFault, match="fewer entries"):
        ledger.read_bundle(0, 2)
    with pytest.raises(LedgerFault) as checkpoint:
        ledger.read_checkpoint()
    assert checkpoint.value.finding == "checkpoint_missing"
    disk.write(ledger.path / "checkpoint", bytes(MAX_NOTE_BYTES + 1))
    with pytest.raises(LedgerFault, match="longer"):
        ledger.read_checkpoint()


def test_a_file_is_replaced_at_once_and_has_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "state"
    for data in (b"first, and long", b"second"):
        SystemDisk().replace(path, data, SECRET_MODE)
        assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == SECRET_MODE
    assert [one.name for one in tmp_path.iterdir()] == ["state"]
    SystemDisk().write(tmp_path / "deep" / "er" / "tile", b"x")
    assert (tmp_path / "deep" / "er" / "tile").stat().st_mode & 0o777 == FILE_MODE


def test_a_file_that_is_gone_needs_no_removing(tmp_path: Path) -> None:
    SystemDisk().remove(tmp_path / "absent")
    SystemDisk().sync_data(Path(__file__))
