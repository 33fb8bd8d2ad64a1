# SPDX-License-Identifier: Apache-2.0
"""What a PostgreSQL message means: its statements, and the accesses inside each.

The tree is PostgreSQL's own (libpg_query). Every node is walked; a kind of node that no table lists makes its statement
`opaque`, an access of its own that only a policy which names it permits. All statements of a message are read before
any is sent, each with the names that hold when it will run: behind a statement that changes how names resolve, nothing
is known of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gatebook.model.errors import quoted
from gatebook.model.operation import Access, CacheScope, Effect, EffectKind, ObjectKind, Operation, Statement
from gatebook.native.pure import sql_literal_free, sql_password_literals
from gatebook.protocols.postgres.administration import ADMINISTRATION
from gatebook.protocols.postgres.catalogue import CatalogueView
from gatebook.protocols.postgres.commands import COMMANDS
from gatebook.protocols.postgres.definitions import DEFINITIONS
from gatebook.protocols.postgres.expressions import EXPRESSIONS
from gatebook.protocols.postgres.facts import SessionFacts
from gatebook.protocols.postgres.functions import KNOWN_SAFE, QUIET
from gatebook.protocols.postgres.names import SYSTEM, Names
from gatebook.protocols.postgres.queries import QUERIES
from gatebook.protocols.postgres.reading import Body, Handler, Parse, Reading
from gatebook.protocols.postgres.scope import Scope
from gatebook.protocols.postgres.verbs import verb_of

# LIMIT: statements of one message; pg_dump's scripts stay below when psql sends them one by one.
STATEMENTS: Final = 1000

HANDLERS: Final[Mapping[str, Handler]] = {**EXPRESSIONS, **QUERIES, **COMMANDS, **DEFINITIONS, **ADMINISTRATION}
"""Every kind of statement and expression that is more than its fields (the others: grammar.FIELDS)."""

_BY_SHAPE: Final = frozenset({"SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt"})
_WITH_CLAUSES: Final = frozenset({"SelectStmt", "UpdateStmt", "DeleteStmt"})
_UTF8: Final = frozenset({"UTF8", "UTF-8", "UNICODE"})
_FORM: Final = (KeyError, IndexError, TypeError, AttributeError, ValueError)


def understand(
    text: bytes,
    tree: bytes | None,
    parse_error: str,
    *,
    target: str,
    database: str,
    catalogue: CatalogueView,
    facts: SessionFacts | None,
    prepared: Mapping[bytes, bytes],
    parse: Parse,
    columns: bool,
    via: str = "query",
    arguments: bytes = b"",
) -> Operation:
    """Read one message.

    `tree` is the parser's JSON, None with `parse_error` where it could not read the text. `facts` None means that
    nothing is known of the session's names. `prepared` maps names of prepared statements to the text that made them;
    `parse` reads such a text (NativeError if it cannot). `columns` says whether any policy speaks of columns. `via` is
    the kind of message; of a FunctionCall `arguments` is the body, which begins with the function's oid. Never raises
    for what a client sent: what is not understood is opaque.
    """
    names = Names(target, database, catalogue, facts)
    if via == "function":
        return Operation(via, (_function_call(names, int.from_bytes(arguments[:4], "big")),))
    blots = tuple(sql_password_literals(text))
    reason = _misread(text, facts)
    entries: list[_Entry] | None = None
    if tree is None:
        reason = reason or f"it cannot be parsed: {parse_error}"
    else:
        entries = _entries(tree)
        reason = reason or ("" if entries is not None else "its tree is too large, too deep or of another form")
    if reason or entries is None:
        return Operation(via, (_opaque(names, reason, sql_literal_free(text), blots),))
    known = dict(prepared)
    statements = []
    for entry in entries:
        end = entry.stmt_location + (entry.stmt_len or len(text) - entry.stmt_location)
        reading = Reading(names, HANDLERS, known, parse, columns=columns)
        statement = _statement(
            reading,
            entry.stmt,
            count=len(entries),
            shape=sql_literal_free(text[entry.stmt_location : end]),
            blots=tuple(blot for blot in blots if entry.stmt_location <= blot[0] < end),
            doubt=_doubt(facts),
        )
        statements.append(statement)
        if Effect(EffectKind.FACTS_STALE) in statement.effects:
            names = Names(target, database, catalogue, None)
        _follow(known, statement, text)
    return Operation(via, tuple(statements))


def _follow(known: dict[bytes, bytes], statement: Statement, text: bytes) -> None:
    """Keep the names of prepared statements as they will be for the statements behind."""
    for effect in statement.effects:
        if effect.kind is EffectKind.PREPARE:
            known[effect.name.encode()] = text
        elif effect.kind is EffectKind.DEALLOCATE:
            known.pop(effect.name.encode(), None)
        elif effect.kind is EffectKind.DEALLOCATE_ALL:
            known.clear()


def _function_call(names: Names, oid: int) -> Statement:
    """Read a FunctionCall message: the function is named by oid, so that only the catalogue can tell which it is."""
    catalogue = names.catalogue
    found = catalogue.function_oids.get(oid)
    if found is None:
        ref, harmless, quiet = names.unknown((f"function {oid}",)), False, False
    else:
        schema, name = found
        is_system = schema == SYSTEM and name not in catalogue.planted_functions
        harmless, quiet = is_system and name in KNOWN_SAFE, is_system and name in QUIET
        ref = names.inside(ObjectKind.FUNCTION, schema, name)
    reading = Reading(names, HANDLERS, {}, bytes, columns=False)
    if harmless:
        reading.on_database("compute")
    else:
        reading.access("execute", ref)
        if not quiet:
            reading.stale()
    context = (("statement_count", 1), ("verb", "FUNCTION CALL"))
    return Statement(
        "FUNCTION CALL", tuple(sorted(reading.accesses)), not harmless, context=context, effects=tuple(reading.effects)
    )


def _misread(text: bytes, facts: SessionFacts | None) -> str:
    """Why the server may read the text otherwise than the parser, or empty (settings that move quotes)."""
    if not text.isascii() and (facts is None or facts.client_encoding.upper() not in _UTF8):
        return "the session's client_encoding is not known to be UTF8"
    if b"\\" in text and (facts is None or not facts.standard_conforming_strings):
        return "the session's standard_conforming_strings is not known to be on"
    return ""


def _doubt(facts: SessionFacts | None) -> str:
    """Why every statement of the session is opaque beside what it is read as, or empty.

    The text at hand reads the same either way (`_misread` saw to that), but whoever may move quotes or characters under
    the gate must have been trusted with code that nobody reads.
    """
    if facts is not None and facts.client_encoding.upper() not in _UTF8:
        return "the session's client_encoding is not UTF8"
    if facts is not None and not facts.standard_conforming_strings:
        return "the session's standard_conforming_strings is off"
    return ""


class _Entry(msgspec.Struct):
    """One statement of a tree; location and length in bytes, zero meaning from the start and to the end."""

    stmt: dict[str, dict[str, Any]]
    stmt_location: int = 0
    stmt_len: int = 0


class _Tree(msgspec.Struct):
    """The parser's answer."""

    stmts: list[_Entry] = []


