# SPDX-License-Identifier: Apache-2.0
"""The shared suite: what every store must do, whatever keeps it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from gatebook.model.credential import KeyRecord, Person
from gatebook.model.ids import KeyId
from gatebook.model.principal import Subject
from gatebook.store.base import Store, StoreFault

NOW = datetime(2026, 1, 1, 12, 30, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ALICE = Person(Subject("gatebook:gate", "alice"), admin=True, created_at=NOW)
BOB = Person(Subject("gatebook:gate", "bob"), admin=False, created_at=NOW)


def key(number: int, owner: Subject = ALICE.subject) -> KeyRecord:
    """Return a record that differs from every other by its number."""
    return KeyRecord(
        id=KeyId(f"{number:012x}"),
        sha256=number.to_bytes(32, "big"),
        agent=Subject("gatebook:gate", f"agent-{number}"),
        owner=owner,
        groups=("etl", "shop-agents"),
        created_at=NOW + timedelta(seconds=number),
        expires_at=NOW + timedelta(days=1),
    )


class StoreSuite:
    """Inherit and give the fixture `open_again`: each call opens the same store anew."""

    @pytest.fixture
    def store(self, open_again: Callable[[], Store]) -> Store:
        opened = open_again()
        opened.add_person(ALICE)
        return opened

    def test_returns_a_key_as_it_was_kept(self, store: Store) -> None:
        store.add_key(key(1))
        assert store.find_key(key(1).sha256) == key(1)

    def test_finds_nothing_under_an_unknown_hash(self, store: Store) -> None:
        assert store.find_key(b"\x00" * 32) is None

    def test_shows_a_change_to_another_process(self, store: Store, open_again: Callable[[], Store]) -> None:
        other = open_again()
        before = other.generation()
        store.add_key(key(1))
        assert other.generation() > before
        assert other.find_key(key(1).sha256) == key(1)

    def test_lists_keys_oldest_first(self, store: Store) -> None:
        store.add_key(key(2))
        store.add_key(key(1))
        assert store.list_keys() == (key(1), key(2))

    def test_keeps_the_first_moment_of_revocation(self, store: Store) -> None:
        store.add_key(key(1))
        assert store.revoke_key(key(1).id, NOW).revoked_at == NOW
        assert store.revoke_key(key(1).id, LATER).revoked_at == NOW

    def test_revokes_one_key_only(self, store: Store) -> None:
        store.add_key(key(1))
        store.add_key(key(2))
        store.revoke_key(key(1).id, NOW)
        assert [found.revoked_at for found in store.list_keys()] == [NOW, None]

    def test_refuses_to_revoke_an_unknown_key(self, store: Store) -> None:
        with pytest.raises(StoreFault, match="no key `ffff`"):
            store.revoke_key(KeyId("ffff"), NOW)

    def test_refuses_the_same_key_twice_and_stays_usable(self, store: Store) -> None:
        store.add_key(key(1))
        with pytest.raises(StoreFault, match="is there already"):
            store.add_key(key(1))
        store.add_key(key(2))
        assert len(store.list_keys()) == 2

    def test_refuses_a_key_without_a_known_owner(self, store: Store) -> None:
        with pytest.raises(StoreFault, match="no person `bob` to own a key"):
            store.add_key(key(1, BOB.subject))
        assert store.list_keys() == ()

    def test_refuses_a_key_for_a_disabled_owner(self, store: Store) -> None:
        store.disable_person(ALICE.subject, NOW)
        with pytest.raises(StoreFault, match="no person `alice` to own a key"):
            store.add_key(key(1))

    def test_lists_people_by_subject(self, store: Store) -> None:
        store.add_person(BOB)
        assert store.list_people() == (ALICE, BOB)

    def test_refuses_the_same_person_twice(self, store: Store) -> None:
        with pytest.raises(StoreFault, match="person `alice` is there already"):
            store.add_person(ALICE)

    def test_does_not_take_one_issuer_for_another(self, store: Store) -> None:
        assert store.find_person(Subject("https://elsewhere", "alice")) is None

    def test_disables_a_person_for_good(self, store: Store) -> None:
        store.disable_person(ALICE.subject, NOW)
        assert store.disable_person(ALICE.subject, LATER).disabled_at == NOW
        found = store.find_person(ALICE.subject)
        assert found is not None
        assert found.disabled_at == NOW

    def test_refuses_to_disable_an_unknown_person(self, store: Store) -> None:
        with pytest.raises(StoreFault, match="no person `bob`"):
            store.disable_person(BOB.subject, NOW)

    def test_counts_each_change_and_no_reading(self, store: Store) -> None:
        store.add_key(key(1))
        before = store.generation()
        store.list_keys()
        store.find_person(ALICE.subject)
        assert store.generation() == before
        store.revoke_key(key(1).id, NOW)
        assert store.generation() > before
