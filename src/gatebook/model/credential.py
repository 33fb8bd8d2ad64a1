# SPDX-License-Identifier: Apache-2.0
"""What the gate keeps of people and of the API keys they own: never a secret, only its hash."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gatebook.model.ids import KeyId
from gatebook.model.principal import Subject


@dataclass(frozen=True, slots=True)
class Person:
    """A human being known to the gate, who may own agents' keys.

    `disabled_at` (aware UTC) is set once the person has left; every key owned by them is dead from then on.
    """

    subject: Subject
    admin: bool
    created_at: datetime
    disabled_at: datetime | None = None


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
