# SPDX-License-Identifier: Apache-2.0
"""What the gate knows of a database: the committed catalogue, read whole once, and then what changed since.

Source: PostgreSQL 12 to 18, "System Catalogs", "System Columns" (`xmin`). The query is run by the caller on the gate's
own connection, whose start-up parameters are `STARTUP`. One statement sees one snapshot, so that a view is never half
old.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Generic, TypeAlias, TypeVar

import msgspec

from gatebook.model.errors import UpstreamFault, quoted
from gatebook.model.operation import ObjectKind, ObjectRef

Run: TypeAlias = Callable[..., Awaitable[Sequence[Sequence[bytes | None]]]]
"""Run a statement with its parameters, give its rows, all as text. What the server or the network raises passes."""

STARTUP: Final = (
    ("search_path", "pg_catalog"),
    ("client_encoding", "UTF8"),
    ("default_transaction_read_only", "on"),
    ("jit", "off"),
    # A session may lock the catalogue and go on: its next statement is decided without.
    ("lock_timeout", "1000"),
)

# LIMIT: JSON of one catalogue; about 400,000 relations of ten columns.
VIEW_BYTES: Final = 256 * 1024 * 1024
# First oid that initdb does not give: what is above was made by a user or an extension.
FIRST_USER_OID: Final = 16384

_SYSTEM: Final = "pg_catalog"
# What is temporary is a fact of its session, and making it no change. 99 is the schema pg_toast.
_LIVE = "n.nspname !~ '^pg_(toast_)?temp_'"
_RELATIONS = "c.relkind IN ('r','p','v','m','f','S','i','I') AND c.relpersistence <> 't' AND c.relnamespace <> 99"
# First parameter of the first reading: every row is as young as a transaction that is infinitely old.
_FROM_THE_START: Final = "1"


# The other parameters: how many rows are known. Where fewer are there, the oids of all tell which went.
_MORE_THAN_THERE: Final = str(2**62)


def _new(alias: str) -> str:
    return f"age({alias}.xmin) <= age($1::text::xid)"


def _part(table: str, alias: str, schema: str, row: str, *, known: str, changed: str, which: str = "true") -> str:
    """One catalogue: the number of rows, the rows that changed, and the oids of all if fewer are there than known."""
    live = f"SELECT n.oid FROM pg_catalog.pg_namespace n WHERE {_LIVE}"  # noqa: S608  constants of this file
    rows = f"FROM pg_catalog.{table} {alias} WHERE {which} AND {alias}.{schema} IN ({live})"
    return (
        f"(SELECT json_build_object('count', there.count,"  # noqa: S608  constants of this file
        f" 'oids', CASE WHEN there.count < {known}::text::int8 THEN (SELECT json_agg({alias}.oid::int8) {rows}) END,"
        f" 'rows', (SELECT coalesce(json_agg(json_build_array({alias}.oid::int8, {alias}.{schema}::int8, {row})), '[]')"
        f" {rows} AND ({changed}))) FROM (SELECT count(*) {rows}) there)"
    )


# A row names the transaction that wrote it; those below the horizon of a reading were over by then, and it saw them.
# All that is new is in the rows, so that their number tells whether something went.
READ_QUERY: Final = f"""SELECT pg_catalog.json_build_object(
 'path', pg_catalog.current_setting('search_path'),
 'horizon', pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()),
 'schemas', (SELECT coalesce(json_agg(json_build_array(n.oid::int8, n.nspname)), '[]')
   FROM pg_catalog.pg_namespace n WHERE {_LIVE}),
 'relations', {
    _part(
        "pg_class",
        "c",
        "relnamespace",
        '''c.relname, c.relkind,
    CASE WHEN c.relkind IN ('i', 'I') THEN '{}'::name[] ELSE ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) END''',
        known="$2",
        changed=f"{_new('c')} OR c.oid IN (SELECT a.attrelid FROM pg_catalog.pg_attribute a WHERE {_new('a')})",
        which=_RELATIONS,
    )
},
 'functions', {_part("pg_proc", "p", "pronamespace", "p.proname, p.xmin::text", known="$3", changed=_new("p"))},
 'operators', {_part("pg_operator", "o", "oprnamespace", "o.oprname", known="$4", changed=_new("o"))},
 'types', {_part("pg_type", "t", "typnamespace", "t.typname, t.typtype", known="$5", changed=_new("t"))},
 'casts', (SELECT coalesce(json_agg(json_build_array(n.nspname, t.typname)), '[]') FROM pg_catalog.pg_cast k
   JOIN pg_catalog.pg_type t ON t.oid = k.casttarget JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
   WHERE k.oid >= {FIRST_USER_OID} AND k.castfunc <> 0))"""  # noqa: S608  constants of this file

# What relations do beside holding rows: what views select, what triggers, rules, row policies, defaults and constraints
# run, and the types of columns; of the relations ($1: their oids as an array) and of all that views among them reach.
# A row of the catalogue names the transaction that wrote it, so that any change gives another digest.
DEFINITIONS_QUERY: Final = """WITH RECURSIVE reached (oid) AS (
  SELECT unnest($1::text::oid[])
  UNION SELECT d.refobjid FROM reached JOIN pg_catalog.pg_rewrite r ON r.ev_class = reached.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
      AND d.refclassid = 'pg_class'::regclass),
 called (oid) AS (
  SELECT t.tgfoid FROM reached JOIN pg_catalog.pg_trigger t ON t.tgrelid = reached.oid
  UNION SELECT d.refobjid FROM reached JOIN pg_catalog.pg_rewrite r ON r.ev_class = reached.oid
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
      AND d.refclassid = 'pg_proc'::regclass),
 parts (part) AS (
  SELECT concat_ws(':', 'class', c.oid, c.relkind, c.relowner, c.relrowsecurity) FROM reached
    JOIN pg_catalog.pg_class c USING (oid)
  UNION ALL SELECT concat_ws(':', 'rule', x.oid, x.xmin) FROM reached
    JOIN pg_catalog.pg_rewrite x ON x.ev_class = reached.oid
  UNION ALL SELECT concat_ws(':', 'trigger', x.oid, x.xmin) FROM reached
    JOIN pg_catalog.pg_trigger x ON x.tgrelid = reached.oid
  UNION ALL SELECT concat_ws(':', 'policy', x.oid, x.xmin) FROM reached
    JOIN pg_catalog.pg_policy x ON x.polrelid = reached.oid
  UNION ALL SELECT concat_ws(':', 'default', x.oid, x.xmin) FROM reached
    JOIN pg_catalog.pg_attrdef x ON x.adrelid = reached.oid
  UNION ALL SELECT concat_ws(':', 'constraint', x.oid, x.xmin) FROM reached
    JOIN pg_catalog.pg_constraint x ON x.conrelid = reached.oid
  UNION ALL SELECT concat_ws(':', 'column', x.attrelid, x.attnum, x.atttypid, x.atttypmod, x.attname) FROM reached
    JOIN pg_catalog.pg_attribute x ON x.attrelid = reached.oid AND x.attnum > 0 AND NOT x.attisdropped
  UNION ALL SELECT concat_ws(':', 'function', x.oid, x.xmin) FROM called JOIN pg_catalog.pg_proc x USING (oid))
 SELECT encode(sha256(convert_to(coalesce(string_agg(part, ',' ORDER BY part), ''), 'UTF8')), 'hex') FROM parts"""

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
    `planted_operators` the names in `pg_catalog` that did not come with the server. `revision` tells two snapshots of
    one database apart; it is 0 while nothing was read, and then no name resolves. `function_versions` are oid and row
    version of each function of a name that did not come with the server.
    """

    revision: int = 0
    schemas: Mapping[str, SchemaView] = field(default_factory=dict)
    function_oids: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    function_versions: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    casts: frozenset[tuple[str, str]] = frozenset()
    planted_functions: frozenset[str] = frozenset()
    planted_operators: frozenset[str] = frozenset()

    def kind_of(self, ref: ObjectRef) -> str:
        """Return the kind of a relation, as policies name it: `table`, `view`, ...; `unknown` for what is not here."""
        if ref.kind is ObjectKind.RELATION and (schema := self.schemas.get(ref.path[2])):
            relation = schema.relations.get(ref.path[3])
            return relation.kind if relation else "unknown"
        return "unknown"

    def oid_of(self, ref: ObjectRef) -> int:
        """Return the oid of a relation, or of a column's; 0 for what is not here."""
        if ref.kind in {ObjectKind.RELATION, ObjectKind.COLUMN} and (schema := self.schemas.get(ref.path[2])):
            relation = schema.relations.get(ref.path[3])
            return relation.oid if relation else 0
        return 0

    def version_of(self, ref: ObjectRef) -> str:
        """Return what an object is at this moment, so that another of the same name is told from it; empty if unknown.

        Of a relation its oid and columns, of functions their oids and the transactions that wrote them. What a view
        selects and what a trigger does is told by DEFINITIONS_QUERY.
        """
        if ref.kind in {ObjectKind.RELATION, ObjectKind.COLUMN} and (schema := self.schemas.get(ref.path[2])):
            relation = schema.relations.get(ref.path[3])
            return f"{relation.oid} {relation.kind} ({', '.join(relation.columns)})" if relation else ""
        if ref.kind is ObjectKind.FUNCTION:
            return " ".join(self.function_versions.get((ref.path[2], ref.path[3]), ()))
        return ""


