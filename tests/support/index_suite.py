# SPDX-License-Identifier: Apache-2.0
"""The shared suite: what every search index must do, whatever keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from gatebook.evidence.query import Posting, micros
from gatebook.store.index import Cursor, Index, IndexFault, Span

KEY = "ledger.example/x+00000000+AAAA"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALL = Span()
MANY = 1000


def at_us(minutes: int) -> int:
    return micros(NOON + timedelta(minutes=minutes))


def posting(index: int, *terms: str, minutes: int | None = 0, outcome_of: int | None = None) -> Posting:
    return Posting(index, terms, None if minutes is None else at_us(minutes), outcome_of)


def extend(index: Index, postings: Sequence[Posting]) -> Cursor:
    """Take up postings behind what is there; the cursor afterwards."""
    before = index.cursor()
    after = Cursor(KEY, before.size + len(postings), (before.size + len(postings)).to_bytes(32), at_us(0))
    index.extend(before, postings, after)
    return after


class IndexSuite:
    """Inherit and give the fixture `open_again`: each call opens the same index anew, made for `KEY`."""

    @pytest.fixture
    def index(self, open_again: Callable[[], Index]) -> Index:
        return open_again()

    def test_begins_with_nothing_of_its_ledger(self, index: Index) -> None:
        assert index.cursor() == Cursor(KEY)
        assert index.find(["aa"], ALL, MANY) == []

    def test_finds_entries_that_have_every_term_newest_first(self, index: Index) -> None:
        extend(index, [posting(0, "aa", "bb"), posting(1, "aa"), posting(2, "bb"), posting(3, "bb", "aa", "cc")])
        assert index.find(["aa"], ALL, MANY) == [3, 1, 0]
        assert index.find(["aa", "bb"], ALL, MANY) == [3, 0]
        assert index.find(["aa", "dd"], ALL, MANY) == []

    def test_gives_no_more_than_asked_for_and_goes_on_below(self, index: Index) -> None:
        extend(index, [posting(number, "aa") for number in range(600)])
        assert index.find(["aa"], ALL, 3) == [599, 598, 597]
        assert index.find(["aa"], Span(below=597), 2) == [596, 595]
        assert index.find(["aa"], Span(below=0), 2) == []

    def test_counts_as_far_as_asked_for(self, index: Index) -> None:
        extend(index, [posting(number, "aa") for number in range(10)])
        assert (index.count(["aa"], ALL, MANY), index.count(["aa"], ALL, 4), index.count(["bb"], ALL, 4)) == (10, 4, 0)

    def test_leaves_out_nothing_inside_a_time(self, index: Index) -> None:
        extend(index, [posting(number, "aa", minutes=number) for number in range(1024)])
        found = index.find(["aa"], Span(at_us(300), at_us(301)), MANY)
        assert 300 in found
        assert len(found) <= 256
        assert index.find(["aa"], Span(at_us(2000), None), MANY) == []
        assert index.find(["aa"], Span(None, at_us(0)), MANY) == []

    def test_leaves_out_nothing_where_clocks_went_back(self, index: Index) -> None:
        extend(index, [posting(0, "aa", minutes=50), *(posting(number, "aa", minutes=9) for number in range(1, 600))])
        extend(index, [posting(600, "aa", minutes=1), posting(601, "aa", minutes=None)])
        assert index.find(["aa"], Span(at_us(40), None), MANY)[-1] == 0
        assert 600 in index.find(["aa"], Span(None, at_us(5)), MANY)

    def test_tells_the_outcomes_of_an_operation_in_order(self, index: Index) -> None:
        extend(index, [posting(0, "aa"), posting(1, outcome_of=7), posting(2, outcome_of=8), posting(3, outcome_of=7)])
        assert (index.outcomes_of(7, MANY), index.outcomes_of(7, 1), index.outcomes_of(9, MANY)) == ([1, 3], [3], [])

    def test_takes_up_all_or_nothing(self, index: Index) -> None:
        after = extend(index, [posting(0, "aa")])
        with pytest.raises(IndexFault):
            index.extend(Cursor(KEY), [posting(0, "bb")], Cursor(KEY, 1))
        assert index.cursor() == after
        assert index.find(["bb"], ALL, MANY) == []

    def test_shows_what_another_process_took_up(self, index: Index, open_again: Callable[[], Index]) -> None:
        other = open_again()
        after = extend(index, [posting(0, "aa")])
        assert other.cursor() == after
        assert other.find(["aa"], ALL, MANY) == [0]

    def test_says_what_it_takes(self, index: Index) -> None:
        before = index.size_bytes()
        extend(index, [posting(number, f"{number:012x}") for number in range(5000)])
        assert index.size_bytes() > before > 0
