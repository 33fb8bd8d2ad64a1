# SPDX-License-Identifier: Apache-2.0
"""What the gate knows of a database: the committed catalogue, read whole in one statement and polled for change.

Source: PostgreSQL 12 to 18, "System Catalogs". The queries are run by the caller on the gate's own connection, whose
start-up parameters are `STARTUP`. One statement sees one snapshot, so that a view is never half old.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

from gatebook.model.errors import UpstreamFault, quoted
from gatebook.model.operation import ObjectKind, ObjectRef

Run: TypeAlias = Callable[[str], Awaitable[Sequence[Sequence[bytes | None]]]]
"""Run one statement, give its rows in text format. Errors of the server and of the network are the caller's own."""

STARTUP: Final = (("search_path", "pg_catalog"), ("client_encoding", "UTF8"), ("default_transaction_read_only", "on"))

# LIMIT: JSON of one catalogue; about 400,000 relations of ten columns.
VIEW_BYTES: Final = 256 * 1024 * 1024
# First oid that initdb does not give: what is above was made by a user or an extension.
FIRST_USER_OID: Final = 16384

_LIVE = "n.nspname !~ '^pg_(toast_)?temp_'"
_SUM = "pg_catalog.concat(count(*), ':', sum(hashint8extended({table}.xmin::text::int8, {seed})))"


def _sum(table: str, seed: str) -> str:
    return _SUM.format(table=table, seed=seed)


# A row that is added, changed or removed changes the number of rows or the sum over (row, transaction that wrote it).
DIGEST_QUERY: Final = f"""SELECT pg_catalog.concat_ws(',',
 (SELECT {_sum("n", "n.oid::int8")} FROM pg_catalog.pg_namespace n WHERE {_LIVE}),
 (SELECT {_sum("c", "c.oid::int8")} FROM pg_catalog.pg_class c WHERE c.relpersistence <> 't'),
 (SELECT {_sum("a", "(a.attrelid::int8 << 16) + a.attnum")} FROM pg_catalog.pg_attribute a
   JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE a.attnum > 0 AND c.relpersistence <> 't'),
 (SELECT {_sum("p", "p.oid::int8")} FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n
   ON n.oid = p.pronamespace WHERE {_LIVE}),
 (SELECT {_sum("o", "o.oid::int8")} FROM pg_catalog.pg_operator o WHERE o.oid >= {FIRST_USER_OID}),
 (SELECT {_sum("t", "t.oid::int8")} FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n
   ON n.oid = t.typnamespace WHERE {_LIVE}),
 (SELECT {_sum("k", "k.oid::int8")} FROM pg_catalog.pg_cast k WHERE k.oid >= {FIRST_USER_OID}))"""  # noqa: S608  constants of this file

VIEW_QUERY: Final = f"""SELECT pg_catalog.json_build_object(
 'path', pg_catalog.current_setting('search_path'),
 'digest', ({DIGEST_QUERY}),
 'schemas', (SELECT coalesce(json_agg(n.nspname), '[]') FROM pg_catalog.pg_namespace n WHERE {_LIVE}),
 'relations', (SELECT coalesce(json_agg(json_build_array(c.oid::int8, n.nspname, c.relname, c.relkind,
    CASE WHEN c.relkind IN ('i', 'I') THEN '{{}}'::name[] ELSE ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) END)), '[]')
   FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r','p','v','m','f','S','i','I') AND {_LIVE} AND n.nspname <> 'pg_toast'),
 'functions', (SELECT coalesce(json_agg(json_build_array(p.oid::int8, n.nspname, p.proname)), '[]')
   FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE {_LIVE}),
 'operators', (SELECT coalesce(json_agg(json_build_array(o.oid::int8, n.nspname, o.oprname)), '[]')
   FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace),
 'types', (SELECT coalesce(json_agg(json_build_array(t.oid::int8, n.nspname, t.typname, t.typtype)), '[]')
   FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE {_LIVE}),
 'casts', (SELECT coalesce(json_agg(json_build_array(n.nspname, t.typname)), '[]') FROM pg_catalog.pg_cast k
   JOIN pg_catalog.pg_type t ON t.oid = k.casttarget JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   WHERE k.oid >= {FIRST_USER_OID} AND k.castfunc <> 0))"""  # noqa: S608  constants of this file

_KINDS: Final = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
    "i": "index",
    "I": "index",
}


class CatalogueFault(UpstreamFault):
    """The catalogue's answer is not what was asked for; the view in force stays."""


