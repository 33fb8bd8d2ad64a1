# SPDX-License-Identifier: Apache-2.0
"""The desk of PostgreSQL: logins become admissions or refusals, questions become verdicts with the parts of entries."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from gatebook import policy
from gatebook.evidence.parts import where_part
from gatebook.identity.api_key import mint
from gatebook.model.credential import KeyRecord, Person
from gatebook.model.decision import Decision, Refused, Result, Verdict
from gatebook.model.ids import EvaluationId, PolicyId, RoleName, SessionId, TargetName
from gatebook.model.operation import Access, CacheScope, Effect, EffectKind, ObjectKind, ObjectRef, Statement
from gatebook.model.principal import NotIdentified, Principal, PrincipalKind, Subject
from gatebook.model.secret import Secret
from gatebook.model.target import Account, Address, Role, Target, TlsMode
from gatebook.native import pure
from gatebook.protocols.postgres import handler
from gatebook.protocols.postgres.catalogue import CatalogueView
from gatebook.protocols.postgres.handler import Arrival, Fresh, Limits
from gatebook.session.gate import Admitted, Circumstances, NotAdmitted, Rules, Session

NOW = datetime(2026, 11, 23, 3, 4, 5, tzinfo=UTC)
ANN, BOT = Subject("gatebook:gate-1", "ann"), Subject("gatebook:gate-1", "bot")
KEY = mint(bytes(32), agent=BOT, owner=ANN, groups=("agents",), now=NOW, expires_at=NOW + timedelta(days=1))
ROLE = Role(RoleName("reader"), Account("shop_reader", Secret("upstream password")), ("agents",))
TARGET = Target(TargetName("shop"), "postgres", Address("127.0.0.1", 5432), TlsMode.DISABLE, b"", "db", (ROLE,))
PRINCIPAL = Principal(PrincipalKind.AGENT, BOT, ("agents",), ANN, (BOT,), "api_key", KEY.record.id)
SESSION = Session(SessionId("s_1"), PRINCIPAL, TARGET, ROLE, "db", tls=True)
CIRCUMSTANCES = Circumstances(NOW, EvaluationId("e_1"), in_transaction=False)
LIMITS = Limits(
    statement_bytes=1024,
    message_bytes=65536,
    names=16,
    pipeline=16,
    idle_us=1_000_000,
    journal_bytes_per_hour=1 << 30,
    recording_bytes_per_hour=1 << 30,
)
ORDERS = ObjectRef(ObjectKind.RELATION, ("shop", "db", "public", "orders"))
PLACE = where_part(gateway="gate-1", target="shop", database="db", account="shop_reader")


@dataclass
class Book:
    """One key and its owner."""

    keys: dict[bytes, KeyRecord] = field(default_factory=lambda: {KEY.record.sha256: KEY.record})

    def find_key(self, sha256: bytes) -> KeyRecord | None:
        return self.keys.get(sha256)

    def find_person(self, subject: Subject) -> Person | None:
        return Person(subject, admin=False, created_at=NOW)


@pytest.fixture(autouse=True)
def _native_values_that_show_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Native values show nothing of themselves; these stand in for them and show all."""
    for name in ("Admission", "OperationFacts", "Verdict"):
        monkeypatch.setattr(pure, name, SimpleNamespace)


@pytest.fixture
def rules() -> Rules:
    text = '@id("all") permit (principal in Group::"agents", action, resource in Target::"shop");'
    return Rules(policy.load({"all.cedar": text}), Book(), {"shop": TARGET})


def _arrival(*parameters: tuple[str, str], password: Secret = KEY.token) -> Arrival:
    named = parameters or (("user", "bot"), ("database", "shop"))
    return Arrival(("192.0.2.1", 4000), ("TLSv1.3", "TLS_AES_256_GCM_SHA384", ""), named, password)


def _receive(arrival: Arrival, rules: Rules) -> tuple[Any, Admitted | NotAdmitted]:
    fresh = Fresh(SessionId("s_1"), "nonce", b"\x01\x02\x03\x04", Secret(b"k" * 32), b"head", 77)
    welcome = handler.receive(arrival, rules, fresh, CIRCUMSTANCES, limits=LIMITS, gateway="gate-1")
    return welcome.native, welcome.outcome


def test_a_login_gets_the_roles_account_and_what_the_gate_pins(rules: Rules) -> None:
    native, outcome = _receive(_arrival(), rules)
    assert isinstance(outcome, Admitted)
    assert (native.host, native.port, native.tls) == ("127.0.0.1", 5432, None)
    assert (native.account, native.password) == ("shop_reader", b"upstream password")
    assert native.startup == [("database", "db"), ("client_encoding", "UTF8"), ("standard_conforming_strings", "on")]
    assert (native.statement_bytes, native.names, native.ends_at_us) == (1024, 16, 77)
    assert json.loads(native.place) == {
        "account": "shop_reader",
        "database": "db",
        "gateway": "gate-1",
        "target": "shop",
    }


def test_the_identity_in_evidence_holds_no_secret(rules: Rules) -> None:
    native, _ = _receive(_arrival(), rules)
    assert json.loads(native.identity)["credential"] == KEY.record.id
    assert KEY.token.reveal() not in native.identity + native.source + native.place


