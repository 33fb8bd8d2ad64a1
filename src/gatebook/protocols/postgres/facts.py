# SPDX-License-Identifier: Apache-2.0
"""Facts of a session: how names resolve on its own upstream connection, read by one constant statement.

The statement names everything with its schema, so that no object of the session can stand in for it. What it returns
takes part in the key of kept decisions: it holds nothing that differs between sessions of equal meaning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gatebook.model.errors import UpstreamFault, quoted
from gatebook.protocols.postgres.catalogue import Relation

# LIMIT: bytes of one fact; thousands of temporary tables. A session beyond it is not understood.
FACT_BYTES: Final = 4 * 1024 * 1024

_MINE = (
    "OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0"
)

# A path that begins with the temporary schema makes that schema where it is asked for: then it is not asked for.
_PENDING = (
    "pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) 0"
    """ AND pg_catalog.current_setting('search_path') OPERATOR(pg_catalog.~*) '^\\s*"?pg_temp'"""
)

FACTS_QUERY: Final = f"""SELECT
 CASE WHEN {_PENDING} THEN NULL ELSE pg_catalog.array_to_json(pg_catalog.current_schemas(true))::pg_catalog.text END,
 CASE WHEN {_PENDING} THEN NULL ELSE pg_catalog.current_schema()::pg_catalog.text END,
 SESSION_USER::pg_catalog.text,
 CURRENT_USER::pg_catalog.text,
 pg_catalog.current_setting('search_path'),
 pg_catalog.current_setting('standard_conforming_strings'),
 pg_catalog.current_setting('client_encoding'),
 (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(c.relname, c.relkind,
   ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid
    AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped ORDER BY a.attnum)) ORDER BY c.relname)
  FROM pg_catalog.pg_class c WHERE c.relnamespace {_MINE})::pg_catalog.text,
 (SELECT pg_catalog.json_agg(p.proname ORDER BY p.proname)
  FROM pg_catalog.pg_proc p WHERE p.pronamespace {_MINE})::pg_catalog.text,
 (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(t.typname, t.typtype) ORDER BY t.typname)
  FROM pg_catalog.pg_type t WHERE t.typnamespace {_MINE})::pg_catalog.text""".replace("\n", "")  # noqa: S608  constants of this file

_TEMPORARY: Final = "pg_temp_"
_KINDS: Final = {"r": "table", "p": "partitioned table", "v": "view", "S": "sequence", "i": "index", "I": "index"}


class FactsFault(UpstreamFault):
    """The facts of a session are not what was asked for: it is treated as if nothing were known."""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """How names resolve in one session.

    `schemas` are the effective ones in order, implicit ones included, the session's temporary one as `pg_temp`;
    `creation_schema` is where an unqualified new object goes, empty if nowhere.
    """

    schemas: tuple[str, ...]
    creation_schema: str = ""
    session_user: str = ""
    current_user: str = ""
    search_path: str = ""
    standard_conforming_strings: bool = True
    client_encoding: str = "UTF8"
    temp_relations: Mapping[str, Relation] = field(default_factory=dict)
    temp_functions: frozenset[str] = frozenset()
    temp_types: Mapping[str, str] = field(default_factory=dict)


def parse_facts(row: Sequence[bytes | None]) -> SessionFacts:
    """Read the row of FACTS_QUERY. FactsFault if it is not of its form or beyond its bounds."""
    if len(row) != 10 or any(value is not None and len(value) > FACT_BYTES for value in row):
        raise FactsFault("facts query did not give the ten values asked for")
    if row[0] is None:
        raise FactsFault("the session's path begins with a temporary schema that is not there yet")
    try:
        schemas = msgspec.json.decode(row[0], type=list[str])
        relations = msgspec.json.decode(row[7] or b"[]", type=list[tuple[str, str, list[str]]])
        functions = msgspec.json.decode(row[8] or b"[]", type=list[str])
        types = msgspec.json.decode(row[9] or b"[]", type=list[tuple[str, str]])
        words = [(value or b"").decode() for value in row[1:7]]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FactsFault(f"facts cannot be read: {quoted(str(error))}") from None
    return SessionFacts(
        schemas=tuple(_plain(schema) for schema in schemas),
        creation_schema=_plain(words[0]),
        session_user=words[1],
        current_user=words[2],
        search_path=words[3],
        standard_conforming_strings=words[4] == "on",
        client_encoding=words[5],
        temp_relations={
            name: Relation(0, "pg_temp", name, _KINDS.get(kind, "unknown"), tuple(columns))
            for name, kind, columns in relations
            if kind != "c"
        },
        temp_functions=frozenset(functions),
        temp_types=dict(types),
    )


def _plain(schema: str) -> str:
    return "pg_temp" if schema.startswith(_TEMPORARY) else schema
