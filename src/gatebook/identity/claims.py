# SPDX-License-Identifier: Apache-2.0
"""What the claims of a token say, read strictly: moments, groups, the chain of actors, values that must be there.

Source: RFC 7519 section 4.1 (registered claims), RFC 8693 section 4.1 (`act`). Each reader raises ClaimFault for a
claim that is not of its form; what is absent is told apart from what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from gatebook.identity.jose import Json
from gatebook.model.principal import Subject

ACTORS: Final = 5  # LIMIT: depth of delegation; a deeper chain is refused, never cut
GROUPS: Final = 200  # LIMIT: groups of one token; Entra ID leaves them out above this number
GROUPS_BYTES: Final = 8192  # LIMIT: all groups together; they stand in every entry of a session
NAME_CHARACTERS: Final = 255  # OpenID Connect Core section 2: `sub`

Claims = Mapping[str, Json]


class ClaimFault(ValueError):
    """A claim is not of its form."""


def read_moment(claims: Claims, name: str) -> datetime | None:
    """Return a NumericDate; None if it is absent."""
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 37:
        raise ClaimFault(name)
    return datetime.fromtimestamp(value, UTC)


def read_name(claims: Claims, name: str) -> str | None:
    """Return a name such as `sub`; None if it is absent."""
    if name not in claims:
        return None
    value = claims[name]
    if not isinstance(value, str) or not _is_name(value):
        raise ClaimFault(name)
    return value


def read_texts(value: Json) -> tuple[str, ...]:
    """Return a string, or the strings of an array, as `aud` and lists of groups come."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise ClaimFault
    return tuple(str(item) for item in value)


def read_groups(claims: Claims, path: tuple[str, ...]) -> tuple[str, ...]:
    """Return the groups at a path of names; none if nothing is there. ClaimFault also if they are too many."""
    value: Json = claims
    for name in path:
        if not isinstance(value, Mapping):
            raise ClaimFault
        if name not in value:
            return ()
        value = value[name]
    groups = read_texts(value)
    if len(groups) > GROUPS or sum(len(group.encode()) for group in groups) > GROUPS_BYTES:
        raise ClaimFault
    if not all(_is_name(group) for group in groups):
        raise ClaimFault
    return groups


def read_actors(claims: Claims, issuer: str) -> tuple[Subject, ...]:
    """Return the chain of actors, outermost first. An actor without `iss` is one of the token's own issuer."""
    actors: list[Subject] = []
    holder: Claims = claims
    while "act" in holder:
        actor = holder["act"]
        if not isinstance(actor, Mapping) or len(actors) == ACTORS:
            raise ClaimFault("act")
        subject = read_name(actor, "sub")
        named = read_name(actor, "iss")
        if subject is None or "|" in (named or ""):
            raise ClaimFault("act")  # `issuer|subject` must have one reading
        actors.append(Subject(issuer if named is None else named, subject))
        holder = actor
    return tuple(actors)


def has_value(claims: Claims, name: str, wanted: str) -> bool:
    """Whether a claim is this string, or an array that holds it."""
    try:
        return wanted in read_texts(claims.get(name))
    except ClaimFault:
        return False


def _is_name(text: str) -> bool:
    return 0 < len(text) <= NAME_CHARACTERS and text.isprintable()
