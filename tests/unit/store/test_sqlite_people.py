# SPDX-License-Identifier: Apache-2.0
"""People and the keys they sign with in SQLite: the shared suite on them alone, and their groups as rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.store_suite import ALICE, BOB, LATER, NOW, StoreSuite, signing_key

from gatebook.model.credential import Membership
from gatebook.store.base import Store, StoreFault
from gatebook.store.sqlite import SqliteStore, open_store


class TestSqlitePeople(StoreSuite):
    """The shared suite on a file that was closed and opened before each look."""

    @pytest.fixture
    def open_again(self, tmp_path: Path) -> Iterator[Callable[[], Store]]:
        opened: list[SqliteStore] = []

        def open_again() -> Store:
            open_store(tmp_path / "gatebook.db").close()
            opened.append(open_store(tmp_path / "gatebook.db"))
            return opened[-1]

        yield open_again
        for store in opened:
            store.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path / "gatebook.db")
    opened.add_person(ALICE)
    yield opened
    opened.close()


def test_a_person_who_is_there_already_gets_no_groups(store: SqliteStore) -> None:
    with pytest.raises(StoreFault, match="person `alice` is there already"):
        store.add_person(replace(ALICE, groups=(Membership("dba", NOW),)))
    assert store.list_people() == (ALICE,)


def test_groups_of_others_stay_as_they_are(store: SqliteStore) -> None:
    store.add_person(replace(BOB, groups=(Membership("dba", NOW),)))
    store.set_groups(ALICE.subject, ["dba"], LATER)
    store.set_groups(ALICE.subject, [], LATER)
    found = store.find_person(BOB.subject)
    assert found is not None
    assert found.groups == (Membership("dba", NOW),)


def test_who_is_disabled_keeps_what_the_book_has_of_them(store: SqliteStore) -> None:
    store.set_groups(ALICE.subject, ["dba"], NOW)
    store.add_signing_key(signing_key(1))
    disabled = store.disable_person(ALICE.subject, LATER)
    assert (disabled.disabled_at, disabled.groups) == (LATER, (Membership("dba", NOW),))
    assert store.list_signing_keys() == (signing_key(1),)
