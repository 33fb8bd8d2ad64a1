# SPDX-License-Identifier: Apache-2.0
"""Decisions: deny by default, forbid wins, doubt refuses, and every answer names its policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cedarpy import is_authorized_batch

from gatebook.model.approval import Requirement
from gatebook.model.decision import Decision, Result
from gatebook.model.operation import Access
from gatebook.model.principal import Principal, PrincipalKind, Subject
from gatebook.policy import PERMIT_ALL, Engine, PolicyFault, load
from gatebook.policy import engine as engine_module

Context = dict[str, bool | int | str | datetime]
To = Callable[[str], Access]
DEMO = Path(__file__).parents[3] / "examples/demo/policies/shop.cedar"


def _decide(engine: Engine, who: Principal, context: Context, to: To, *accesses: str) -> Decision:
    return engine.decide(who, [to(text) for text in accesses], context)


def test_without_a_policy_everything_is_refused(agent: Principal, context: Context, access: To) -> None:
    decision = _decide(load({}), agent, context, access, "select public.orders")
    assert decision.result is Result.REFUSE
    assert decision.code == "policy.denied"
    assert decision.policies == ()
    assert decision.reasons == ("no policy permits `select` on Relation `shop.shop.public.orders`",)
    assert decision.denied == (access("select public.orders"),)


def test_nothing_to_judge_is_refused(agent: Principal, context: Context) -> None:
    decision = load({"all": PERMIT_ALL}).decide(agent, [], context)
    assert decision.result is Result.REFUSE
    assert decision.reasons == ("nothing to judge",)


@pytest.mark.parametrize(
    "text",
    [
        "login Database", "compute Database", "select public.orders", "select Unknown x", "opaque Database",
        "set_role Role admin", "server_program Database", "create Target", "execute Function public.f",
        "listen Channel c", "set Setting x", "drop Schema public", "comment Column public.orders.id",
    ],
)  # fmt: skip
def test_permit_all_permits_all(agent: Principal, context: Context, access: To, text: str) -> None:
    decision = _decide(load({"all": PERMIT_ALL}), agent, context, access, text)
    assert (decision.result, decision.policies) == (Result.ALLOW, ("permit-all",))


def test_one_access_that_is_not_permitted_refuses_the_statement(agent: Principal, context: Context, access: To) -> None:
    engine = load({"a": '@id("orders") permit (principal, action, resource == Relation::"shop.shop.public.orders");'})
    decision = _decide(engine, agent, context, access, "select public.orders", "select public.employees")
    assert decision.result is Result.REFUSE
    assert decision.denied == (access("select public.employees"),)


def test_forbid_wins_and_says_so(agent: Principal, context: Context, access: To) -> None:
    engine = load(
        {
            "a": PERMIT_ALL,
            "b": '@id("no-ddl") @message("not here") @hint("ask") '
            'forbid (principal, action in Action::"define", resource);',
        }
    )
    decision = _decide(engine, agent, context, access, "drop public.orders")
    assert decision.result is Result.REFUSE
    assert decision.policies == ("no-ddl",)
    assert decision.reasons == ("`no-ddl` forbids `drop` on Relation `shop.shop.public.orders`: not here",)
    assert engine.hint(decision.policies[0]) == "ask"


def test_an_allowed_statement_names_all_its_policies(agent: Principal, context: Context, access: To) -> None:
    engine = load(
        {
            "a": '@id("read") permit (principal, action in Action::"read", resource);'
            '@id("also") permit (principal, action == Action::"select", resource);'
            '@id("write") permit (principal, action == Action::"insert", resource);'
        }
    )
    decision = _decide(engine, agent, context, access, "select public.orders", "insert public.orders")
    assert (decision.result, decision.policies) == (Result.ALLOW, ("also", "read", "write"))


def test_a_forbid_that_fails_to_evaluate_refuses(agent: Principal, context: Context, access: To) -> None:
    overflow = "context.statement_count + 9223372036854775807 > 0"
    engine = load({"a": PERMIT_ALL, "b": f'@id("bad") forbid (principal, action, resource) when {{ {overflow} }};'})
    decision = _decide(engine, agent, context, access, "select public.orders")
    assert decision.result is Result.REFUSE
    assert decision.code == "policy.error"


def test_circumstances_that_do_not_fit_the_schema_refuse(agent: Principal, context: Context, access: To) -> None:
    engine = load({"a": PERMIT_ALL})
    del context["verb"]
    decision = _decide(engine, agent, context, access, "select public.orders")
    assert (decision.result, decision.code) == (Result.REFUSE, "policy.error")
    context["verb"] = 7
    assert _decide(engine, agent, context, access, "select public.orders").code == "policy.error"


def test_every_actor_of_the_chain_must_be_permitted(agent: Principal, context: Context, access: To) -> None:
    engine = load(
        {
            "a": '@id("person") permit (principal == Person::"idp|ann", action, resource);'
            '@id("bot") permit (principal == Agent::"idp|bot", action in Action::"read", resource);'
        }
    )
    ann = Principal(PrincipalKind.PERSON, Subject("idp", "ann"), (), None, (Subject("idp", "bot"),), "oidc", "x")
    assert _decide(engine, ann, context, access, "select public.orders").result is Result.ALLOW
    assert _decide(engine, ann, context, access, "insert public.orders").result is Result.REFUSE
    alone = replace(ann, chain=())
    assert _decide(engine, alone, context, access, "insert public.orders").result is Result.ALLOW


def test_policies_can_speak_of_the_owner_of_an_agent(agent: Principal, context: Context, access: To) -> None:
    engine = load(
        {
            "a": "permit (principal is Agent, action, resource) "
            'when { principal has owner && principal.owner == Person::"keys|ann" };'
        }
    )
    assert _decide(engine, agent, context, access, "select public.orders").result is Result.ALLOW
    orphan = replace(agent, owner=Subject("keys", "eve"))
    assert _decide(engine, orphan, context, access, "select public.orders").result is Result.REFUSE


def test_policies_can_speak_of_kind_and_clauses(agent: Principal, context: Context, access: To) -> None:
    engine = load(
        {
            "a": '@id("views") permit (principal, action == Action::"select", resource is Relation) '
            'when { resource.kind == "view" && !resource.system };'
            '@id("delete-with-where") permit (principal, action == Action::"delete", resource) '
            "when { context has has_where && context.has_where };"
        }
    )
    orders = [access("select public.orders")]
    assert engine.decide(agent, orders, context, lambda _ref: "view").result is Result.ALLOW
    assert engine.decide(agent, orders, context, lambda _ref: "table").result is Result.REFUSE
    delete = [access("delete public.orders")]
    assert engine.decide(agent, delete, {**context, "has_where": True}).result is Result.ALLOW
    assert engine.decide(agent, delete, {**context, "has_where": False}).result is Result.REFUSE
    assert engine.decide(agent, delete, context).result is Result.REFUSE


# ── names that do not resolve, statements that are not understood ───────────────────────────────


def test_only_a_permit_on_the_whole_database_covers_the_unknown(agent: Principal, context: Context, access: To) -> None:
    narrow = load({"a": 'permit (principal, action, resource in Schema::"shop.shop.public");'})
    decision = _decide(narrow, agent, context, access, "select Unknown x")
    assert (decision.result, decision.code) == (Result.REFUSE, "policy.unknown")
    whole = load({"a": 'permit (principal, action, resource in Database::"shop.shop");'})
    assert _decide(whole, agent, context, access, "select Unknown x").result is Result.ALLOW


@pytest.mark.parametrize(
    "forbid",
    [
        'forbid (principal, action, resource in Relation::"shop.shop.public.employees");',
        'forbid (principal, action in Action::"read", resource in Schema::"shop.shop.hr");',
        'forbid (principal in Group::"shop-agents", action, resource == Column::"shop.shop.public.employees.salary");',
        'forbid (principal, action == Action::"select", resource is Relation) when { resource.kind == "view" };',
        'forbid (principal, action == Action::"select", resource) when { resource.name == "employees" };',
        'forbid (principal, action == Action::"select", resource is Relation);',
    ],
)
def test_what_a_forbid_protects_might_be_the_unknown(
    agent: Principal, context: Context, access: To, forbid: str
) -> None:
    engine = load({"a": PERMIT_ALL, "b": f'@id("guard") {forbid}'})
    decision = _decide(engine, agent, context, access, "select Unknown x")
    assert decision.result is Result.REFUSE
    assert decision.policies == ("guard",)


@pytest.mark.parametrize(
    "forbid",
    [
        'forbid (principal, action == Action::"insert", resource in Relation::"shop.shop.public.employees");',
        'forbid (principal, action, resource in Relation::"shop.other.public.employees");',
        'forbid (principal in Group::"others", action, resource in Relation::"shop.shop.public.employees");',
        'forbid (principal == Person::"keys|eve", action, resource in Relation::"shop.shop.public.employees");',
        'forbid (principal, action == Action::"select", resource in Database::"shop.other");',
    ],
)
def test_a_forbid_about_something_else_leaves_the_unknown_alone(
    agent: Principal, context: Context, access: To, forbid: str
) -> None:
    engine = load({"a": PERMIT_ALL, "b": forbid})
    assert _decide(engine, agent, context, access, "select Unknown x").result is Result.ALLOW


def test_opaque_needs_a_permit_that_names_it(agent: Principal, context: Context, access: To) -> None:
    engine = load({"a": 'permit (principal, action in [Action::"read", Action::"write"], resource);'})
    decision = _decide(engine, agent, context, access, "opaque Database", "select public.orders")
    assert (decision.result, decision.code) == (Result.REFUSE, "policy.opaque")
    named = load({"a": '@id("o") permit (principal, action == Action::"opaque", resource in Target::"shop");'})
    assert _decide(named, agent, context, access, "opaque Database").result is Result.ALLOW


# ── columns ─────────────────────────────────────────────────────────────────────────────────────

COLUMNS = '@id("{}") {} (principal, action == Action::"select", resource == Column::"shop.shop.public.employees.{}");'


def test_a_permit_on_every_column_used_stands_for_the_relation(agent: Principal, context: Context, access: To) -> None:
    engine = load({"a": COLUMNS.format("name", "permit", "name")})
    name, salary = "select Column public.employees.name", "select Column public.employees.salary"
    decision = _decide(engine, agent, context, access, "select public.employees", name)
    assert (decision.result, decision.policies) == (Result.ALLOW, ("name",))
    assert _decide(engine, agent, context, access, "select public.employees", name, salary).result is Result.REFUSE
    assert _decide(engine, agent, context, access, "select public.employees").result is Result.REFUSE


def test_a_forbid_on_a_column_holds_against_a_permit_on_the_relation(
    agent: Principal, context: Context, access: To
) -> None:
    whole = '@id("all") permit (principal, action, resource == Relation::"shop.shop.public.employees");'
    engine = load({"a": whole + COLUMNS.format("salary", "forbid", "salary")})
    name, salary = "select Column public.employees.name", "select Column public.employees.salary"
    assert _decide(engine, agent, context, access, "select public.employees", name).result is Result.ALLOW
    refused = _decide(engine, agent, context, access, "select public.employees", name, salary)
    assert (refused.result, refused.policies) == (Result.REFUSE, ("salary",))


def test_a_forbid_on_the_relation_holds_against_permits_on_columns(
    agent: Principal, context: Context, access: To
) -> None:
    forbid = '@id("none") forbid (principal, action, resource == Relation::"shop.shop.public.employees");'
    engine = load({"a": forbid + COLUMNS.format("name", "permit", "name")})
    decision = _decide(engine, agent, context, access, "select public.employees", "select Column public.employees.name")
    assert (decision.result, decision.policies) == (Result.REFUSE, ("none",))


@pytest.mark.parametrize(
    ("policy", "mentions"),
    [
        (PERMIT_ALL, False),
        ('permit (principal, action, resource in Relation::"a.b.c.d");', False),
        (COLUMNS.format("x", "permit", "y"), True),
        ('permit (principal, action == Action::"select", resource is Column);', True),
        ('forbid (principal, action == Action::"select", resource) when { resource.name == "ssn" };', True),
        ('forbid (principal, action == Action::"select", resource is Relation) when { resource.name == "x" };', False),
    ],
)
def test_tells_whether_columns_matter(policy: str, mentions: bool) -> None:
    assert load({"a": policy}).mentions_columns is mentions


# ── what may be kept ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("condition", "depends"),
    [
        ("true", False),
        ('context.verb == "SELECT"', False),
        ("context has has_where && context.has_where", False),
        ('context.now > datetime("2020-01-01")', True),
        ("context.in_transaction", True),
        ('context.via == "query"', True),
        ("context.tls", True),
    ],
)
def test_tells_what_depends_on_the_moment(
    agent: Principal, context: Context, access: To, condition: str, depends: bool
) -> None:
    engine = load({"a": f"permit (principal, action, resource) when {{ {condition} }};"})
    assert _decide(engine, agent, context, access, "select public.orders").time_dependent is depends


def test_a_policy_about_other_actions_or_people_makes_nothing_depend_on_the_moment(
    agent: Principal, context: Context, access: To
) -> None:
    moment = 'when { context.now > datetime("2020-01-01") };'
    other = load({"a": f'permit (principal, action == Action::"insert", resource) {moment}'})
    assert not _decide(other, agent, context, access, "select public.orders").time_dependent
    them = load({"a": f'permit (principal in Group::"others", action, resource) {moment}'})
    assert not _decide(them, agent, context, access, "select public.orders").time_dependent


def test_the_moment_decides(agent: Principal, context: Context, access: To) -> None:
    hours = 'context.now.toTime() >= duration("9h") && context.now.toTime() < duration("17h")'
    engine = load({"a": f"permit (principal, action, resource) when {{ {hours} }};"})
    assert _decide(engine, agent, context, access, "select public.orders").result is Result.REFUSE
    context["now"] = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert _decide(engine, agent, context, access, "select public.orders").result is Result.ALLOW


# ── hash, explanation, the demo ─────────────────────────────────────────────────────────────────


def test_what_is_asked_again_is_not_evaluated_again(
    agent: Principal, context: Context, access: To, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluated: list[int] = []

    def counted(requests: list[Any], *rest: Any) -> Any:  # noqa: ANN401  whatever the library takes and gives
        evaluated.append(len(requests))
        return is_authorized_batch(requests, *rest)

    monkeypatch.setattr("gatebook.policy.engine.is_authorized_batch", counted)
    where = '@id("where") permit (principal, action in Action::"read", resource) when { context.has_where };'
    engine = load({"a": where.replace("context.has_where", "context has has_where && context.has_where")})
    narrow, wide = {**context, "has_where": True}, {**context, "has_where": False}
    for later in range(3):
        moment = datetime(2026, 11, 25, later, tzinfo=UTC)
        assert _decide(engine, agent, {**narrow, "now": moment}, access, "select public.orders").result is Result.ALLOW
        assert _decide(engine, agent, {**wide, "now": moment}, access, "select public.orders").result is Result.REFUSE
    other = replace(agent, groups=())
    assert _decide(engine, other, narrow, access, "select public.orders").result is Result.ALLOW
    assert _decide(engine, agent, narrow, access, "select public.payments").result is Result.ALLOW
    assert evaluated == [1, 1, 1, 1]
    view = engine.decide(agent, [access("select public.orders")], narrow, lambda _ref: "view")
    assert (view.result, len(evaluated)) == (Result.ALLOW, 5)


def test_what_depends_on_the_moment_is_evaluated_each_time(agent: Principal, context: Context, access: To) -> None:
    text = '@id("until") permit (principal, action, resource) when { context.now < datetime("2026-11-25T12:00:00Z") };'
    engine = load({"a": text})
    for hour, result in ((11, Result.ALLOW), (13, Result.REFUSE), (11, Result.ALLOW)):
        moment = datetime(2026, 11, 25, hour, tzinfo=UTC)
        assert _decide(engine, agent, {**context, "now": moment}, access, "select public.orders").result is result


def test_memory_of_decisions_is_bounded(
    agent: Principal, context: Context, access: To, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_DECISIONS", 3)
    engine = load({"a": PERMIT_ALL})
    for number in range(10):
        _decide(engine, agent, context, access, f"select public.t{number}")
    assert len(engine._decisions) <= 3


def test_the_hash_is_of_names_and_texts() -> None:
    first = load({"a": PERMIT_ALL}).hash
    assert first == load({"a": PERMIT_ALL}).hash
    assert first != load({"b": PERMIT_ALL}).hash
    assert first != load({"a": PERMIT_ALL + "\n"}).hash
    assert first.startswith("sha256:")
    assert len(first) == 71


def test_explains_who_permits_who_forbids_and_what_is_missing(agent: Principal, context: Context, access: To) -> None:
    engine = load(
        {
            "a": '@id("p") permit (principal, action in Action::"read", resource);'
            '@id("f") forbid (principal, action, resource == Relation::"shop.shop.public.employees");'
        }
    )
    orders, employees, insert = engine.explain(
        agent,
        [access("select public.orders"), access("select public.employees"), access("insert public.orders")],
        context,
    )
    assert (orders.permitted, orders.permits, orders.forbids, orders.needed) == (True, ("p",), (), "")
    assert (employees.permitted, employees.permits, employees.forbids) == (False, ("p",), ("f",))
    assert employees.needed == "a change of `f`: a forbid wins over every permit"
    assert insert.needed == (
        'a permit with action == Action::"insert" and resource == Relation::"shop.shop.public.orders", '
        "or on something that holds it"
    )


def test_a_fault_is_raised_with_all_problems() -> None:
    with pytest.raises(PolicyFault) as caught:
        load({"b.cedar": "permit (principal, action, resource)", "a.cedar": "\nnonsense;"})
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [("a.cedar", 2), ("b.cedar", 1)]


@pytest.mark.parametrize(
    ("accesses", "allowed"),
    [
        (["login Database"], True),
        (["compute Database"], True),
        (["transaction Database"], True),
        (["adjust Setting search_path"], True),
        (["select public.customers", "select public.orders", "select public.payments"], True),
        (["select public.employees"], False),
        (["insert public.orders", "lock public.orders"], True),
        (["insert public.payments"], True),
        (["update public.payments"], False),
        (["delete public.orders"], False),
        (["select pg_catalog.pg_class"], True),
        (["select information_schema.tables"], True),
        (["select pg_catalog.pg_stats"], False),
        (["select pg_catalog.pg_authid"], False),
        (["drop public.orders"], False),
        (["create Unknown x"], False),
        (["opaque Database"], False),
        (["execute Function pg_catalog.pg_sleep"], False),
        (["server_program Database"], False),
        (["set_role Role admin"], False),
    ],
)
def test_the_demo_policies_do_what_they_say(
    agent: Principal, context: Context, access: To, accesses: list[str], allowed: bool
) -> None:
    engine = load({DEMO.name: DEMO.read_text()})
    decision = _decide(engine, agent, context, access, *accesses)
    assert (decision.result is Result.ALLOW) is allowed


def test_the_demo_asks_the_owners_before_a_whole_table_is_updated(
    agent: Principal, context: Context, access: To
) -> None:
    engine = load({DEMO.name: DEMO.read_text()})
    held = engine.decide(agent, [access("update public.orders")], context | {"has_where": False})
    assert held.result is Result.HOLD
    assert held.hold is not None
    assert held.hold.requirements == (Requirement("shop-owners", 1),)
    narrow = engine.decide(agent, [access("update public.orders")], context | {"has_where": True})
    assert narrow.result is Result.ALLOW


def test_the_demo_refuses_definitions_with_a_message(agent: Principal, context: Context, access: To) -> None:
    engine = load({DEMO.name: DEMO.read_text()})
    decision = _decide(engine, agent, context, access, "drop public.orders")
    assert decision.policies == ("shop-agents-no-definitions",)
    assert "agents do not change what the shop's database is made of" in decision.reasons[0]
    assert engine.hint(decision.policies[0]) == "ask the owners of the shop for a migration"
