# SPDX-License-Identifier: Apache-2.0
"""The index keeps up with the ledger, takes up only what was signed, and notices another ledger."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from support.evidence import leaf
from support.ledger import ORIGIN
from support.search import KEY, ORDERS, SmallBook, login, operation, outcome

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Signer
from gatebook.evidence.query import Question, terms_of
from gatebook.store.index import Cursor, IndexFault, Span
from gatebook.store.indexing import Behind, Ledger, behind, catch_up, check_same, extending
from gatebook.vault.ledger import LedgerFolder

EVERYTHING = terms_of(Question().facets())
LEAVES = [operation(number, ("select", ORDERS), seconds=number) for number in range(600)]


@pytest.fixture
def book(tmp_path: Path) -> SmallBook:
    return SmallBook(tmp_path / "book", LEAVES)


def entries_of(book: SmallBook) -> Path:
    stored = book.ledger.stored
    assert isinstance(stored, LedgerFolder)
    return stored.path / "tile" / "entries"


def test_takes_up_all_and_remembers_how_far(book: SmallBook) -> None:
    book.catch_up()
    signed = book.ledger.checkpoint
    cursor = book.index.cursor()
    assert (cursor.key, cursor.size, cursor.root) == (KEY, 600, signed.root)
    assert behind(cursor, book.ledger) == Behind(0, 0.0)
    assert book.index.find(EVERYTHING, Span(), 1000) == list(reversed(range(600)))


@pytest.mark.parametrize("first", [1, 255, 256, 257, 512, 599])
def test_goes_on_where_it_was(tmp_path: Path, first: int) -> None:
    book = SmallBook(tmp_path / "book", LEAVES[:first])
    book.catch_up()
    book.grow(*LEAVES[first:])
    assert behind(book.index.cursor(), book.ledger) == Behind(600 - first, 600 - first)
    book.catch_up()
    assert book.index.find(EVERYTHING, Span(), 1000) == list(reversed(range(600)))


def test_may_be_left_after_any_batch(book: SmallBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.store.indexing.BATCH_ENTRIES", 100)
    monkeypatch.setattr("gatebook.store.indexing.BATCH_TERMS", 1000)
    reached = [next(catch_up(book.index, book.ledger)).size for _ in range(10)]
    assert reached == sorted(set(reached)), "each batch goes on behind the last"
    assert all(after - before <= 100 for before, after in itertools.pairwise(reached))
    book.catch_up()
    assert book.index.find(EVERYTHING, Span(), 1000) == list(reversed(range(600)))


def test_says_how_old_the_oldest_is_of_an_index_of_nothing(book: SmallBook) -> None:
    assert behind(book.index.cursor(), book.ledger) == Behind(600, 599.0)


def test_holds_hashes_and_no_name(tmp_path: Path) -> None:
    book = SmallBook(tmp_path / "book", [login("helper", session="s_1"), operation(1, ("delete", ORDERS)), outcome(1)])
    book.catch_up()
    book.index.close()
    data = (book.folder / "index.db").read_bytes()
    assert b"detail=none" in data, "it is in this file"
    assert [word for word in (b"helper", b"alice", b"orders", b"s_1", b"DELETE", b"shop") if word in data] == []


def test_takes_up_nothing_that_was_not_signed(book: SmallBook) -> None:
    bundle = entries_of(book) / "001"
    data = bundle.read_bytes()
    changed = data.replace(b'"sub":"helper"', b'"sub":"nobody"', 1)
    assert changed != data
    bundle.write_bytes(changed)
    with pytest.raises(EvidenceFault) as raised:
        book.catch_up()
    assert raised.value.finding == "ledger_consistency"
    assert book.index.cursor() == Cursor(KEY)
    assert book.index.find(EVERYTHING, Span(), 10) == []
    bundle.write_bytes(data)
    book.catch_up()
    assert book.index.cursor().size == 600


def test_says_so_where_a_bundle_is_gone(book: SmallBook) -> None:
    (entries_of(book) / "001").unlink()
    with pytest.raises(EvidenceFault) as raised:
        book.catch_up()
    assert raised.value.finding == "tile_missing"


def test_goes_on_where_the_notary_has_another_key(book: SmallBook) -> None:
    book.catch_up()
    book.grow(*LEAVES[:5])
    other = book.signed_by(Signer.make(ORIGIN, bytes(32)))
    check_same(book.index.cursor(), other)
    for _ in catch_up(book.index, other):
        pass
    assert (book.index.cursor().size, book.index.cursor().key) == (other.checkpoint.size, other.key)


def test_notices_another_ledger(book: SmallBook) -> None:
    book.catch_up()
    other = book.signed_by(Signer.make("other.example/ledger", bytes(32)))
    with pytest.raises(IndexFault, match="of another ledger") as raised:
        check_same(book.index.cursor(), other)
    assert "gatebook index rebuild" in raised.value.hint
    with pytest.raises(IndexFault):
        next(catch_up(book.index, other))


def test_notices_a_ledger_that_was_put_back(tmp_path: Path) -> None:
    book = SmallBook(tmp_path / "book", LEAVES)
    book.catch_up()
    book.entries = LEAVES[:500]
    with pytest.raises(IndexFault, match="the index has 600 entries and the ledger 500"):
        check_same(book.index.cursor(), book.ledger)


def test_notices_a_ledger_that_was_made_anew_and_went_on(tmp_path: Path) -> None:
    book = SmallBook(tmp_path / "book", LEAVES)
    book.catch_up()
    book.entries = [leaf("gateway.start", version="0", policy="p", config="c"), *LEAVES]
    with pytest.raises(IndexFault, match="not of this ledger"):
        check_same(book.index.cursor(), book.ledger)


def test_an_entry_that_is_no_leaf_does_not_stop_it(tmp_path: Path) -> None:
    book = SmallBook(tmp_path / "book", [LEAVES[0], b"no leaf", LEAVES[1]])
    book.catch_up()
    assert book.index.find(EVERYTHING, Span(), 10) == [2, 1, 0]


def test_only_one_extends_it_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with extending(path, 0) as first, extending(path, 0.1) as second:
        assert (first, second) == (True, False)
    with extending(path, 0) as again:
        assert again


def test_tells_where_nothing_may_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError), extending(tmp_path / "absent" / "index.db", 0):
        pass


def test_needs_no_partial_tile_but_those_of_the_newest_checkpoint(tmp_path: Path) -> None:
    book = SmallBook(tmp_path / "book", LEAVES[:300])
    book.catch_up()
    book.grow(*LEAVES[300:])
    stored = book.ledger.stored
    assert isinstance(stored, LedgerFolder)
    for folder in stored.path.rglob("*.p"):
        assert len(list(folder.iterdir())) == 1
    kept = Ledger(LedgerFolder(tmp_path / "kept"), book.ledger.checkpoint, KEY)
    shutil.copytree(stored.path, tmp_path / "kept")
    for _ in catch_up(book.index, kept):
        pass
    assert book.index.cursor().size == 600
