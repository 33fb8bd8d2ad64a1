# SPDX-License-Identifier: Apache-2.0
"""Records of keys and people are values."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

import pytest

from gatebook.model.credential import KeyRecord, Person
from gatebook.model.ids import KeyId
from gatebook.model.principal import Subject

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ALICE = Subject("gatebook:gate", "alice")


def test_records_cannot_be_changed_in_place() -> None:
    key = KeyRecord(KeyId("0"), b"", ALICE, ALICE, (), NOW, NOW)
    with pytest.raises(dataclasses.FrozenInstanceError):
        key.revoked_at = NOW  # type: ignore[misc]  # what the test is about
    assert key.revoked_at is None


def test_people_are_no_admins_and_not_disabled_unless_said() -> None:
    person = Person(ALICE, admin=False, created_at=NOW)
    assert person.disabled_at is None
