# SPDX-License-Identifier: Apache-2.0
"""What the gate keeps of people, of the keys they sign with, and of the API keys they own: never a secret."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gatebook.model.ids import KeyId
from gatebook.model.principal import Subject


@dataclass(frozen=True, slots=True, order=True)
class Membership:
    """A person is in a group since that moment (aware UTC): who came later does not vote on what was asked before."""

    group: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """A human being known to the gate, who may own agents' keys.

    `disabled_at` (aware UTC) is set once the person has left; every key owned by them is dead from then on. `human` is
    equal for all accounts of one human being, empty where there is but one.
    """

    subject: Subject
    admin: bool
    created_at: datetime
    disabled_at: datetime | None = None
    human: str = ""
    groups: tuple[Membership, ...] = ()


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key with which a person signs votes: an OpenSSH key or a passkey.

    `text` is as in the entry that made it theirs (docs/spec/entry.md); `kind` its first word. Times are aware UTC.
    """

    fingerprint: str
    kind: str
    text: str
    person: Subject
    added_at: datetime
    removed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key as stored. All times are aware UTC.

    `id` is public and names the key in evidence; `sha256` is the hash of the whole token (32 bytes).
    """

    id: KeyId
    sha256: bytes
    agent: Subject
    owner: Subject
    groups: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
