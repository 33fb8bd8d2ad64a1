# SPDX-License-Identifier: Apache-2.0
"""API keys in SQLite."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime

from gatebook.model.credential import KeyRecord
from gatebook.model.errors import quoted
from gatebook.model.ids import KeyId
from gatebook.model.principal import Subject
from gatebook.store.base import StoreFault
from gatebook.store.sqlite_file import micros, micros_or_none, moment, moment_or_none
from gatebook.store.sqlite_people import SqlitePeople

_KEY = (
    "id, sha256, agent_issuer, agent_subject, owner_issuer, owner_subject, groups, created_us, expires_us, revoked_us"
)


class SqliteKeys(SqlitePeople):
    """`KeyRing`, whose keys are owned by people."""

    def add_key(self, record: KeyRecord) -> None:
        """See `KeyRing`."""
        row = (
            record.id,
            record.sha256,
            record.agent.issuer,
            record.agent.subject,
            record.owner.issuer,
            record.owner.subject,
            json.dumps(record.groups),
            micros(record.created_at),
            micros(record.expires_at),
            micros_or_none(record.revoked_at),
        )
        with self._change() as change:
            owner = self.find_person(record.owner)
            if owner is None or owner.disabled_at is not None:
                message = f"no person {quoted(record.owner.subject)} to own a key"
                raise StoreFault(message, "add the person with `gatebook person add`, or name another owner")
            try:
                change.execute(f"INSERT INTO api_key ({_KEY}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608  column list is ours
            except sqlite3.IntegrityError as fault:
                message = f"key {quoted(record.id)} is there already"
                raise StoreFault(message) from fault

    def find_key(self, sha256: bytes) -> KeyRecord | None:
        """See `KeyRing`."""
        row = self._connection.execute(f"SELECT {_KEY} FROM api_key WHERE sha256 = ?", (sha256,)).fetchone()  # noqa: S608  column list is ours
        return None if row is None else _key(row)

    def list_keys(self) -> tuple[KeyRecord, ...]:
        """See `KeyRing`."""
        rows = self._connection.execute(f"SELECT {_KEY} FROM api_key ORDER BY created_us, id")  # noqa: S608  column list is ours
        return tuple(_key(row) for row in rows)

    def revoke_key(self, key: KeyId, at: datetime) -> KeyRecord:
        """See `KeyRing`."""
        with self._change() as change:
            change.execute("UPDATE api_key SET revoked_us = ? WHERE id = ? AND revoked_us IS NULL", (micros(at), key))
        row = self._connection.execute(f"SELECT {_KEY} FROM api_key WHERE id = ?", (key,)).fetchone()  # noqa: S608  column list is ours
        if row is None:
            message = f"no key {quoted(key)}"
            raise StoreFault(message, "list them with `gatebook key list`")
        return _key(row)


def _key(row: tuple[str, bytes, str, str, str, str, str, int, int, int | None]) -> KeyRecord:
    key, sha256, agent_issuer, agent, owner_issuer, owner, groups, created_us, expires_us, revoked_us = row
    return KeyRecord(
        id=KeyId(key),
        sha256=sha256,
        agent=Subject(agent_issuer, agent),
        owner=Subject(owner_issuer, owner),
        groups=tuple(json.loads(groups)),
        created_at=moment(created_us),
        expires_at=moment(expires_us),
        revoked_at=moment_or_none(revoked_us),
    )
