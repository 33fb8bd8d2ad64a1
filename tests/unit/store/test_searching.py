# SPDX-License-Identifier: Apache-2.0
"""Answers come out of the ledger: what an index says beside it, or leaves out, is noticed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from support.evidence import NOW, canonical
from support.search import KEY, ORDERS, SmallBook, login, operation, outcome, refused

from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.object_pattern import ObjectPattern
from gatebook.evidence.query import Question, posting_of, terms_of
from gatebook.evidence.tree import leaf_hash
from gatebook.store.index import IndexFault, Span
from gatebook.store.indexing import Ledger
from gatebook.store.searching import Answer, search
from gatebook.vault.ledger import LedgerFolder

CUSTOMERS = "Relation:shop.db.public.customers"
TOUCHED = Question(object=ObjectPattern.parse("orders"))
LEAVES = [
    login("helper", session="s_1"),
    operation(1, ("select", ORDERS), seconds=1),
    operation(2, ("select", CUSTOMERS), shape="SELECT * FROM customers", seconds=2),
    outcome(2, rows=7, seconds=3),
    outcome(1, rows=3, seconds=4),
    refused(3, ("delete", ORDERS), shape="DELETE FROM orders", seconds=5),
    operation(4, ("select", ORDERS), agent="other", session="s_2", seconds=6),
    outcome(4, rows=1, session="s_2", seconds=7),
    outcome(4, rows=2, session="s_2", seconds=8, execution=2),
]


@pytest.fixture
def book(tmp_path: Path) -> SmallBook:
    book = SmallBook(tmp_path / "book", LEAVES)
    book.catch_up()
    return book


def ask(book: SmallBook, question: Question, last: int = 100, *, prove: bool = False) -> Answer:
    return search(book.index, book.ledger, question, last, prove=prove)


def entries(answer: Answer) -> list[tuple[int, ...]]:
    return [(hit.index, *(index for index, _ in hit.outcomes)) for hit in answer.hits]


@pytest.mark.parametrize("prove", [False, True])
def test_tells_hits_oldest_first_each_with_what_came_of_it(book: SmallBook, *, prove: bool) -> None:
    answer = ask(book, TOUCHED, prove=prove)
    assert entries(answer) == [(1, 4), (5,), (6, 7, 8)]
    assert (answer.more, answer.unclear, answer.proved) == (False, 0, prove)
    assert answer.hits[0].leaf["operation"] == "s_1.1"
    assert answer.hits[0].outcomes[0][1]["effect"] == {
        "status": "done",
        "tag": "SELECT 3",
        "rows": 3,
        "bytes": 9,
        "duration_us": 1000,
    }


@pytest.mark.parametrize("prove", [False, True])
@pytest.mark.parametrize(
    ("question", "found"),
    [
        (Question(agent="helper"), [(0,), (1, 4), (2, 3), (5,)]),
        (Question(session="s_2"), [(6, 7, 8)]),
        (Question(decision="refuse", shape="from orders"), [(5,)]),
        (Question(begin=NOW + timedelta(seconds=2), end=NOW + timedelta(seconds=6)), [(2, 3), (5,)]),
        (Question(object=ObjectPattern.parse("payments")), []),
        (Question(object=ObjectPattern.parse("orders"), action="delete"), [(5,)]),
    ],
)
def test_answers_questions(book: SmallBook, question: Question, found: list[tuple[int, ...]], *, prove: bool) -> None:
    assert entries(ask(book, question, prove=prove)) == found


@pytest.mark.parametrize("prove", [False, True])
def test_tells_the_newest_and_that_there_are_more(book: SmallBook, *, prove: bool) -> None:
    answer = ask(book, TOUCHED, 2, prove=prove)
    assert (entries(answer), answer.more) == ([(5,), (6, 7, 8)], True)
    assert not ask(book, TOUCHED, 3, prove=prove).more


def test_finds_beyond_one_page_of_candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.store.searching.PAGE", 7)
    book = SmallBook(tmp_path / "book", [operation(number, seconds=number) for number in range(600)])
    book.catch_up()
    question = Question(begin=NOW + timedelta(seconds=100), end=NOW + timedelta(seconds=120))
    assert [hit.index for hit in ask(book, question, prove=True).hits] == list(range(100, 120))


def test_counts_what_may_answer_too(tmp_path: Path) -> None:
    opaque = operation(1, ("opaque", "Database:shop.db"), action={"opaque": "too long"})
    book = SmallBook(tmp_path / "book", [opaque, operation(2, ("select", ORDERS), action={"accesses_more": 9})])
    book.catch_up()
    assert ask(book, Question(object=ObjectPattern.parse("payments"))).unclear == 2
    assert ask(book, Question(object=ObjectPattern.parse("payments"), agent="nobody")).unclear == 0
    assert entries(ask(book, Question(unclear=True))) == [(0,), (1,)]


def test_looks_at_what_is_indexed_and_no_further(book: SmallBook) -> None:
    book.grow(operation(5, ("select", ORDERS)))
    answer = ask(book, TOUCHED, prove=True)
    assert (len(answer.hits), answer.cursor.size, book.ledger.checkpoint.size) == (3, 9, 10)


# ── an index that lies ──────────────────────────────────────────────────────────────────────────


def lie(book: SmallBook, change: Callable[[sqlite3.Connection], object]) -> None:
    with sqlite3.connect(book.folder / "index.db") as connection:
        change(connection)
    connection.close()


def put(entry: int, data: bytes) -> Callable[[sqlite3.Connection], object]:
    """Say that an entry is another."""
    row = (entry, " ".join(posting_of(0, data).terms))
    return lambda connection: connection.execute("INSERT INTO entry (rowid, term) VALUES (?, ?)", row)


@pytest.mark.parametrize("entry", [2, 4])
def test_au_04_a_hit_that_the_ledger_does_not_have_is_noticed(book: SmallBook, entry: int) -> None:
    lie(book, put(entry, LEAVES[1]))
    with pytest.raises(IndexFault, match="say different things") as raised:
        ask(book, Question(object=ObjectPattern.parse("orders"), action="select", agent="helper"))
    assert "gatebook index rebuild" in raised.value.hint


@pytest.mark.parametrize("entry", [9, 1000, -1])
def test_what_is_beyond_the_ledger_is_not_looked_at(book: SmallBook, entry: int) -> None:
    lie(book, put(entry, LEAVES[1]))
    assert entries(ask(book, TOUCHED)) == [(1, 4), (5,), (6, 7, 8)]


def put_outcome(book: SmallBook, entry: int) -> Question:
    """Say that an entry is an outcome of the one operation that the question finds."""
    ours = posting_of(0, LEAVES[3]).outcome_of
    lie(book, lambda connection: connection.execute("INSERT INTO outcome VALUES (?, ?)", (ours, entry)))
    return Question(object=ObjectPattern.parse("customers"))


@pytest.mark.parametrize("entry", [5, 0, 100])
def test_an_outcome_that_is_none_is_noticed(book: SmallBook, entry: int) -> None:
    question = put_outcome(book, entry)
    with pytest.raises(IndexFault, match="say different things"):
        ask(book, question)


def test_an_outcome_of_an_operation_with_the_same_number_is_not_told(book: SmallBook) -> None:
    assert entries(ask(book, put_outcome(book, 4), prove=True)) == [(2, 3)]


def test_au_04_what_is_left_out_is_found_by_reading_all(tmp_path: Path) -> None:
    book = SmallBook(tmp_path / "book", LEAVES)
    others = [*LEAVES[:5], refused(3, ("delete", CUSTOMERS), shape="DELETE FROM customers", seconds=5), *LEAVES[6:]]
    postings = [posting_of(index, data) for index, data in enumerate(others)]
    signed = book.ledger.checkpoint
    before = book.index.cursor()
    after = type(before)(before.key, signed.size, signed.root, 1)
    book.index.extend(before, postings, after)
    assert entries(ask(book, TOUCHED)) == [(1, 4), (6, 7, 8)]
    with pytest.raises(IndexFault, match="entry 5 of the ledger"):
        ask(book, TOUCHED, prove=True)


def test_an_outcome_that_is_left_out_is_found_by_reading_all(book: SmallBook) -> None:
    lie(book, lambda connection: connection.execute("DELETE FROM outcome WHERE entry = 8"))
    assert entries(ask(book, TOUCHED))[-1] == (6, 7)
    with pytest.raises(IndexFault, match="entry 8 of the ledger"):
        ask(book, TOUCHED, prove=True)


def test_au_04_an_index_of_another_ledger_gives_no_answer(book: SmallBook) -> None:
    book.entries = [operation(9, ("select", CUSTOMERS)), *LEAVES]
    with pytest.raises(IndexFault, match="not of this ledger"):
        ask(book, TOUCHED)


# ── a ledger that was changed ───────────────────────────────────────────────────────────────────


def change(book: SmallBook, old: bytes, new: bytes) -> LedgerFolder:
    """Put other bytes of the same length into the one bundle there is."""
    stored = book.ledger.stored
    assert isinstance(stored, LedgerFolder)
    (bundle,) = (path for path in (stored.path / "tile" / "entries").rglob("*") if path.is_file())
    data = bundle.read_bytes()
    assert old in data
    bundle.write_bytes(data.replace(old, new))
    return stored


AFTERWARDS = Question(begin=NOW + timedelta(seconds=6))


@pytest.mark.parametrize("prove", [False, True])
@pytest.mark.parametrize(
    ("question", "old", "new"),
    [
        (TOUCHED, b'"sub":"other"', b'"sub":"nobod"'),
        # one that is a hit no more, by its time alone
        (AFTERWARDS, b'"time":"2026-01-01T12:00:06', b'"time":"2026-01-01T12:00:01'),
    ],
)
def test_an_entry_that_was_changed_in_the_ledger_is_noticed(
    book: SmallBook, question: Question, old: bytes, new: bytes, *, prove: bool
) -> None:
    assert entries(ask(book, AFTERWARDS, prove=prove)) == [(6, 7, 8)]
    change(book, old, new)
    with pytest.raises(EvidenceFault) as raised:
        ask(book, question, prove=prove)
    assert raised.value.finding == "ledger_entry"


def test_a_tile_that_was_changed_with_its_entry_is_noticed(book: SmallBook) -> None:
    old, new = b'"sub":"other"', b'"sub":"nobod"'
    stored = change(book, old, new)
    tile = stored.path / "tile/0/000.p/9"
    changed = LEAVES[6].replace(old, new)
    tile.write_bytes(tile.read_bytes().replace(leaf_hash(LEAVES[6]), leaf_hash(changed)))
    with pytest.raises(EvidenceFault) as raised:
        search(book.index, Ledger(stored, book.ledger.checkpoint, KEY), TOUCHED, 100)
    assert raised.value.finding == "ledger_inclusion"


def test_a_collision_of_terms_is_no_lie(book: SmallBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.store.searching.terms_of", lambda _: terms_of(Question().facets()))
    assert entries(ask(book, Question(object=ObjectPattern.parse("customers")))) == [(2, 3)]


@pytest.mark.parametrize("data", [b"{ }", b"no leaf", canonical({"event": "operation.intent", "time": "noon"})])
def test_a_leaf_that_is_malformed_is_told_as_such_and_can_be_passed_by(tmp_path: Path, data: bytes) -> None:
    book = SmallBook(tmp_path / "book", [data, LEAVES[1]])
    book.catch_up()
    with pytest.raises(EvidenceFault, match="entry 0 of the ledger is malformed") as raised:
        ask(book, Question())
    assert raised.value.finding == "entry_malformed"
    assert entries(ask(book, Question(begin=NOW), prove=True)) == [(1,)]
    assert ask(book, TOUCHED).unclear == 1


def test_a_kind_of_object_does_not_have_all_others_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = operation(0, ("execute", "Function:shop.db.public.orders"), shape="SELECT orders()")
    book = SmallBook(tmp_path / "book", [called, *(operation(number, ("select", ORDERS)) for number in range(1, 600))])
    book.catch_up()
    monkeypatch.setattr("gatebook.store.searching.PAGE", 1)
    for words, action in (("function:orders", ""), ("Function:public.*", "execute")):
        question = Question(object=ObjectPattern.parse(words), action=action)
        assert book.index.find(terms_of(question.facets()), Span(), 10) == [0]
        assert entries(ask(book, question, prove=True)) == [(0,)]
    assert entries(ask(book, Question(object=ObjectPattern.parse("function:orders"), action="select"))) == []
