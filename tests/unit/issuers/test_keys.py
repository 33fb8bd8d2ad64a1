# SPDX-License-Identifier: Apache-2.0
"""Keys of issuers over time: rotation, an issuer that is gone, tokens that name keys nobody has, spent tokens."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from support.tokens import ISSUER, SigningKey, jwks

from gatebook.config import IssuerSettings
from gatebook.evidence.builders import Stamp
from gatebook.identity.token import Hint
from gatebook.issuers import keys
from gatebook.issuers.fetch import FetchFault, KeyPlace
from gatebook.issuers.keys import KeysMissed, KeysRead, TokenKeys, describe

OLD, NEW = SigningKey.make("old"), SigningKey.make("new")
START = datetime(2026, 11, 24, 12, 0, 0, 500_000, tzinfo=UTC)
SETTINGS = IssuerSettings(name="idp", url=ISSUER, kind="agent", audience=("gatebook",), refresh_s=600, keep_keys_s=3600)


@dataclass
class World:
    """An issuer that can be told what to show, and a clock that can be set."""

    shown: bytes = field(default_factory=lambda: jwks(OLD))
    reachable: bool = True
    fetched: int = 0
    passed_s: float = 0.0
    reports: list[KeysRead | KeysMissed] = field(default_factory=list)

    async def fetch(self, place: KeyPlace) -> bytes:
        assert place.issuer == ISSUER
        self.fetched += 1
        await asyncio.sleep(0)
        if not self.reachable:
            raise FetchFault("`https://issuer.example` cannot be fetched: gone")
        return self.shown

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def book(self) -> TokenKeys:
        made = TokenKeys(self.fetch, lambda: self.passed_s, self.now, self.reports.append)
        made.replace([SETTINGS])
        return made


@pytest.fixture
def world() -> World:
    return World()


def has(book: TokenKeys, key_id: str) -> bool:
    return book.find_issuer_key(ISSUER, key_id) is not None


@pytest.mark.asyncio
async def test_reads_the_keys_in_the_background_and_again_when_they_are_due(world: World) -> None:
    book = world.book()
    assert not has(book, "old")
    await book.refresh()
    await book.refresh()
    assert has(book, "old")
    assert world.fetched == 1
    world.passed_s = 600
    await book.refresh()
    assert world.fetched == 2
    assert world.reports == [KeysRead(ISSUER, ("old",), ("old",), ())]


@pytest.mark.asyncio
async def test_a_key_that_is_not_known_is_looked_for_at_once_and_the_rotation_reported(world: World) -> None:
    book = world.book()
    await book.refresh()
    world.shown, world.passed_s = jwks(OLD, NEW), 30
    await book.prepare(Hint(ISSUER, "new"))
    assert has(book, "new")
    assert world.reports[-1] == KeysRead(ISSUER, ("new", "old"), ("new",), ())


@pytest.mark.asyncio
async def test_a_key_that_is_taken_away_serves_no_longer_than_the_next_reading(world: World) -> None:
    book = world.book()
    await book.refresh()
    world.shown, world.passed_s = jwks(NEW), 600
    await book.refresh()
    assert not has(book, "old")
    assert world.reports[-1] == KeysRead(ISSUER, ("new",), ("new",), ("old",))


@pytest.mark.asyncio
async def test_another_key_under_an_old_name_is_reported(world: World) -> None:
    book = world.book()
    await book.refresh()
    world.shown, world.passed_s = jwks(SigningKey.make("old")), 600
    await book.refresh()
    assert world.reports[-1] == KeysRead(ISSUER, ("old",), ("old",), ("old",))


@pytest.mark.asyncio
async def test_tokens_that_name_made_up_keys_cause_one_reading_in_fifteen_seconds(world: World) -> None:
    book = world.book()
    await book.refresh()
    for second in range(16, 46):
        world.passed_s = second
        await asyncio.gather(*(book.prepare(Hint(ISSUER, f"made-up-{second}-{n}")) for n in range(10)))
    assert world.fetched == 3  # at the start, in second 16 and in second 31


@pytest.mark.asyncio
async def test_a_token_of_an_unknown_issuer_causes_none(world: World) -> None:
    book = world.book()
    await book.prepare(Hint("https://evil.example", "k"))
    assert world.fetched == 0


@pytest.mark.asyncio
async def test_the_last_good_keys_serve_for_a_bounded_time_while_the_issuer_is_gone(world: World) -> None:
    book = world.book()
    await book.refresh()
    world.reachable, world.passed_s = False, 600
    await book.refresh()
    assert has(book, "old")
    world.passed_s = 600 + 3600
    await book.refresh()
    assert has(book, "old")
    world.passed_s += 1
    assert not has(book, "old")
    assert [type(report) for report in world.reports] == [KeysRead, KeysMissed]


@pytest.mark.asyncio
async def test_an_issuer_that_comes_back_is_read_within_fifteen_seconds(world: World) -> None:
    world.reachable = False
    book = world.book()
    await book.refresh()
    world.reachable, world.passed_s = True, 14
    await book.refresh()
    assert not has(book, "old")
    world.passed_s = 15
    await book.refresh()
    assert has(book, "old")


@pytest.mark.asyncio
async def test_a_document_that_is_no_set_of_keys_leaves_the_last_good_ones(world: World) -> None:
    book = world.book()
    await book.refresh()
    world.shown, world.passed_s = b"<html>", 600
    await book.refresh()
    assert has(book, "old")
    assert isinstance(world.reports[-1], KeysMissed)


@pytest.mark.asyncio
async def test_keys_and_spent_tokens_survive_a_new_configuration_where_the_issuer_is_the_same(world: World) -> None:
    book = world.book()
    await book.refresh()
    later = START + timedelta(hours=1)
    assert book.spend(ISSUER, "t", START, later)
    book.replace([SETTINGS])
    assert has(book, "old")
    book.replace([replace(SETTINGS, audience=("another",))])
    assert not has(book, "old")
    assert not book.spend(ISSUER, "t", START, later)
    book.replace([])
    assert book.find_issuer(ISSUER) is None


def test_a_token_is_spent_once_per_issuer(world: World) -> None:
    book, later = world.book(), START + timedelta(hours=1)
    assert book.spend(ISSUER, "t", START, later)
    assert not book.spend(ISSUER, "t", START, later)
    assert book.spend("https://other", "t", START, later)


def test_a_token_from_before_the_start_may_have_been_spent_already(world: World) -> None:
    book, later = world.book(), START + timedelta(hours=1)
    assert not book.spend(ISSUER, "t", START - timedelta(seconds=1), later)
    assert book.spend(ISSUER, "t", START.replace(microsecond=0), later)


def test_a_full_memory_of_spent_tokens_refuses_until_some_have_run_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "SPENT", 2)
    book = world.book()
    assert book.spend(ISSUER, "a", START, START + timedelta(seconds=10))
    assert book.spend(ISSUER, "b", START, START + timedelta(seconds=20))
    assert not book.spend(ISSUER, "c", START, START + timedelta(seconds=30))
    world.passed_s = 11
    assert book.spend(ISSUER, "c", START, START + timedelta(seconds=30))
    assert not book.spend(ISSUER, "b", START, START + timedelta(seconds=20))


def test_reports_become_entries() -> None:
    stamp = Stamp("gate", START)
    read = json.loads(describe(stamp, KeysRead(ISSUER, ("a", "b"), ("b",), ("c",))))
    assert (read["event"], read["issuer"], read["keys"]) == ("issuer.keys", ISSUER, ["a", "b"])
    assert (read["added"], read["removed"]) == (["b"], ["c"])
    missed = json.loads(describe(stamp, KeysMissed(ISSUER, "gone")))
    assert missed["event"] == "failure"
    assert missed["what"] == f"keys of issuer {ISSUER} cannot be read: gone"
