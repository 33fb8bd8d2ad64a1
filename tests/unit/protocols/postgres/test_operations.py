# SPDX-License-Identifier: Apache-2.0
"""Statements as a whole: what is opaque, what is privileged, what may be kept, and what changes for those behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from gatebook.model.operation import CacheScope, Effect, EffectKind, Statement
from gatebook.protocols.postgres.catalogue import CatalogueView
from gatebook.protocols.postgres.facts import SessionFacts
from gatebook.protocols.postgres.operations import STATEMENTS

Read = Callable[..., list[Statement]]
Accesses = Callable[..., list[str]]

STALE = Effect(EffectKind.FACTS_STALE)
CATALOGUE_CHANGED = Effect(EffectKind.CATALOGUE_CHANGED)


def test_an_empty_message_has_no_statement(read: Read) -> None:
    assert read("") == []
    assert read(" ; -- nothing\n") == []


def test_a_message_that_cannot_be_read_is_one_statement_that_may_change_anything(read: Read) -> None:
    for text in ("SELEC 1; SELECT 2", "SELECT 1;" * 1001):
        (statement,) = read(text)
        assert (statement.verb, statement.whole) == ("UNKNOWN", True)
        assert set(statement.effects) == {STALE, CATALOGUE_CHANGED}
    assert not any(statement.whole for statement in read("DO ''; SELECT 1"))


def test_tells_verb_count_and_clauses_to_policies(read: Read) -> None:
    first, second = read("SELECT * FROM orders WHERE id = 1 LIMIT 2; DELETE FROM orders")
    assert dict(first.context) == {"verb": "SELECT", "statement_count": 2, "has_where": True, "has_limit": True}
    assert dict(second.context) == {"verb": "DELETE", "statement_count": 2, "has_where": False}


@pytest.mark.parametrize(
    ("text", "privileged"),
    [
        ("SELECT * FROM orders", False),
        ("SELECT now(), upper('x')", False),
        ("SELECT discount(1)", True),
        ("SELECT nextval('orders_id_seq')", True),
        ("WITH gone AS (DELETE FROM orders RETURNING 1) SELECT 1", True),
        ("EXPLAIN ANALYZE UPDATE orders SET id = 1", True),
        ("COPY orders FROM STDIN", True),
        ("COPY orders TO STDOUT", False),
        ("BEGIN", False),
        ("SET work_mem = '1MB'", False),
        ("SET ROLE admin", True),
        ("CALL settle()", True),
        ("DO ''", True),
        ("nonsense", True),
    ],
)
def test_counts_as_privileged_what_is_not_known_to_only_read(read: Read, text: str, privileged: bool) -> None:
    (statement,) = read(text)
    assert statement.privileged is privileged


@pytest.mark.parametrize(
    ("text", "scope"),
    [
        ("SELECT * FROM orders WHERE id = 1", CacheScope.SHAPE),
        ("INSERT INTO orders (id) VALUES (1)", CacheScope.SHAPE),
        ("UPDATE orders SET total = 1 WHERE id = 1", CacheScope.SHAPE),
        ("DELETE FROM orders WHERE id = 1", CacheScope.SHAPE),
        ("SELECT nextval('orders_id_seq')", CacheScope.EXACT),
        ("SELECT set_config('work_mem', '1MB', true)", CacheScope.EXACT),
        ("SELECT discount(1)", CacheScope.EXACT),
        ("SELECT 1 %% 2", CacheScope.EXACT),
        ("SELECT * INTO copied FROM orders", CacheScope.EXACT),
        ("COPY orders TO STDOUT", CacheScope.EXACT),
        ("BEGIN", CacheScope.EXACT),
        ("SET work_mem = '1MB'", CacheScope.EXACT),
        ("EXECUTE p", CacheScope.NONE),
        ("FETCH 1 FROM c", CacheScope.NONE),
        ("DO ''", CacheScope.NONE),
        ("nonsense", CacheScope.NONE),
    ],
)
def test_lets_a_verdict_serve_as_widely_as_the_meaning_allows(read: Read, text: str, scope: CacheScope) -> None:
    (statement,) = read(text, prepared={b"p": b"SELECT 1"})
    assert statement.cacheable is scope


def test_keeps_no_verdict_while_the_facts_are_unknown(read: Read) -> None:
    (statement,) = read("SELECT 1", facts=None)
    assert statement.cacheable is CacheScope.NONE


@pytest.mark.parametrize(
    ("text", "effects"),
    [
        ("SELECT * FROM orders", ()),
        ("SELECT nextval('orders_id_seq')", ()),
        ("SELECT discount(1)", (STALE,)),
        ("SELECT pg_reload_conf()", (STALE,)),
        ("SET search_path = audit", (STALE,)),
        ("SET work_mem = '1MB'", ()),
        ("RESET ALL", (STALE,)),
        ("DISCARD ALL", (Effect(EffectKind.DEALLOCATE_ALL), STALE)),
        ("DISCARD PLANS", ()),
        ("CREATE TABLE x (id int)", (STALE, CATALOGUE_CHANGED)),
        ("PREPARE p AS SELECT 1", (Effect(EffectKind.PREPARE, "p"),)),
        ("DEALLOCATE p", (Effect(EffectKind.DEALLOCATE, "p"),)),
        ("DEALLOCATE ALL", (Effect(EffectKind.DEALLOCATE_ALL),)),
        ("COMMIT", ()),
    ],
)
def test_says_what_a_statement_changes_in_its_session(read: Read, text: str, effects: tuple[Effect, ...]) -> None:
    (statement,) = read(text)
    assert statement.effects == effects


def test_the_end_of_a_block_that_changed_names_changes_the_catalogue(read: Read) -> None:
    (statement,) = read("COMMIT", facts=None)
    assert statement.effects == (STALE, CATALOGUE_CHANGED)


def test_behind_a_change_of_the_path_no_name_of_the_same_message_is_known(read: Read) -> None:
    _, second = read("SET search_path = audit; SELECT * FROM public.orders")
    assert [str(access.object.kind) for access in second.accesses] == ["Unknown"]


def test_behind_a_definition_no_name_of_the_same_message_is_known(read: Read) -> None:
    _, second = read("CREATE TEMPORARY TABLE orders (id int); SELECT * FROM orders")
    assert [access.object.path for access in second.accesses] == [("shop", "shop", "orders")]


def test_execute_sees_what_the_same_message_prepared_and_forgot(read: Read) -> None:
    statements = read("PREPARE p AS DELETE FROM orders; EXECUTE p; DEALLOCATE p; EXECUTE p")
    assert [access.action for access in statements[1].accesses] == ["delete", "prepare"]
    assert statements[3].opaque == "no prepared statement `p` is known"


def test_blots_go_with_the_statement_that_holds_them(read: Read) -> None:
    first, second = read("SELECT 1; CREATE ROLE r PASSWORD 'geheim'")
    assert first.blots == ()
    assert second.blots == ((33, 41),)


def test_the_shape_of_each_statement_is_its_own_without_literals(read: Read) -> None:
    first, second = read("SELECT 'secret'; SELECT 2")
    assert "secret" not in first.shape
    assert first.shape.startswith("SELECT")
    assert second.shape.strip().startswith("SELECT")


def test_text_beyond_ascii_is_opaque_unless_the_encoding_is_known(read: Read, facts: SessionFacts) -> None:
    assert read("SELECT 'é'")[0].opaque == ""
    assert "client_encoding" in read("SELECT 'é'", facts=replace(facts, client_encoding="SJIS"))[0].opaque
    assert "client_encoding" in read("SELECT 'é'", facts=None)[0].opaque


def test_backslashes_are_opaque_unless_strings_are_known_to_be_standard(read: Read, facts: SessionFacts) -> None:
    assert read(r"SELECT '\'")[0].opaque == ""
    off = replace(facts, standard_conforming_strings=False)
    assert "standard_conforming_strings" in read(r"SELECT '\'", facts=off)[0].opaque


def test_a_session_that_may_read_otherwise_is_opaque_whatever_it_says_and_never_kept(
    read: Read, facts: SessionFacts
) -> None:
    for changed in (
        replace(facts, standard_conforming_strings=False),
        replace(facts, client_encoding="LATIN1"),
        replace(facts, client_encoding="SQL_ASCII"),
    ):
        first, second = read("SELECT 1; SELECT * FROM orders", facts=changed)
        assert first.opaque == second.opaque != ""
        assert "opaque" in {access.action for access in first.accesses}
        assert {access.action for access in second.accesses} == {"opaque", "select"}
        assert (first.cacheable, second.cacheable) == (CacheScope.NONE, CacheScope.NONE)
        assert Effect(EffectKind.FACTS_STALE) not in first.effects


def test_text_that_is_not_utf8_is_opaque(read: Read) -> None:
    (statement,) = read(b"SELECT '\xff'")
    assert statement.opaque != ""


def test_too_many_statements_are_opaque_together(read: Read) -> None:
    (statement,) = read("SELECT 1;" * (STATEMENTS + 1))
    assert statement.opaque == "its tree is too large, too deep or of another form"


@pytest.mark.parametrize("depth", [120, 400, 20_000])
def test_nesting_beyond_what_can_be_walked_is_opaque(read: Read, depth: int) -> None:
    (statement,) = read("SELECT " + "(SELECT " * depth + "1" + ")" * depth)
    assert statement.opaque != ""


def test_long_chains_are_no_nesting(read: Read) -> None:
    for operator in (" + ", " || ", " AND true OR "):
        (statement,) = read("SELECT " + operator.join(["1"] * 400))
        assert statement.opaque == ""
    assert read(" UNION ALL ".join(["SELECT 1"] * 200))[0].opaque == ""


def test_a_function_call_is_judged_by_what_its_oid_means(read: Read, catalogue: CatalogueView) -> None:
    def called(oid: int) -> list[str]:
        (statement,) = read(b"", via="function", arguments=oid.to_bytes(4, "big") + b"\0\0")
        return [f"{access.action} {access.object.kind} {access.object.path[-1]}" for access in statement.accesses]

    assert called(870) == ["compute Database shop"]
    assert called(2014) == ["execute Function nextval"]
    assert called(20500) == ["execute Function settle"]
    assert called(999) == ["execute Unknown function 999"]


def test_statements_with_nothing_to_judge_are_still_judged(accesses: Accesses) -> None:
    assert accesses("SELECT 1") == ["compute Database"]
