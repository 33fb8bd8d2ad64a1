# SPDX-License-Identifier: Apache-2.0
"""What a client wants done: statements and the accesses inside them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ObjectKind(StrEnum):
    """Kinds of resources; the values are the Cedar entity types."""

    TARGET = "Target"
    DATABASE = "Database"
    SCHEMA = "Schema"
    RELATION = "Relation"
    COLUMN = "Column"
    FUNCTION = "Function"
    OPERATOR = "Operator"
    TYPE = "Type"
    SETTING = "Setting"
    ROLE = "Role"
    CHANNEL = "Channel"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, order=True)
class ObjectRef:
    """A resource by its path below the target.

    `path` starts with the target, then the database, then what the kind needs: schema; schema and relation; schema,
    relation and column; schema and function; setting name; role name (no database: roles belong to the
    target); channel name; nothing more for `Unknown` but the name as written.
    """

    kind: ObjectKind
    path: tuple[str, ...]

    def __str__(self) -> str:
        """Show as the entity id used in policies: parts joined by dots, dots and backslashes escaped."""
        return ".".join(part.replace("\\", "\\\\").replace(".", "\\.") for part in self.path)


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """One (action, object) pair inside an operation."""

    action: str
    object: ObjectRef


class EffectKind(StrEnum):
    """What a statement changes in its session once the server confirms it."""

    PREPARE = "prepare"
    DEALLOCATE = "deallocate"
    DEALLOCATE_ALL = "deallocate_all"
    FACTS_STALE = "facts_stale"
    CATALOGUE_CHANGED = "catalogue_changed"


@dataclass(frozen=True, slots=True)
class Effect:
    """A confirmed change of the session; `name` for PREPARE and DEALLOCATE."""

    kind: EffectKind
    name: str = ""


class CacheScope(StrEnum):
    """Whom a verdict on this statement may serve beside its own ticket."""

    NONE = "none"
    EXACT = "exact"
    SHAPE = "shape"


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as the gate understands it.

    `opaque` is the reason why it is not understood, or empty; an opaque statement has the access `opaque` on its
    database beside whatever else was found. `context` holds protocol facts for policies (Cedar record
    members: bool, int or str). `cacheable` is the widest scope its meaning allows; `shape` its literal-free text.
    `blots` are byte ranges of password literals in the whole message text. `whole` says that it stands for its message,
    of which nobody could tell how many statements it holds; `unseen` that it brings data that follow later.
    """

    verb: str
    accesses: tuple[Access, ...]
    privileged: bool
    opaque: str = ""
    context: tuple[tuple[str, bool | int | str], ...] = ()
    effects: tuple[Effect, ...] = ()
    cacheable: CacheScope = CacheScope.NONE
    shape: str = ""
    blots: tuple[tuple[int, int], ...] = ()
    whole: bool = False
    unseen: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One client message to be decided: all its statements are judged before any is sent."""

    via: str
    statements: tuple[Statement, ...]
