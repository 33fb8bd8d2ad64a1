# SPDX-License-Identifier: Apache-2.0
"""API keys in SQLite: as columns keep them. What every store must do is in the shared suite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from support.store_suite import ALICE, NOW, key

from gatebook.model.ids import KeyId
from gatebook.store.base import StoreFault
from gatebook.store.sqlite import SqliteStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with closing(open_store(tmp_path / "gatebook.db")) as opened:
        opened.add_person(ALICE)
        yield opened


def test_a_key_comes_back_whole(store: SqliteStore) -> None:
    whole = replace(key(1), groups=("a,b", 'quo"ted', "é"), revoked_at=NOW)
    store.add_key(whole)
    assert store.find_key(whole.sha256) == whole
    assert store.list_keys() == (whole,)
    assert store.find_key(bytes(32)) is None


def test_keys_of_one_moment_are_ordered_by_id(store: SqliteStore) -> None:
    for number in (2, 1):
        store.add_key(replace(key(number), created_at=NOW))
    assert [one.id for one in store.list_keys()] == [key(1).id, key(2).id]


def test_id_and_hash_are_there_once(store: SqliteStore) -> None:
    store.add_key(key(1))
    for same in (replace(key(2), sha256=key(1).sha256), replace(key(2), id=key(1).id)):
        with pytest.raises(StoreFault, match="is there already"):
            store.add_key(same)
    assert store.list_keys() == (key(1),)


def test_an_owner_has_to_be_there_and_not_disabled(store: SqliteStore) -> None:
    with pytest.raises(StoreFault, match="no person `bob` to own a key"):
        store.add_key(replace(key(1), owner=replace(ALICE.subject, subject="bob")))
    store.disable_person(ALICE.subject, NOW)
    with pytest.raises(StoreFault, match="no person `alice` to own a key"):
        store.add_key(key(1))


def test_revokes_and_tells_what_is_not_there(store: SqliteStore) -> None:
    store.add_key(key(1))
    assert store.revoke_key(key(1).id, NOW).revoked_at == NOW
    with pytest.raises(StoreFault, match="no key `x`"):
        store.revoke_key(KeyId("x"), NOW)