def _entries(tree: bytes) -> list[_Entry] | None:
    try:
        entries = msgspec.json.decode(tree, type=_Tree).stmts
    except (msgspec.MsgspecError, RecursionError):
        return None
    return entries if len(entries) <= STATEMENTS else None


def _read(reading: Reading, node: Body) -> tuple[str, str]:
    """Walk one statement; its kind and its verb."""
    try:
        ((kind, body),) = node.items()
        if not kind.endswith("Stmt"):
            reading.not_understood(f"{quoted(kind)} is no statement")
        reading.walk(node, Scope())
        verb = verb_of(kind, body)
    except RecursionError:
        reading.not_understood("it is nested too deeply")
    except _FORM:
        # The parser and the tables disagree about the form of a node: not understood, hence opaque.
        reading.not_understood("its tree is not of the form expected")
    else:
        if kind in _WITH_CLAUSES:
            reading.context["has_where"] = "whereClause" in body
        if kind == "SelectStmt":
            reading.context["has_limit"] = "limitCount" in body
        return kind, verb
    return "", "UNKNOWN"


def _statement(
    reading: Reading, node: Body, *, count: int, shape: str, blots: tuple[tuple[int, int], ...], doubt: str
) -> Statement:
    kind, verb = _read(reading, node)
    if reading.opaque:
        reading.on_database("opaque")
        reading.stale()
    elif doubt:
        reading.not_understood(doubt)
        reading.on_database("opaque")
    if not reading.accesses:
        reading.on_database("compute")
    context: dict[str, bool | int | str] = {"verb": verb, "statement_count": count, **reading.context}
    return Statement(
        verb=verb,
        accesses=tuple(sorted(reading.accesses)),
        privileged=reading.privileged,
        opaque=reading.opaque,
        context=tuple(sorted(context.items())),
        effects=tuple(reading.effects),
        cacheable=_cacheable(reading, kind),
        shape=shape,
        blots=blots,
        unseen=reading.unseen,
    )


def _cacheable(reading: Reading, kind: str) -> CacheScope:
    """Return the widest scope that the meaning of the statement allows."""
    if reading.opaque or not reading.kept or reading.names.facts is None:
        return CacheScope.NONE
    return CacheScope.SHAPE if kind in _BY_SHAPE and not reading.exact else CacheScope.EXACT


def _opaque(names: Names, reason: str, shape: str, blots: tuple[tuple[int, int], ...]) -> Statement:
    """Make the statement for a message that could not be read at all."""
    reading = Reading(names, HANDLERS, {}, bytes, columns=False)
    reading.defines()
    return Statement(
        verb="UNKNOWN",
        accesses=(Access("opaque", names.database),),
        privileged=True,
        opaque=reason,
        context=(("statement_count", 1), ("verb", "UNKNOWN")),
        effects=tuple(reading.effects),
        shape=shape,
        blots=blots,
        whole=True,
    )
