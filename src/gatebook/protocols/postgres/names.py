# SPDX-License-Identifier: Apache-2.0
"""What a name in a statement can mean: resolution as the server does it, "unknown" where that cannot be told.

Source: PostgreSQL 18, 5.10.3 "The Schema Search Path", 10.3 "Functions", 10.2 "Operators", 8.1 ff. for types.
Relations and types: the first schema of the effective path that has the name. Functions and operators: any schema of
the path may hold the overload that is called, hence all of them count; `pg_temp` is never searched for these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gatebook.model.operation import ObjectKind, ObjectRef
from gatebook.protocols.postgres.catalogue import CatalogueView, Relation
from gatebook.protocols.postgres.facts import SessionFacts
from gatebook.protocols.postgres.functions import KNOWN_SAFE, QUIET

_EMPTY_PATH: Final[tuple[str, ...]] = ()
SYSTEM: Final = "pg_catalog"
TEMPORARY: Final = "pg_temp"
# typtype: composite, domain, enum, range, multirange and pseudo types run no code but their owner's (checks, as a
# table's would); base types have input functions.
_HARMLESS_TYPES: Final = frozenset("cdermp")


@dataclass(frozen=True, slots=True)
class Found:
    """A relation name's meaning; `relation` is None where the catalogue does not have it."""

    ref: ObjectRef
    relation: Relation | None


@dataclass(frozen=True, slots=True)
class Code:
    """What calling a function, operator or cast means: nothing (`refs` empty), or an access on each of `refs`.

    `quiet` says that names resolve afterwards as before.
    """

    refs: tuple[ObjectRef, ...] = ()
    quiet: bool = True


_HARMLESS: Final = Code()


