# SPDX-License-Identifier: Apache-2.0
"""What the command line asks of targets and policies, answered as a gate would: explain, cases, logins at a target.

Nothing is run for an agent: names are looked up in the real catalogue with the gate's own accounts, and policies asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg

from gatebook.config import Secrets, Settings, load_settings, resolve_target
from gatebook.config.cases import Case, load_cases
from gatebook.evidence.entry import Leaf
from gatebook.identity import api_key, token
from gatebook.model.credential import KeyRecord, Person
from gatebook.model.errors import GatebookError, OperatorFault, quoted
from gatebook.model.ids import EvaluationId, SessionId
from gatebook.model.operation import Access, ObjectKind, ObjectRef, Operation, Statement
from gatebook.model.principal import Principal, PrincipalKind, Subject
from gatebook.model.target import Role, Target
from gatebook.policy.engine import Explained
from gatebook.protocols.postgres.catalogue import CatalogueView
from gatebook.protocols.postgres.facts import FACTS_QUERY, SessionFacts, parse_facts
from gatebook.protocols.postgres.handler import read_text
from gatebook.serve.catalogues import DatabaseCatalogue, connect
from gatebook.serve.fresh import now
from gatebook.serve.rules import load_policies
from gatebook.session import steps
from gatebook.session.gate import Circumstances, Rules, Session


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a test of a target: what was tried, whether it went well, and what was seen or should be done."""

    name: str
    passed: bool
    words: str


def explain(
    config: Path, *, agent: str, groups: tuple[str, ...], target_name: str, sql: str, database: str = ""
) -> list[Leaf]:
    """Tell per access of each statement what the policies say, as that agent in those groups at that target.

    Names are resolved against the real catalogue, as a new session would. OperatorFault if the target is not known or
    cannot be read.
    """
    settings = load_settings(config)
    engine = load_policies(settings)
    target = _find_target(settings, target_name)
    name = database if database and target.any_database else target.database
    view, facts = asyncio.run(_read_database(target, name, target.roles[0]))
    subject = Subject(f"gatebook:{settings.gate.name}", agent)
    principal = Principal(PrincipalKind.AGENT, subject, groups, None, (subject,), "api_key", "")
    role = next((role for role in target.roles if set(role.groups) & set(groups)), target.roles[0])
    session = Session(SessionId(""), principal, target, role, name, tls=True)
    operation = read_text(sql.encode(), target.name, name, view, facts)
    circumstances = Circumstances(now(), EvaluationId(""), in_transaction=False, kind_of=view.kind_of)
    answers: list[Leaf] = []
    for index, statement in enumerate(operation.statements):
        for told in steps.explain(session, operation, statement, engine, circumstances):
            answers.append(_explained(index, statement, told))  # noqa: PERF401  # two loops deep
    return answers


def test_policies(config: Path, cases: Path, policies: Path | None) -> list[Leaf]:
    """Decide each case of a file as a gate would, and tell whether that is what it expects; one object per case.

    `policies` is a folder to be asked in place of the configuration's. OperatorFault for what is wrong with a file, or
    if a target's catalogue cannot be read.
    """
    settings = load_settings(config)
    if policies is not None:
        settings = replace(settings, policy=replace(settings.policy, folder=policies.absolute()))
    rules = Rules(engine=load_policies(settings), book=_NoKeys(), targets={})
    listed = load_cases(cases)
    targets = {name: _find_target(settings, name) for name in dict.fromkeys(case.target for case in listed)}
    return asyncio.run(_judge_cases(listed, targets, rules, f"gatebook:{settings.gate.name}"))


async def _judge_cases(
    cases: Sequence[Case], targets: Mapping[str, Target], rules: Rules, own_issuer: str
) -> list[Leaf]:
    read: dict[tuple[str, str], tuple[CatalogueView, SessionFacts | None]] = {}
    told: list[Leaf] = []
    for case in cases:
        target = targets[case.target]
        principal = _principal(case, own_issuer)
        role = next((role for role in target.roles if set(role.groups) & set(case.groups)), None)
        if role is None:
            told.append(_told(case, "refuse", "authn.failed", f"no role at {target.name} for these groups", ()))
            continue
        key = (target.name, role.name)
        if key not in read:
            read[key] = await _read_database(target, target.database, role)
        session = Session(SessionId(""), principal, target, role, target.database, tls=True)
        told.append(_judge_case(case, session, rules, *read[key]))
    return told