def test_a_bad_key_is_refused_and_named_for_evidence(rules: Rules) -> None:
    _, outcome = _receive(_arrival(password=Secret("nonsense")), rules)
    assert isinstance(outcome, NotAdmitted)
    assert isinstance(outcome.answer, NotIdentified)
    assert outcome.answer.failed == "form"


def test_a_start_up_that_cannot_be_read_is_refused_before_the_key_is_looked_at(rules: Rules) -> None:
    _, outcome = _receive(_arrival(("user", "bot"), ("a b", "1")), rules)
    assert isinstance(outcome, NotAdmitted)
    assert isinstance(outcome.answer, NotIdentified)
    assert outcome.answer.failed == "startup"
    assert outcome.refused.code == "protocol.malformed"


@pytest.mark.parametrize(
    "other",
    [
        replace(SESSION, tls=False),
        replace(SESSION, principal=replace(PRINCIPAL, groups=("agents", "more"))),
        replace(SESSION, principal=replace(PRINCIPAL, credential="000000000000")),
        replace(SESSION, role=replace(ROLE, name=RoleName("writer"))),
    ],
)
def test_kept_decisions_serve_only_the_same_entitlement(other: Session) -> None:
    assert handler.scope_of(other, PLACE) != handler.scope_of(SESSION, PLACE)


def test_kept_decisions_serve_only_the_same_database_and_account() -> None:
    other = where_part(gateway="gate-1", target="shop", database="other", account="shop_reader")
    assert handler.scope_of(SESSION, other) != handler.scope_of(SESSION, PLACE)


def _verdict(statement: Statement, *, refused: Refused | None = None) -> Any:  # noqa: ANN401  a stand-in
    decision = Decision(
        Result.REFUSE if refused else Result.ALLOW, (PolicyId("all"),), "sha256:0", reasons=("because",)
    )
    verdict = Verdict(EvaluationId("e_1"), (statement,), (decision,), refused, CacheScope.SHAPE, 300.0)
    return handler.render_verdict(verdict, SESSION)


def test_what_ran_by_consent_names_it_and_is_never_taken_for_harmless() -> None:
    statement = Statement("UPDATE", (Access("update", ORDERS),), privileged=False)
    decision = Decision(Result.ALLOW, (PolicyId("all"),), "sha256:0", approval="apr_1")
    verdict = Verdict(EvaluationId("e_1"), (statement,), (decision,), None, CacheScope.NONE, 300.0, salt="ab")
    native: Any = handler.render_verdict(verdict, SESSION)
    (operation,) = native.operations
    assert json.loads(operation.decision)["approval"] == "apr_1"
    assert "reasons" not in json.loads(operation.decision)
    assert (operation.privileged, native.salt, native.refusal) == (True, "ab", None)


def test_a_verdict_fixes_what_its_entries_will_say() -> None:
    statement = Statement(
        "UPDATE",
        (Access("update", ORDERS), Access("select", ORDERS)),
        privileged=True,
        effects=(Effect(EffectKind.FACTS_STALE),),
        shape="UPDATE orders SET a = ?",
        blots=((3, 5),),
    )
    native = _verdict(statement)
    (operation,) = native.operations
    assert json.loads(operation.action) == {
        "accesses": [["select", "Relation:shop.db.public.orders"], ["update", "Relation:shop.db.public.orders"]],
        "privileged": True,
        "shape": "UPDATE orders SET a = ?",
        "verb": "UPDATE",
    }
    assert json.loads(operation.decision) == {
        "evaluation": "e_1",
        "policies": ["all"],
        "policy_hash": "sha256:0",
        "reasons": ["because"],
        "result": "allow",
        "role": "reader",
    }
    assert operation.effects == [("facts_stale", "")]
    assert (native.cache, native.ttl_us, native.blots, native.refusal) == ("shape", 300_000_000, [(3, 5)], None)


def test_parts_of_entries_are_cut_so_that_a_leaf_holds_them() -> None:
    accesses = tuple(
        Access("select", ObjectRef(ObjectKind.RELATION, ("shop", "db", "public", f"{n:03}" + "x" * 400)))
        for n in range(150)
    )
    native = _verdict(Statement("SELECT", accesses, privileged=False, opaque="o" * 9000, shape="s" * 9000))
    action = json.loads(native.operations[0].action)
    assert len(action["accesses"]) == 100
    assert action["accesses_more"] == 50
    assert {len(name) for _, name in action["accesses"]} == {300}
    assert (len(action["shape"]), action["shape_cut"], len(action["opaque"])) == (4096, True, 2000)
    assert len(native.operations[0].action) < 65_535


def test_facts_that_are_stale_or_malformed_are_no_facts() -> None:
    stale = SimpleNamespace(facts_known=False, facts=[b"x"])
    malformed = SimpleNamespace(facts_known=True, facts=[b"x"])
    assert handler.read_facts(stale) is None  # type: ignore[arg-type]  # stands in for a native question
    assert handler.read_facts(malformed) is None  # type: ignore[arg-type]  # as above


def test_text_that_nobody_sent_is_read_for_explain() -> None:
    operation = handler.read_text(b"SELECT 1", "shop", "db", CatalogueView(), None)
    assert [statement.verb for statement in operation.statements] == ["SELECT"]
    unread = handler.read_text(b"SELEC 1", "shop", "db", CatalogueView(), None)
    assert unread.statements[0].opaque != ""