class Names:
    """Names of one database as one session sees them; `facts` None means that the session's path is not known."""

    def __init__(self, target: str, database: str, catalogue: CatalogueView, facts: SessionFacts | None) -> None:
        self.target: Final = target
        self.database_name: Final = database
        self.catalogue: Final = catalogue
        self.facts: Final = facts
        self.database: Final = ObjectRef(ObjectKind.DATABASE, (target, database))
        self._path = facts.schemas if facts else _EMPTY_PATH

    # ── references ──────────────────────────────────────────────────────────────────────────────

    def unknown(self, parts: Sequence[str]) -> ObjectRef:
        """Return the object for a name that resolves to nothing."""
        return ObjectRef(ObjectKind.UNKNOWN, (self.target, self.database_name, ".".join(parts)))

    def schema(self, name: str) -> ObjectRef:
        """Return a schema by name."""
        return ObjectRef(ObjectKind.SCHEMA, (self.target, self.database_name, _plain(name)))

    def setting(self, name: str) -> ObjectRef:
        """Return a setting by name; names of settings fold case."""
        return ObjectRef(ObjectKind.SETTING, (self.target, self.database_name, name.lower()))

    def channel(self, name: str) -> ObjectRef:
        """Return a notification channel."""
        return ObjectRef(ObjectKind.CHANNEL, (self.target, self.database_name, name))

    def role(self, name: str) -> ObjectRef:
        """Return a role of the target."""
        return ObjectRef(ObjectKind.ROLE, (self.target, name))

    def server(self) -> ObjectRef:
        """Return the target itself, for what belongs to no database."""
        return ObjectRef(ObjectKind.TARGET, (self.target,))

    def column(self, relation: ObjectRef, name: str) -> ObjectRef:
        """Return a column of a relation."""
        return ObjectRef(ObjectKind.COLUMN, (*relation.path, name))

    def inside(self, kind: ObjectKind, schema: str, name: str) -> ObjectRef:
        """Return an object in a schema."""
        return ObjectRef(kind, (self.target, self.database_name, _plain(schema), name))

    def new(self, kind: ObjectKind, parts: Sequence[str], *, temporary: bool = False) -> ObjectRef:
        """Return the object that a CREATE of this name would make; unknown where the schema cannot be told."""
        if temporary:
            return self.inside(kind, TEMPORARY, parts[-1])
        if len(parts) == 1:
            if self.facts is None or not self.facts.creation_schema:
                return self.unknown(parts)
            return self.inside(kind, self.facts.creation_schema, parts[0])
        return self.inside(kind, parts[-2], parts[-1]) if self._is_here(parts) else self.unknown(parts)

    # ── relations ───────────────────────────────────────────────────────────────────────────────

    def relation(self, parts: Sequence[str]) -> Found:
        """Return what a relation name means: `(name)`, `(schema, name)` or `(database, schema, name)`."""
        if not self._is_here(parts):
            return Found(self.unknown(parts), None)
        name = parts[-1]
        for schema in (parts[-2],) if len(parts) > 1 else self._path:
            relation = self._relation_in(_plain(schema), name)
            if relation is not None:
                return Found(self.inside(ObjectKind.RELATION, relation.schema, name), relation)
        return Found(self.unknown(parts), None)

    def _relation_in(self, schema: str, name: str) -> Relation | None:
        if schema == TEMPORARY:
            return self.facts.temp_relations.get(name) if self.facts else None
        if self.facts is None and schema != SYSTEM:
            return None
        view = self.catalogue.schemas.get(schema)
        return view.relations.get(name) if view else None

    # ── code ────────────────────────────────────────────────────────────────────────────────────

    def function(self, parts: Sequence[str]) -> Code:
        """Return what calling a function of this name means."""
        name = parts[-1]
        candidates = self.functions(parts)
        if not candidates:
            schema = self.type_schema(parts)
            return self.type(parts) if schema else Code((self.unknown(parts),), quiet=False)
        outside = [schema for schema in candidates if schema != SYSTEM]
        listed = SYSTEM in candidates and name not in self.catalogue.planted_functions
        if not outside and listed and name in KNOWN_SAFE:
            return _HARMLESS
        if listed and name in KNOWN_SAFE:
            candidates = outside
        refs = tuple(self.inside(ObjectKind.FUNCTION, schema, name) for schema in candidates)
        return Code(refs, quiet=not outside and listed and name in QUIET)

    def functions(self, parts: Sequence[str]) -> list[str]:
        """Schemas in which a function of this name may be meant."""
        if not self._is_here(parts):
            return []
        if len(parts) > 1 and _plain(parts[-2]) == TEMPORARY:
            return [TEMPORARY] if self.facts and parts[-1] in self.facts.temp_functions else []
        views = self.catalogue.schemas
        return [s for s in self._schemas(parts) if (view := views.get(s)) and parts[-1] in view.functions]

    def hides_code(self, name: str) -> Code:
        """Return what `x.name` means where `name` is no known column of `x`: perhaps a call `name(x)`."""
        if self.facts is None:
            return Code((self.unknown((name,)),), quiet=False) if self._is_anywhere(name) else _HARMLESS
        return self.function((name,)) if self.functions((name,)) else _HARMLESS

    def operator(self, parts: Sequence[str]) -> Code:
        """Return what using an operator of this name means."""
        name = parts[-1]
        views = self.catalogue.schemas
        found = [s for s in self._schemas(parts) if (view := views.get(s)) and name in view.operators]
        outside = [s for s in found if s != SYSTEM or name in self.catalogue.planted_operators]
        if found and not outside:
            return _HARMLESS
        refs = tuple(self.inside(ObjectKind.OPERATOR, schema, name) for schema in outside)
        return Code(refs or (self.unknown(parts),), quiet=False)

    def type(self, parts: Sequence[str]) -> Code:
        """Return what a cast to, or a value of, a type of this name means."""
        schema = self.type_schema(parts)
        if schema is None:
            return Code((self.unknown(parts),), quiet=False)
        name = parts[-1]
        if (schema, name) in self.catalogue.casts:
            return Code((self.inside(ObjectKind.TYPE, schema, name),), quiet=False)
        if schema == SYSTEM:
            return _HARMLESS
        types = self._types_in(schema)
        element = name[1:] if name.startswith("_") and name[1:] in types else name
        if types[element] in _HARMLESS_TYPES:
            return _HARMLESS
        return Code((self.inside(ObjectKind.TYPE, schema, name),))

    def type_schema(self, parts: Sequence[str]) -> str | None:
        """Return the schema of the type that a name means, or None."""
        if not self._is_here(parts):
            return None
        for schema in (parts[-2],) if len(parts) > 1 else self._path:
            if (self.facts is not None or schema == SYSTEM) and parts[-1] in self._types_in(_plain(schema)):
                return _plain(schema)
        return None

    def _types_in(self, schema: str) -> Mapping[str, str]:
        if schema == TEMPORARY:
            return self.facts.temp_types if self.facts else {}
        view = self.catalogue.schemas.get(schema)
        return view.types if view else {}

    def _schemas(self, parts: Sequence[str]) -> Sequence[str]:
        """Schemas to look for code in: the one named, else the path; only the system's where facts are unknown."""
        if not self._is_here(parts):
            return ()
        if len(parts) > 1:
            return (parts[-2],) if self.facts is not None or parts[-2] == SYSTEM else ()
        return self._path

    def _is_here(self, parts: Sequence[str]) -> bool:
        """Whether a name with a database in front names this one; there is no way to another."""
        return len(parts) < 3 or (len(parts) == 3 and parts[0] == self.database_name)

    def _is_anywhere(self, name: str) -> bool:
        """Whether some function of this name exists that is not known to be harmless."""
        views = self.catalogue.schemas
        return any(name in view.functions and (s != SYSTEM or name not in KNOWN_SAFE) for s, view in views.items())


def _plain(schema: str) -> str:
    """Fold the names of a session's own temporary schema into one; another session's cannot be reached."""
    return TEMPORARY if schema == TEMPORARY or schema.startswith("pg_temp_") else schema
