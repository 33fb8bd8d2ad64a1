# SPDX-License-Identifier: Apache-2.0
"""People, agents, their keys and the targets, as a caller may see them: readers all, others what is theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gatebook.config import Settings, TargetSettings
from gatebook.control.caller import Caller
from gatebook.model.credential import KeyRecord, Person
from gatebook.model.principal import Subject
from gatebook.store.base import Store


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A person with the public keys that are theirs now: kind and fingerprint."""

    person: Person
    keys: tuple[tuple[str, str], ...]


def list_people(store: Store) -> list[KnownPerson]:
    """Return everybody whom the gate itself knows."""
    keys: dict[Subject, list[tuple[str, str]]] = {}
    for key in store.list_signing_keys():
        if key.removed_at is None:
            keys.setdefault(key.person, []).append((key.kind, key.fingerprint))
    return [KnownPerson(person, tuple(keys.get(person.subject, ()))) for person in store.list_people()]


def list_keys(store: Store, caller: Caller) -> list[KeyRecord]:
    """Return API keys, newest first: a person's of their own agents, an agent's its own, a reader's all."""
    principal = caller.principal
    return [
        key
        for key in reversed(store.list_keys())
        if caller.reads_all or (principal is not None and principal.subject in {key.owner, key.agent})
    ]


def state_of(key: KeyRecord, at: datetime) -> str:
    """Return whether a key is good at a moment, or why not."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if at >= key.expires_at else "good"


def list_targets(settings: Settings, caller: Caller) -> list[TargetSettings]:
    """Return the targets: to an agent those with a role for its groups, to people all."""
    principal = caller.principal
    if principal is None or caller.is_any("person"):
        return list(settings.targets)
    groups = set(principal.groups)
    return [target for target in settings.targets if any(groups.intersection(role.groups) for role in target.roles)]