_Row = TypeVar("_Row", bound=tuple[int, int, str] | tuple[int, int, str, str] | tuple[int, int, str, str, list[str]])


class _Part(msgspec.Struct, Generic[_Row]):
    """How many rows there are of one catalogue, which of them changed, and perhaps the oids of all."""

    count: int
    oids: list[int] | None
    rows: list[_Row]


class _Answer(msgspec.Struct):
    """The one value of READ_QUERY."""

    path: str
    horizon: int
    schemas: list[tuple[int, str]]
    relations: _Part[tuple[int, int, str, str, list[str]]]
    functions: _Part[tuple[int, int, str, str]]
    operators: _Part[tuple[int, int, str]]
    types: _Part[tuple[int, int, str, str]]
    casts: list[tuple[str, str]]


class _Known(Generic[_Row]):
    """The rows of one catalogue by oid."""

    def __init__(self) -> None:
        self.rows: dict[int, _Row] = {}
        self.touched: set[int] = set()

    def apply(self, part: _Part[_Row]) -> bool:
        """Take over what changed, and drop what went if the oids tell; whether all that is known is there.

        `touched` gathers the oids of schemas whose content differs.
        """
        for row in part.rows:
            before = self.rows.get(row[0])
            if row != before:
                self.rows[row[0]] = row
                self.touched.update((row[1], before[1] if before else row[1]))
        if part.oids is not None:
            for oid in self.rows.keys() - set(part.oids):
                self.touched.add(self.rows.pop(oid)[1])
        return len(self.rows) == part.count

    def of(self, schema: int) -> Iterable[_Row]:
        """The rows of one schema."""
        return (row for row in self.rows.values() if row[1] == schema)


