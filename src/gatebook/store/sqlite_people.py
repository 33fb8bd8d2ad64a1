# SPDX-License-Identifier: Apache-2.0
"""People, and the keys they sign with, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from gatebook.model.credential import Membership, Person, SigningKey
from gatebook.model.errors import quoted
from gatebook.model.principal import Subject
from gatebook.store.base import StoreFault
from gatebook.store.sqlite_file import SqliteFile, micros, micros_or_none, moment, moment_or_none

_PERSON = "issuer, subject, admin, created_us, disabled_us, human"
_SIGNING = "fingerprint, kind, text, issuer, subject, added_us, removed_us"


class SqlitePeople(SqliteFile):
    """`Directory` and `SigningKeys`."""

    def add_person(self, person: Person) -> None:
        """See `Directory`."""
        row = (
            person.subject.issuer,
            person.subject.subject,
            int(person.admin),
            micros(person.created_at),
            micros_or_none(person.disabled_at),
            person.human,
        )
        with self._change() as change:
            if self.find_person(person.subject) is not None:
                message = f"person {quoted(person.subject.subject)} is there already"
                raise StoreFault(message)
            change.execute(f"INSERT INTO person ({_PERSON}) VALUES (?, ?, ?, ?, ?, ?)", row)  # noqa: S608  column list is ours
            _join(change, person.subject, person.groups)

    def find_person(self, subject: Subject) -> Person | None:
        """See `Directory`."""
        row = self._connection.execute(
            f"SELECT {_PERSON} FROM person WHERE issuer = ? AND subject = ?",  # noqa: S608  column list is ours
            (subject.issuer, subject.subject),
        ).fetchone()
        return None if row is None else _person(row, self._memberships(subject))

    def list_people(self) -> tuple[Person, ...]:
        """See `Directory`."""
        rows = self._connection.execute(f"SELECT {_PERSON} FROM person ORDER BY issuer, subject")  # noqa: S608  column list is ours
        return tuple(_person(row, self._memberships(Subject(row[0], row[1]))) for row in rows.fetchall())

    def disable_person(self, subject: Subject, at: datetime) -> Person:
        """See `Directory`."""
        with self._change() as change:
            change.execute(
                "UPDATE person SET disabled_us = ? WHERE issuer = ? AND subject = ? AND disabled_us IS NULL",
                (micros(at), subject.issuer, subject.subject),
            )
        person = self.find_person(subject)
        if person is None:
            message = f"no person {quoted(subject.subject)}"
            raise StoreFault(message, "list them with `gatebook person list`")
        return person

    def set_groups(self, subject: Subject, groups: Iterable[str], at: datetime) -> Person:
        """See `Directory`."""
        wanted = frozenset(groups)
        with self._change() as change:
            person = self.find_person(subject)
            if person is None:
                message = f"no person {quoted(subject.subject)}"
                raise StoreFault(message, "list them with `gatebook person list`")
            stays = [membership for membership in person.groups if membership.group in wanted]
            comes = wanted - {membership.group for membership in stays}
            change.execute("DELETE FROM membership WHERE issuer = ? AND subject = ?", (subject.issuer, subject.subject))
            _join(change, subject, [*stays, *(Membership(name, at) for name in comes)])
        found = self.find_person(subject)
        assert found is not None
        return found

    def add_signing_key(self, key: SigningKey) -> None:
        """See `SigningKeys`."""
        row = (
            key.fingerprint,
            key.kind,
            key.text,
            key.person.issuer,
            key.person.subject,
            micros(key.added_at),
            micros_or_none(key.removed_at),
        )
        with self._change() as change:
            person = self.find_person(key.person)
            if person is None or person.disabled_at is not None:
                message = f"no person {quoted(key.person.subject)} to have a key"
                raise StoreFault(message, "list them with `gatebook person list`")
            try:
                change.execute(f"INSERT INTO signing_key ({_SIGNING}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608  column list is ours
            except sqlite3.IntegrityError as fault:
                message = "the key is, or was, somebody's already"
                raise StoreFault(message, "see `gatebook person key list`") from fault

    def list_signing_keys(self) -> tuple[SigningKey, ...]:
        """See `SigningKeys`."""
        rows = self._connection.execute(f"SELECT {_SIGNING} FROM signing_key ORDER BY added_us, fingerprint")  # noqa: S608  column list is ours
        return tuple(_signing_key(row) for row in rows)

    def remove_signing_key(self, fingerprint: str, at: datetime) -> SigningKey:
        """See `SigningKeys`."""
        with self._change() as change:
            change.execute(
                "UPDATE signing_key SET removed_us = ? WHERE fingerprint = ? AND removed_us IS NULL",
                (micros(at), fingerprint),
            )
        row = self._connection.execute(
            f"SELECT {_SIGNING} FROM signing_key WHERE fingerprint = ?",  # noqa: S608  column list is ours
            (fingerprint,),
        ).fetchone()
        if row is None:
            message = f"no key {quoted(fingerprint)}"
            raise StoreFault(message, "see `gatebook person key list`")
        return _signing_key(row)

    def _memberships(self, subject: Subject) -> tuple[Membership, ...]:
        rows = self._connection.execute(
            "SELECT name, since_us FROM membership WHERE issuer = ? AND subject = ? ORDER BY name",
            (subject.issuer, subject.subject),
        )
        return tuple(Membership(name, moment(since_us)) for name, since_us in rows)


def _join(change: sqlite3.Connection, subject: Subject, groups: Iterable[Membership]) -> None:
    change.executemany(
        "INSERT INTO membership (issuer, subject, name, since_us) VALUES (?, ?, ?, ?)",
        [(subject.issuer, subject.subject, membership.group, micros(membership.since)) for membership in groups],
    )


def _person(row: tuple[str, str, int, int, int | None, str], groups: tuple[Membership, ...]) -> Person:
    issuer, subject, admin, created_us, disabled_us, human = row
    since, until = moment(created_us), moment_or_none(disabled_us)
    return Person(Subject(issuer, subject), bool(admin), since, until, human, groups)


def _signing_key(row: tuple[str, str, str, str, str, int, int | None]) -> SigningKey:
    fingerprint, kind, text, issuer, subject, added_us, removed_us = row
    return SigningKey(
        fingerprint=fingerprint,
        kind=kind,
        text=text,
        person=Subject(issuer, subject),
        added_at=moment(added_us),
        removed_at=moment_or_none(removed_us),
    )