def _judge_case(case: Case, session: Session, rules: Rules, view: CatalogueView, facts: SessionFacts | None) -> Leaf:
    circumstances = Circumstances(now(), EvaluationId(""), in_transaction=False, kind_of=view.kind_of)
    here = ObjectRef(ObjectKind.DATABASE, (session.target.name, session.database))
    login = Operation("login", (Statement("LOGIN", (Access("login", here),), privileged=False),))
    if (refused := steps.decide(session, login, rules, circumstances).refused) is not None:
        return _told(case, "refuse", "admit.denied", refused.message, ())
    operation = read_text(case.statement.encode(), session.target.name, session.database, view, facts)
    verdict = steps.decide(session, operation, rules, circumstances)
    policies = sorted({policy for decision in verdict.decisions for policy in decision.policies})
    if verdict.refused is not None:
        return _told(case, "refuse", verdict.refused.code, verdict.refused.message, policies)
    return _told(case, "allow", "", "", policies)


def _told(case: Case, decision: str, code: str, reason: str, policies: Sequence[str]) -> Leaf:
    passed = decision == case.expect and case.code in {"", code}
    return {
        "case": case.name,
        "passed": passed,
        "expected": case.expect + (f" ({case.code})" if case.code else ""),
        "decision": decision,
        "code": code,
        "reason": reason,
        "policies": list(policies),
    }


def _principal(case: Case, own_issuer: str) -> Principal:
    subject = Subject(case.issuer or own_issuer, case.agent or case.person)
    method = token.METHOD if case.issuer else api_key.METHOD
    if case.person:
        return Principal(PrincipalKind.PERSON, subject, case.groups, None, (), method, "")
    return Principal(PrincipalKind.AGENT, subject, case.groups, None, (subject,), method, "")


class _NoKeys:
    """A book of keys for rules that only decide: nobody logs in."""

    def find_key(self, sha256: bytes) -> KeyRecord | None:  # noqa: ARG002  the interface's
        return None

    def find_person(self, subject: Subject) -> Person | None:  # noqa: ARG002  the interface's
        return None


def _explained(index: int, statement: Statement, told: Explained) -> Leaf:
    return {
        "statement": index,
        "verb": statement.verb,
        "action": told.access.action,
        "object": f"{told.access.object.kind.value}:{told.access.object}",
        "permitted": told.permitted,
        "permits": list(told.permits),
        "forbids": list(told.forbids),
        "reason": told.reason or statement.opaque,
        "needed": told.needed,
    }


async def _read_database(target: Target, database: str, role: Role) -> tuple[CatalogueView, SessionFacts | None]:
    """The catalogue, and the facts of a session of a role as it would begin."""
    catalogue = DatabaseCatalogue(target, database)
    view = await catalogue.current()
    await catalogue.close()
    if not view.revision:
        raise OperatorFault(
            f"the catalogue of {quoted(target.name)} cannot be read", f"see `gatebook target test {target.name}`"
        )
    connection = await connect(target, database, role.account, {})
    try:
        row = await connection.fetchrow(FACTS_QUERY)
    finally:
        await connection.close()
    values = list(row.values()) if row else []
    return view, parse_facts([None if value is None else str(value).encode() for value in values])


def test_target(config: Path, name: str) -> list[Step]:
    """Try each role's login at a target and its catalogue, as the gate would. ConfigFault if the file is wrong."""
    target = _find_target(load_settings(config), name)
    return asyncio.run(_test_target(target))


async def _test_target(target: Target) -> list[Step]:
    steps: list[Step] = []
    for role in target.roles:
        try:
            connection = await connect(target, target.database, role.account, {})
            version = await connection.fetchval("SHOW server_version")
            superuser = await connection.fetchval("SELECT pg_catalog.current_setting('is_superuser') = 'on'")
            await connection.close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, GatebookError) as fault:
            steps.append(Step(f"login as role {role.name}", passed=False, words=" ".join(str(fault).split())[:300]))
            continue
        words = f"PostgreSQL {version}, account {quoted(role.account.name)}"
        if superuser:
            words += "; it is a superuser: give the role an account of least privilege"
        steps.append(Step(f"login as role {role.name}", passed=True, words=words))
    catalogue = DatabaseCatalogue(target, target.database)
    view = await catalogue.current()
    await catalogue.close()
    relations = sum(len(schema.relations) for schema in view.schemas.values())
    words = f"{relations} relations" if view.revision else "the catalogue account cannot read the catalogue"
    steps.append(Step("read the catalogue", passed=bool(view.revision), words=words))
    return steps


def _find_target(settings: Settings, name: str) -> Target:
    found = next((target for target in settings.targets if target.name == name), None)
    if found is None:
        known = ", ".join(quoted(target.name) for target in settings.targets) or "none"
        raise OperatorFault(f"target {quoted(name)} is not in the configuration", f"known targets: {known}")
    return resolve_target(found, Secrets.beside(settings.path.parent))