class Catalogue:
    """The catalogue of one database, kept current by whoever owns the connection.

    `view` is replaced whole. `refresh` is called one at a time; what `run` raises passes through and leaves the view as
    it was. `forget` is due before the first reading on another connection: that may lead to another server.
    """

    def __init__(self) -> None:
        self.view = CatalogueView()
        self._revisions = 0
        self.forget()

    def forget(self) -> None:
        """Read everything at the next `refresh`. The view stays until then."""
        self._horizon: int | None = None
        self._schemas: dict[int, str] = {}
        self._relations: _Known[tuple[int, int, str, str, list[str]]] = _Known()
        self._functions: _Known[tuple[int, int, str, str]] = _Known()
        self._operators: _Known[tuple[int, int, str]] = _Known()
        self._types: _Known[tuple[int, int, str, str]] = _Known()

    async def refresh(self, run: Run) -> bool:
        """Read what changed; True if the view differs from before. CatalogueFault for a malformed answer."""
        since = _FROM_THE_START if self._horizon is None else str(self._horizon % 2**32)
        kinds = (self._relations, self._functions, self._operators, self._types)
        for known in ([str(len(kind.rows)) for kind in kinds], [_MORE_THAN_THERE] * len(kinds)):
            answer = parse_answer(_single(await run(READ_QUERY, since, *known)))
            parts = (
                self._relations.apply(answer.relations),
                self._functions.apply(answer.functions),
                self._operators.apply(answer.operators),
                self._types.apply(answer.types),
            )
            if all(parts):
                return self._replace_view(answer)
        self.forget()
        raise CatalogueFault("catalogue does not hold what it counts")

    def _replace_view(self, answer: _Answer) -> bool:
        first = self._horizon is None
        before, schemas = self._schemas, dict(answer.schemas)
        self._horizon, self._schemas = answer.horizon, schemas
        touched = {oid for oid, name in schemas.items() if before.get(oid) != name}
        code = bool(first or self._functions.touched or self._operators.touched or touched)
        for known in (self._relations, self._functions, self._operators, self._types):
            touched |= known.touched
            known.touched.clear()
        casts = frozenset(answer.casts)
        if not (first or touched or before.keys() - schemas.keys() or casts != self.view.casts):
            return False
        old = self.view.schemas
        views = {
            name: self._schema(oid) if first or oid in touched or name not in old else old[name]
            for oid, name in schemas.items()
        }
        view = replace(self.view, schemas=views, casts=casts)
        if code:
            functions, operators = self._planted()
            view = replace(
                view,
                function_oids=self._function_oids(),
                function_versions=self._function_versions(),
                planted_functions=functions,
                planted_operators=operators,
            )
        if view == self.view and self.view.revision:  # all was read again, and nothing is new
            return False
        self._revisions += 1
        self.view = replace(view, revision=self._revisions)
        return True

    def _schema(self, schema: int) -> SchemaView:
        name = self._schemas[schema]
        return SchemaView(
            {
                row[2]: Relation(row[0], name, row[2], _KINDS[row[3]], tuple(row[4]))
                for row in self._relations.of(schema)
            },
            frozenset(row[2] for row in self._functions.of(schema)),
            frozenset(row[2] for row in self._operators.of(schema)),
            {row[2]: row[3] for row in self._types.of(schema)},
        )

    def _function_oids(self) -> Mapping[int, tuple[str, str]]:
        return {oid: (self._schemas[row[1]], row[2]) for oid, row in self._functions.rows.items()}

    def _function_versions(self) -> Mapping[tuple[str, str], tuple[str, ...]]:
        found: dict[tuple[str, str], list[str]] = {}
        for oid, row in sorted(self._functions.rows.items()):
            if oid >= FIRST_USER_OID:
                found.setdefault((self._schemas[row[1]], row[2]), []).append(f"{oid}/{row[3]}")
        return {name: tuple(versions) for name, versions in found.items()}

    def _planted(self) -> tuple[frozenset[str], frozenset[str]]:
        system = next((oid for oid, name in self._schemas.items() if name == _SYSTEM), 0)
        functions, operators = (
            frozenset(row[2] for row in known.of(system) if row[0] >= FIRST_USER_OID)
            for known in (self._functions, self._operators)
        )
        return functions, operators


def _single(rows: Sequence[Sequence[bytes | None]]) -> bytes:
    if len(rows) != 1 or len(rows[0]) != 1 or rows[0][0] is None:
        raise CatalogueFault("catalogue query did not give one value")
    return rows[0][0]


def parse_answer(answer: bytes) -> _Answer:
    """Read the value of READ_QUERY. CatalogueFault if it is too long or not of its form."""
    if len(answer) > VIEW_BYTES:
        raise CatalogueFault(f"catalogue is larger than {VIEW_BYTES} bytes")
    try:
        raw = msgspec.json.decode(answer, type=_Answer)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise CatalogueFault(f"catalogue cannot be read: {quoted(str(error))}") from None
    if raw.path != _SYSTEM:
        raise CatalogueFault("catalogue was read under another search_path", "use the start-up parameters of the gate")
    return raw