@dataclass(frozen=True, slots=True)
class Relation:
    """A table, view, sequence or index, with its columns in order (none for an index)."""

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SchemaView:
    """What one schema holds. `operators` are all names; `types` maps to PostgreSQL's typtype."""

    relations: Mapping[str, Relation] = field(default_factory=dict)
    functions: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CatalogueView:
    """A frozen snapshot of a database's committed catalogue.

    `casts` are the types (schema, name) that some user-made function casts to; `planted_functions` and
    `planted_operators` the names in `pg_catalog` that did not come with the server. `digest` tells two snapshots apart;
    it is empty while nothing was read, and then no name resolves.
    """

    digest: str = ""
    schemas: Mapping[str, SchemaView] = field(default_factory=dict)
    function_oids: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    casts: frozenset[tuple[str, str]] = frozenset()
    planted_functions: frozenset[str] = frozenset()
    planted_operators: frozenset[str] = frozenset()

    def kind_of(self, ref: ObjectRef) -> str:
        """Return the kind of a relation, as policies name it: `table`, `view`, ...; `unknown` for what is not here."""
        if ref.kind is ObjectKind.RELATION and (schema := self.schemas.get(ref.path[2])):
            relation = schema.relations.get(ref.path[3])
            return relation.kind if relation else "unknown"
        return "unknown"


class _Answer(msgspec.Struct):
    """The one value of VIEW_QUERY."""

    path: str
    digest: str
    schemas: list[str]
    relations: list[tuple[int, str, str, str, list[str]]]
    functions: list[tuple[int, str, str]]
    operators: list[tuple[int, str, str]]
    types: list[tuple[int, str, str, str]]
    casts: list[tuple[str, str]]


class Catalogue:
    """The catalogue of one database, kept current by whoever owns the connection.

    `view` is replaced whole. `refresh` and `changed` are called one at a time; what `run` raises passes through and
    leaves the view as it was.
    """

    def __init__(self) -> None:
        self.view = CatalogueView()

    async def changed(self, run: Run) -> bool:
        """Ask the server whether the view is out of date. CatalogueFault for a malformed answer."""
        return _single(await run(DIGEST_QUERY)).decode("utf-8", "replace") != self.view.digest

    async def refresh(self, run: Run) -> bool:
        """Read the catalogue anew; True if it differs from before. CatalogueFault for a malformed answer."""
        view = parse_view(_single(await run(VIEW_QUERY)))
        changed = view.digest != self.view.digest
        self.view = view
        return changed


def _single(rows: Sequence[Sequence[bytes | None]]) -> bytes:
    if len(rows) != 1 or len(rows[0]) != 1 or rows[0][0] is None:
        raise CatalogueFault("catalogue query did not give one value")
    return rows[0][0]


def parse_view(answer: bytes) -> CatalogueView:
    """Build a view from the value of VIEW_QUERY. CatalogueFault if it is too long or not of its form."""
    if len(answer) > VIEW_BYTES:
        raise CatalogueFault(f"catalogue is larger than {VIEW_BYTES} bytes")
    try:
        raw = msgspec.json.decode(answer, type=_Answer)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CatalogueFault(f"catalogue cannot be read: {quoted(str(error))}") from None
    if raw.path != "pg_catalog":
        raise CatalogueFault("catalogue was read under another search_path", "use the start-up parameters of the gate")
    relations: dict[str, dict[str, Relation]] = {schema: {} for schema in raw.schemas}
    functions: dict[str, set[str]] = {schema: set() for schema in raw.schemas}
    operators: dict[str, set[str]] = {schema: set() for schema in raw.schemas}
    types: dict[str, dict[str, str]] = {schema: {} for schema in raw.schemas}
    for oid, schema, name, kind, columns in raw.relations:
        relations[schema][name] = Relation(oid, schema, name, _KINDS[kind], tuple(columns))
    for _, schema, name in raw.functions:
        functions[schema].add(name)
    for _, schema, name in raw.operators:
        operators[schema].add(name)
    for _, schema, name, typtype in raw.types:
        types[schema][name] = typtype
    views = {
        schema: SchemaView(relations[schema], frozenset(functions[schema]), frozenset(operators[schema]), types[schema])
        for schema in raw.schemas
    }
    return CatalogueView(
        digest=raw.digest,
        schemas=views,
        function_oids={oid: (schema, name) for oid, schema, name in raw.functions},
        casts=frozenset(raw.casts),
        planted_functions=_planted(raw.functions),
        planted_operators=_planted(raw.operators),
    )


def _planted(rows: list[tuple[int, str, str]]) -> frozenset[str]:
    return frozenset(name for oid, schema, name in rows if schema == "pg_catalog" and oid >= FIRST_USER_OID)
