# SPDX-License-Identifier: Apache-2.0
"""What an approval of a PostgreSQL message covers: every byte, parameter, fact and version, or what its terms leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.asked import HOLD, PRINCIPAL, SALT
from unit.session.conftest import Book

from gatebook import policy
from gatebook.model.approval import Cover
from gatebook.model.decision import Decision, Result, Verdict
from gatebook.model.ids import EvaluationId, PolicyId, RoleName, SessionId, TargetName
from gatebook.model.operation import Access, CacheScope, ObjectKind, ObjectRef, Statement
from gatebook.model.target import Account, Address, Role, Target, TlsMode
from gatebook.native.pure import Question
from gatebook.protocols.postgres.binding import bind_matter, blotted, read_parameters
from gatebook.protocols.postgres.catalogue import CatalogueView, Relation, SchemaView
from gatebook.protocols.postgres.facts import SessionFacts
from gatebook.session.binding import Matter
from gatebook.session.gate import Rules, Session

ASKS = '@id("changes") @approval("dba") @message("why") permit (principal, action, resource);'
RULES = Rules(policy.load({"a.cedar": ASKS}), Book(), {})
ROLE = Role(RoleName("writer"), Account("shop_writer", None), ("agents",))
TARGET = Target(TargetName("shop"), "postgres", Address("127.0.0.1", 5432), TlsMode.DISABLE, b"", "db", (ROLE,))
SESSION = Session(SessionId("s_1"), PRINCIPAL, TARGET, ROLE, "db", tls=True)
THINGS = ObjectRef(ObjectKind.RELATION, ("shop", "db", "public", "things"))
PRICE = ObjectRef(ObjectKind.COLUMN, ("shop", "db", "public", "things", "price"))
RAISE = ObjectRef(ObjectKind.FUNCTION, ("shop", "db", "public", "raise"))
UPDATE = Statement(
    "UPDATE", (Access("update", THINGS), Access("execute", RAISE)), privileged=True, shape="UPDATE things SET price = ?"
)
FACTS = SessionFacts(("pg_catalog", "public"), "public", "app", "app", '"$user", public')


def view(*columns: str, oid: int = 7, function: str = "9 100") -> CatalogueView:
    relation = Relation(oid, "public", "things", "table", columns or ("id", "price"))
    return CatalogueView(
        1,
        {"public": SchemaView({"things": relation})},
        function_versions={("public", "raise"): (function,)},
    )


@dataclass
class Asked:
    """A native question, which cannot be made by hand."""

    via: str = "query"
    text: bytes = b"UPDATE things SET price = 7"
    types: bytes = b""
    arguments: bytes = b""
    prepared: list[tuple[bytes, bytes]] = field(default_factory=list)


def matter(
    asked: Asked | None = None,
    *,
    cover: Cover = Cover.EXACT,
    catalogue: CatalogueView | None = None,
    facts: SessionFacts | None = FACTS,
    statements: tuple[Statement, ...] = (UPDATE,),
    policies: int = 1,
) -> Matter:
    ids = tuple(PolicyId("changes") for _ in range(policies))
    decisions = tuple(Decision(Result.HOLD, ids, "sha256:all", hold=HOLD) for _ in statements)
    verdict = Verdict(
        EvaluationId("e"), statements, decisions, None, CacheScope.NONE, 1.0, held=replace(HOLD, cover=cover)
    )
    question = cast("Question", asked or Asked())
    return bind_matter(question, verdict, SESSION, RULES, view=catalogue or view(), facts=facts)


def digest(asked: Asked | None = None, **more: Any) -> str:  # noqa: ANN401  terms of `matter`
    return matter(asked, **more).bind(SALT).digest


def bind(*values: bytes | None, codes: tuple[int, ...] = (), results: tuple[int, ...] = ()) -> bytes:
    """A Bind behind its names."""
    told = len(codes).to_bytes(2, "big") + b"".join(code.to_bytes(2, "big") for code in codes)
    told += len(values).to_bytes(2, "big")
    for value in values:
        told += b"\xff\xff\xff\xff" if value is None else len(value).to_bytes(4, "big") + value
    return told + len(results).to_bytes(2, "big") + b"".join(code.to_bytes(2, "big") for code in results)


BOUND = Asked("bind", b"UPDATE things SET price = $1", (23).to_bytes(4, "big"), bind(b"7"))


def test_binds_the_text_by_hash_and_everything_else_as_it_is() -> None:
    binding = json.loads(matter(BOUND).bind(SALT).binding)
    hashed = {name: binding.pop(name) for name in ("text", "exact", "params")}
    assert all(value.startswith("sha256:") for value in hashed.values())
    assert {name: binding[name] for name in ("via", "facts", "accesses", "verbs", "types", "formats")} == {
        "via": "bind",
        "facts": {
            "schemas": ["pg_catalog", "public"],
            "creation": "public",
            "search_path": '"$user", public',
            "session_user": "app",
            "current_user": "app",
            "encoding": "UTF8",
            "strings": True,
        },
        "accesses": [
            ["execute", "Function:shop.db.public.raise", "9 100"],
            ["update", "Relation:shop.db.public.things", "7 table (id, price)"],
        ],
        "verbs": ["UPDATE"],
        "types": [23],
        "formats": [0],
    }
    assert binding.keys() == {
        *("v", "kind", "identity", "where", "policies", "hold"),
        *("via", "facts", "accesses", "verbs", "types", "formats"),
    }


def test_people_see_text_parameters_and_policies() -> None:
    shown = matter(BOUND).shown
    assert shown["text"] == "UPDATE things SET price = $1"
    assert shown["params"] == [{"text": "7"}]
    assert shown["policies"] == [{"id": "changes", "message": "why", "hint": ""}]
    assert shown["shapes"] == ["UPDATE things SET price = ?"]
    assert matter(Asked(text=b"SELECT '\xff'")).shown["text"] == {"base64": "U0VMRUNUICf/Jw=="}


CHANGES: dict[str, Callable[[], str]] = {
    "a byte of the text": lambda: digest(replace(BOUND, text=b"UPDATE things SET price = $2")),
    "a comment": lambda: digest(replace(BOUND, text=BOUND.text + b"--")),
    "a space": lambda: digest(replace(BOUND, text=b" " + BOUND.text)),
    "a parameter": lambda: digest(replace(BOUND, arguments=bind(b"8"))),
    "no parameter": lambda: digest(replace(BOUND, arguments=bind(None))),
    "one parameter more": lambda: digest(replace(BOUND, arguments=bind(b"7", b"7"))),
    "the format of a parameter": lambda: digest(replace(BOUND, arguments=bind(b"7", codes=(1,)))),
    "the format of results": lambda: digest(replace(BOUND, arguments=bind(b"7", results=(1,)))),
    "a byte behind the message": lambda: digest(replace(BOUND, arguments=BOUND.arguments + b"\0")),
    "a type": lambda: digest(replace(BOUND, types=(25).to_bytes(4, "big"))),
    "the kind of message": lambda: digest(replace(BOUND, via="query")),
    "statements prepared by SQL": lambda: digest(replace(BOUND, prepared=[(b"a", b"DELETE FROM things")])),
    "the terms": lambda: digest(BOUND, cover=Cover.SHAPE),
    "a table made anew": lambda: digest(BOUND, catalogue=view(oid=8)),
    "a column added": lambda: digest(BOUND, catalogue=view("id", "price", "more")),
    "a function replaced": lambda: digest(BOUND, catalogue=view(function="9 101")),
    "the table gone": lambda: digest(BOUND, catalogue=CatalogueView(1)),
    "schemas": lambda: digest(BOUND, facts=replace(FACTS, schemas=("evil", "public"))),
    "the schema of new objects": lambda: digest(BOUND, facts=replace(FACTS, creation_schema="evil")),
    "search_path": lambda: digest(BOUND, facts=replace(FACTS, search_path="evil")),
    "session_user": lambda: digest(BOUND, facts=replace(FACTS, session_user="postgres")),
    "current_user": lambda: digest(BOUND, facts=replace(FACTS, current_user="postgres")),
    "encoding": lambda: digest(BOUND, facts=replace(FACTS, client_encoding="SJIS")),
    "strings": lambda: digest(BOUND, facts=replace(FACTS, standard_conforming_strings=False)),
    "no facts": lambda: digest(BOUND, facts=None),
    "an action": lambda: digest(BOUND, statements=(replace(UPDATE, accesses=(Access("delete", THINGS),)),)),
    "an access": lambda: digest(BOUND, statements=(replace(UPDATE, accesses=UPDATE.accesses[:1]),)),
    "a verb": lambda: digest(BOUND, statements=(replace(UPDATE, verb="DELETE"),)),
    "a statement": lambda: digest(BOUND, statements=(UPDATE, UPDATE)),
}


@pytest.mark.parametrize("what", CHANGES)
def test_ap_04_whatever_is_bound_changes_the_digest(what: str) -> None:
    assert CHANGES[what]() != digest(BOUND)


def test_ap_04_no_two_changes_are_one() -> None:
    assert len({change() for change in CHANGES.values()}) == len(CHANGES)


@given(st.data())
def test_ap_04_one_byte_of_text_or_parameters_changes_the_digest(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["text", "arguments"]))
    value = getattr(BOUND, name)
    at, bit = data.draw(st.integers(0, len(value) - 1)), data.draw(st.integers(0, 7))
    changed = value[:at] + bytes([value[at] ^ (1 << bit)]) + value[at + 1 :]
    assert digest(replace(BOUND, **{name: changed})) != digest(BOUND)


def test_with_shape_literals_and_parameters_are_free_and_the_shape_is_not() -> None:
    usual = digest(BOUND, cover=Cover.SHAPE)
    free = [
        replace(BOUND, text=b"UPDATE things SET price = 8 -- why"),
        replace(BOUND, arguments=bind(b"8", codes=(1,))),
        replace(BOUND, types=b""),
    ]
    assert {digest(one, cover=Cover.SHAPE) for one in free} == {usual}
    other = replace(UPDATE, shape="UPDATE things SET price = ? WHERE id = ?")
    assert digest(BOUND, cover=Cover.SHAPE, statements=(other,)) != usual
    assert digest(BOUND, cover=Cover.SHAPE, catalogue=view(oid=8)) != usual
    assert digest(replace(BOUND, via="query"), cover=Cover.SHAPE) != usual
    assert digest(replace(BOUND, prepared=[(b"a", b"b")]), cover=Cover.SHAPE) != usual


def test_with_object_the_shape_is_free_and_accesses_are_not() -> None:
    usual = digest(BOUND, cover=Cover.OBJECT)
    other = replace(UPDATE, shape="UPDATE things SET price = ? WHERE id = ?")
    assert digest(replace(BOUND, text=b"x"), cover=Cover.OBJECT, statements=(other,)) == usual
    for change in (
        {"statements": (replace(UPDATE, accesses=(Access("delete", THINGS),)),)},
        {"catalogue": view("id")},
        {"facts": replace(FACTS, search_path="evil")},
    ):
        assert digest(BOUND, cover=Cover.OBJECT, **change) != usual


def test_passwords_are_blotted_out_of_what_is_shown_and_bound_as_text() -> None:
    alter = Asked(text=b"ALTER ROLE x PASSWORD 'secret'")
    told = matter(alter, statements=(replace(UPDATE, blots=((22, 30),)),))
    assert told.shown["text"] == "ALTER ROLE x PASSWORD ********"
    assert told.hidden["text"] == b"ALTER ROLE x PASSWORD ********"
    assert told.hidden["exact"] == b"ALTER ROLE x PASSWORD 'secret'\0"
    assert blotted(b"abc", [(1, 99)]) == b"a**"
    assert blotted(b"abc", []) == b"abc"


def test_a_column_has_the_version_of_its_relation_and_a_temporary_table_that_of_the_session() -> None:
    def versions(*refs: ObjectRef, facts: SessionFacts | None = FACTS) -> list[Any]:
        accesses = tuple(Access("select", ref) for ref in refs)
        told = cast(
            "list[list[str]]", matter(statements=(replace(UPDATE, accesses=accesses),), facts=facts).public["accesses"]
        )
        return [access[2] for access in told]

    assert versions(PRICE) == ["7 table (id, price)"]
    temporary = ObjectRef(ObjectKind.RELATION, ("shop", "db", "pg_temp", "work"))
    known = replace(FACTS, temp_relations={"work": Relation(0, "pg_temp", "work", "table", ("a", "b"))})
    assert versions(temporary, facts=known) == ["temporary table (a, b)"]
    assert versions(temporary) == [""]
    assert versions(temporary, facts=None) == [""]
    assert versions(ObjectRef(ObjectKind.SETTING, ("shop", "db", "work_mem"))) == [""]


@pytest.mark.parametrize(
    ("arguments", "params", "formats"),
    [
        (b"", [], []),
        (bind(), [], [0]),
        (bind(b"7", None), [{"text": "7"}, {"null": True}], [0]),
        (bind(b"7", b"\x00", codes=(1,)), [{"base64": "Nw=="}, {"base64": "AA=="}], [1, 1]),
        (bind(b"7", b"\x00", codes=(0, 1), results=(1, 0)), [{"text": "7"}, {"base64": "AA=="}], [2, 0, 1, 1, 0]),
        (bind(b"\xff"), [{"base64": "/w=="}], [0]),
        (bind(b""), [{"text": ""}], [0]),
    ],
)
def test_reads_parameters_of_a_bind(arguments: bytes, params: list[object], formats: list[int]) -> None:
    assert read_parameters(arguments, "bind") == (params, formats)


def test_reads_arguments_of_a_function_call() -> None:
    call = (77).to_bytes(4, "big") + bind(b"7")[:-2] + (1).to_bytes(2, "big")
    assert read_parameters(call, "function") == ([{"text": "7"}], [0, 1])


@pytest.mark.parametrize(
    "arguments",
    [
        *[bind(b"7", codes=(1,), results=(0,))[:length] for length in range(1, 15)],
        bind(b"7", codes=(0, 1)),
        bind(b"7").replace((1).to_bytes(4, "big"), (99).to_bytes(4, "big")),
        bind(b"7").replace((1).to_bytes(4, "big"), b"\xff\xff\xff\xfe"),
    ],
)
def test_malformed_parameters_are_none_and_told_apart(arguments: bytes) -> None:
    assert read_parameters(arguments, "bind") == ([], [-1])


@given(st.binary(max_size=60), st.sampled_from(["bind", "function"]))
def test_nothing_is_raised_for_any_bytes(data: bytes, via: str) -> None:
    params, formats = read_parameters(data, via)
    assert formats != [-1] or params == []


def test_what_cannot_be_told_to_people_is_unfit() -> None:
    assert matter(BOUND).unfit == ""
    assert matter(BOUND, facts=None).unfit == "names in it do not resolve now"
    long = "it is too long to be read by a person"
    assert matter(Asked(text=b"x" * 65_536)).unfit == ""
    assert matter(Asked(text=b"x" * 65_537)).unfit == long
    assert matter(Asked("bind", b"x" * 65_530, b"", bind(b"7"))).unfit == long
    assert matter(Asked(text=b"x", prepared=[(b"a", b"x" * 65_536)])).unfit == long
    many = tuple(Access("select", ObjectRef(ObjectKind.RELATION, ("shop", "db", "public", str(n)))) for n in range(101))
    assert matter(statements=(replace(UPDATE, accesses=many),)).unfit == long
    assert matter(statements=(replace(UPDATE, accesses=many[:100]),)).unfit == ""
    assert matter(statements=(UPDATE,) * 101).unfit == long
