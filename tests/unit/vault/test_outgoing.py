# SPDX-License-Identifier: Apache-2.0
"""What leaves a ledger: in order, each entry shown to be in the signed tree, nothing of another ledger or past."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.evidence import leaf
from support.ledger import ORIGIN, write_ledger
from support.notary import folders, seal, write_entries
from support.rotation import NEWER, rotate

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Signer
from gatebook.evidence.tiles import entries_path
from gatebook.evidence.tree import EMPTY_ROOT, leaf_hash
from gatebook.vault.cursor import Cursor, CursorFault, ExportFolder
from gatebook.vault.ledger import LedgerFolder, SystemDisk
from gatebook.vault.outgoing import Outgoing, read_export_standing

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MUCH = 1 << 30


def entries_of(count: int, *, first: int = 0) -> list[bytes]:
    return [leaf("heartbeat", sessions=first + one, journal=0, clock="unknown") for one in range(count)]


def outgoing(folder: Path, cursor: Cursor | None = None, origin: str = ORIGIN, now: datetime = NOW) -> Outgoing:
    return Outgoing(LedgerFolder(folder), origin, cursor, lambda: now)


def taken(folder: Path, cursor: Cursor | None = None, most: int = 100) -> tuple[list[bytes], Cursor]:
    """Take and acknowledge all there is."""
    out = outgoing(folder, cursor)
    out.refresh()
    found: list[bytes] = []
    while (piece := out.take(most, MUCH)).entries:
        assert piece.hashes == [leaf_hash(entry) for entry in piece.entries]
        assert piece.first == len(found) + (cursor.next if cursor else 0)
        found += piece.entries
        out.acknowledge(piece)
    return found, out.cursor


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257, 300, 511, 512, 513, 700, 1024, 1281])
@pytest.mark.parametrize("most", [1000, 100])
def test_all_entries_leave_in_order_whatever_the_size(tmp_path: Path, size: int, most: int) -> None:
    entries = entries_of(size)
    write_ledger(tmp_path / "ledger", entries)
    found, cursor = taken(tmp_path / "ledger", most=most)
    assert found == entries
    assert cursor.next == size


def test_a_ledger_that_grows_goes_on_behind_the_cursor(tmp_path: Path) -> None:
    entries = entries_of(900)
    cursor: Cursor | None = None
    found: list[bytes] = []
    for size in (3, 3, 256, 300, 513, 900):
        if not (tmp_path / str(size)).exists():
            write_ledger(tmp_path / str(size) / "ledger", entries[:size])
        more, cursor = taken(tmp_path / str(size) / "ledger", cursor)
        found += more
    assert found == entries


@pytest.mark.parametrize("next_", [1, 100, 255, 256, 257, 299])
def test_a_cursor_inside_what_was_published_at_once_goes_on_there(tmp_path: Path, next_: int) -> None:
    entries = entries_of(300)
    write_ledger(tmp_path / "ledger", entries)
    out = outgoing(tmp_path / "ledger")
    out.refresh()
    cursor = out.acknowledge(out.take(next_, MUCH))
    found, _ = taken(tmp_path / "ledger", cursor)
    assert found == entries[next_:]


def test_nothing_was_sealed_yet_is_no_fault_and_a_ledger_that_is_gone_is(tmp_path: Path) -> None:
    out = outgoing(tmp_path / "ledger")
    out.refresh()
    assert (out.behind, out.take(10, MUCH).entries, out.waiting_s()) == (0, [], 0.0)
    write_ledger(tmp_path / "ledger", entries_of(3))
    _, cursor = taken(tmp_path / "ledger")
    shutil.rmtree(tmp_path / "ledger")
    with pytest.raises(EvidenceFault) as fault:
        outgoing(tmp_path / "ledger", cursor).refresh()
    assert fault.value.finding == "checkpoint_missing"


def test_a_batch_is_bounded_in_bytes_but_has_one_entry(tmp_path: Path) -> None:
    entries = entries_of(10)
    write_ledger(tmp_path / "ledger", entries)
    out = outgoing(tmp_path / "ledger")
    out.refresh()
    assert out.take(10, 1).entries == entries[:1]
    assert out.take(10, 3 * len(entries[0])).entries == entries[:3]


def test_an_entry_that_was_changed_does_not_leave_nor_does_its_bundle(tmp_path: Path) -> None:
    write_ledger(tmp_path / "ledger", entries_of(600))
    path = tmp_path / "ledger" / entries_path(1)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"sessions":300', b'"sessions":301'))
    out = outgoing(tmp_path / "ledger")
    out.refresh()
    out.acknowledge(out.take(256, MUCH))
    with pytest.raises(EvidenceFault, match="entries 256 to 511 are not what was sealed") as fault:
        out.take(10, MUCH)
    assert fault.value.finding == "ledger_inclusion"
    path.write_bytes(data)
    assert len(out.take(1000, MUCH).entries) == 344


@pytest.mark.parametrize("index", [0, 1])
def test_a_changed_tile_of_hashes_does_not_hide_a_changed_entry(tmp_path: Path, index: int) -> None:
    from gatebook.evidence.tiles import tile_path

    entries = entries_of(600)
    write_ledger(tmp_path / "ledger", entries)
    place = index * 256 + 5
    path = tmp_path / "ledger" / entries_path(index)
    other = leaf("heartbeat", sessions=place + 1, journal=0, clock="unknown")
    path.write_bytes(path.read_bytes().replace(entries[place], other))
    tile = tmp_path / "ledger" / tile_path(0, index)
    tile.write_bytes(tile.read_bytes().replace(leaf_hash(entries[place]), leaf_hash(other)))
    out = outgoing(tmp_path / "ledger")
    out.refresh()
    with pytest.raises(EvidenceFault):
        out.take(1000, MUCH)


def test_a_cursor_of_another_origin_key_or_past_is_refused(tmp_path: Path) -> None:
    write_ledger(tmp_path / "ledger", entries_of(300))
    _, cursor = taken(tmp_path / "ledger")
    with pytest.raises(CursorFault, match="is of the ledger"):
        outgoing(tmp_path / "ledger", cursor, origin="another.example/x")
    write_ledger(tmp_path / "key" / "ledger", entries_of(400), Signer.make(ORIGIN, bytes(range(1, 33))))
    with pytest.raises(CursorFault, match="another key"):
        outgoing(tmp_path / "key" / "ledger", cursor).refresh()
    write_ledger(tmp_path / "short" / "ledger", entries_of(299))
    with pytest.raises(CursorFault, match="acknowledged 300 entries, and the ledger has 299"):
        outgoing(tmp_path / "short" / "ledger", cursor).refresh()
    for size in (300, 700):
        write_ledger(tmp_path / f"other{size}" / "ledger", entries_of(size, first=1))
        with pytest.raises(EvidenceFault, match="does not continue the 300 entries"):
            outgoing(tmp_path / f"other{size}" / "ledger", cursor).refresh()


def test_a_ledger_of_another_origin_than_configured_is_refused(tmp_path: Path) -> None:
    write_ledger(tmp_path / "ledger", entries_of(3))
    with pytest.raises(CursorFault, match="the configuration says"):
        outgoing(tmp_path / "ledger", origin="another.example/x").refresh()


def test_waiting_counts_from_the_entry_but_not_from_before_the_export_began(tmp_path: Path) -> None:
    write_ledger(tmp_path / "ledger", entries_of(3))
    out = outgoing(tmp_path / "ledger")
    out.refresh()
    assert out.waiting_s() == 0.0
    begun = Cursor(ORIGIN, "", 0, EMPTY_ROOT, NOW - timedelta(seconds=90))
    out = outgoing(tmp_path / "ledger", begun)
    out.refresh()
    assert 0.0 < out.waiting_s() <= 90.0


def test_the_standing_tells_of_a_cursor_that_is_refused(tmp_path: Path) -> None:
    write_ledger(tmp_path / "ledger", entries_of(3))
    files = ExportFolder(tmp_path / "export", "siem")
    told = read_export_standing(LedgerFolder(tmp_path / "ledger"), ORIGIN, files, "siem", lambda: NOW)
    assert (told.next, told.behind, told.acknowledged, told.runs, told.refused) == (0, 3, None, False, "")
    (tmp_path / "export").mkdir()
    files.write_cursor(SystemDisk(), Cursor(ORIGIN, "", 4, EMPTY_ROOT, NOW))
    told = read_export_standing(LedgerFolder(tmp_path / "ledger"), ORIGIN, files, "siem", lambda: NOW)
    assert told.refused.startswith("export_cursor: ")


def test_goes_on_where_the_notarys_key_was_changed(tmp_path: Path) -> None:
    write_entries(tmp_path, "gate", 300)
    seal(tmp_path)
    ledger = folders(tmp_path).ledger
    _, cursor = taken(ledger)
    running = outgoing(ledger, cursor)
    running.refresh()
    for change in (7, 8):
        rotate(tmp_path, change)
        write_entries(tmp_path, "gate", 10, first=300 + change)
        seal(tmp_path)
    for one in (running, outgoing(ledger, cursor)):
        one.refresh()
        piece = one.take(1000, MUCH)
        assert len(piece.entries) == one.acknowledge(piece).next - cursor.next > 20
        assert one.cursor.key == NEWER.verifier.text()
