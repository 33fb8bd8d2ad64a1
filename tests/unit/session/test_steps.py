# SPDX-License-Identifier: Apache-2.0
"""The way of an operation: who comes in, as what, and how a message is decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.certificates import Maker, hosts
from support.tokens import ISSUER, SigningKey, jwks

from gatebook import policy
from gatebook.identity.api_key import MintedKey
from gatebook.identity.authority import Authority, NameKind
from gatebook.identity.issuer import Issuer, NoIssuers
from gatebook.identity.jose import PublicKey, parse_keys
from gatebook.model.approval import HoldMode
from gatebook.model.decision import Refused, Result, Verdict
from gatebook.model.ids import SessionId
from gatebook.model.operation import Access, CacheScope, ObjectKind, ObjectRef, Operation, Statement
from gatebook.model.principal import Identified, NotIdentified, PrincipalKind
from gatebook.model.secret import Secret
from gatebook.model.target import Target
from gatebook.session import steps
from gatebook.session.gate import (
    Admitted,
    Circumstances,
    Consent,
    Knock,
    NoConsent,
    NotAdmitted,
    Place,
    Rules,
    Session,
    Waits,
)

Knocking = Callable[..., Knock]
ORDERS = ObjectRef(ObjectKind.RELATION, ("shop", "shop", "public", "orders"))
NOW = datetime(2026, 11, 23, 3, 4, 5, tzinfo=UTC)
READ = Statement("SELECT", (Access("select", ORDERS),), privileged=False, cacheable=CacheScope.SHAPE)
DROP = Statement("DROP TABLE", (Access("drop", ORDERS),), privileged=True, cacheable=CacheScope.EXACT)
DELETE = Statement("DELETE", (Access("delete", ORDERS),), privileged=True, cacheable=CacheScope.SHAPE)


def _admitted(knock: Knock, rules: Rules, circumstances: Circumstances) -> Session:
    answer = steps.admit(knock, rules, SessionId("s_1"), circumstances)
    assert isinstance(answer, Admitted)
    return answer.session


@pytest.fixture
def session(knock: Knocking, rules: Rules, circumstances: Circumstances) -> Session:
    return _admitted(knock(), rules, circumstances)


def _failed(answer: Admitted | NotAdmitted) -> str:
    assert isinstance(answer, NotAdmitted)
    assert isinstance(answer.answer, NotIdentified)
    return answer.answer.failed


def test_a_good_key_is_admitted_as_the_first_role_of_its_groups(
    knock: Knocking, rules: Rules, circumstances: Circumstances
) -> None:
    answer = steps.admit(knock(), rules, SessionId("s_1"), circumstances)
    assert isinstance(answer, Admitted)
    assert answer.session.role.name == "reader"
    assert answer.session.principal.subject.subject == "order-bot"
    assert answer.decision.result is Result.ALLOW
    assert [check.name for check in answer.identified.checks] == [
        *["form", "checksum", "known", "revoked", "expired", "owner"],
        *["user", "target", "role", "policy"],
    ]


class Tokens(NoIssuers):
    """One issuer with one key."""

    def __init__(self, key: SigningKey) -> None:
        self.issuer = Issuer(
            ISSUER, PrincipalKind.AGENT, ("gatebook",), ("ES256",), ("at+jwt",), 3600, groups=("shop-agents",)
        )
        self.keys = parse_keys(jwks(key))

    def find_issuer(self, url: str) -> Issuer | None:
        return self.issuer if url == ISSUER else None

    def find_issuer_key(self, issuer: str, key_id: str) -> PublicKey | None:
        return self.keys.get(key_id)


def test_a_certificate_is_the_credential_and_nothing_beside_it_is_looked_at(
    knock: Knocking, rules: Rules, circumstances: Circumstances
) -> None:
    root = Maker.root(now=NOW)
    vouching = Authority("machines", PrincipalKind.AGENT, NameKind.DNS, (root.der,), 86_400, groups=("shop-agents",))
    made = root.issue(names=hosts("bot.example"), now=NOW)
    rules = replace(rules, authorities=(vouching,))
    shown = knock(certificates=made.shown, user="bot.example")
    answer = steps.admit(shown, rules, SessionId("s_1"), circumstances)
    assert isinstance(answer, Admitted)
    assert answer.session.principal.method == "certificate"
    assert answer.identified.ends_at == made.certificate.not_valid_after_utc
    # The key beside it is good, and lets nobody in: a certificate is never tried as something else.
    assert _failed(steps.admit(knock(certificates=(b"x",)), rules, SessionId("s_1"), circumstances)) == "form"
    other = steps.admit(replace(shown, user="order-bot"), rules, SessionId("s_1"), circumstances)
    assert isinstance(other, NotAdmitted)
    assert _failed(other) == "user"
    assert dict(other.answer.certificate)["authority"] == "machines"


def test_a_good_token_is_admitted_and_says_when_it_ends(
    knock: Knocking, rules: Rules, circumstances: Circumstances
) -> None:
    signer, moment = SigningKey.make(), int(NOW.timestamp())
    rules = replace(rules, tokens=Tokens(signer))
    token = Secret(signer.token(None, iat=moment, exp=moment + 60))
    answer = steps.admit(knock(credential=token, user="bot"), rules, SessionId("s_1"), circumstances)
    assert isinstance(answer, Admitted)
    assert answer.session.principal.subject.issuer == ISSUER
    assert answer.identified.ends_at == NOW + timedelta(seconds=60)
    assert dict(answer.identified.token)["kid"] == "k1"
    other = steps.admit(knock(credential=token, user="payment-bot"), rules, SessionId("s_1"), circumstances)
    assert _failed(other) == "user"
    assert isinstance(other, NotAdmitted)
    assert dict(other.answer.token)["sub"] == "bot"


def test_a_token_is_refused_where_no_issuer_is_trusted(
    knock: Knocking, rules: Rules, circumstances: Circumstances
) -> None:
    token = Secret(SigningKey.make().token())
    assert _failed(steps.admit(knock(credential=token), rules, SessionId("s_1"), circumstances)) == "issuer"


@pytest.mark.parametrize(
    ("other", "failed"),
    [
        ({"credential": Secret("hunter2")}, "form"),
        ({"user": "payment-bot"}, "user"),
        ({"place": None}, "target"),
    ],
)
def test_a_login_that_fails_names_the_check_for_evidence_and_nothing_to_the_client(
    knock: Knocking, rules: Rules, circumstances: Circumstances, other: dict[str, object], failed: str
) -> None:
    answer = steps.admit(knock(**other), rules, SessionId("s_1"), circumstances)
    assert _failed(answer) == failed
    assert isinstance(answer, NotAdmitted)
    assert answer.refused == Refused(
        code="authn.failed",
        message="the gate does not accept this login",
        hint="check credential, expiry, user name and database (target); "
        "the operator finds the failed check in the book",
    )


def test_a_key_that_ran_out_is_told_like_any_other(knock: Knocking, rules: Rules, circumstances: Circumstances) -> None:
    late = circumstances.now + timedelta(days=1)
    answer = steps.admit(knock(now=late), rules, SessionId("s_1"), circumstances)
    assert _failed(answer) == "expired"


def test_an_agent_without_a_role_at_the_target_stays_out(
    knock: Knocking, rules: Rules, circumstances: Circumstances, target: Target
) -> None:
    nobody = replace(target, roles=(target.roles[0],))
    assert (
        _failed(steps.admit(knock(place=Place(nobody, nobody.database)), rules, SessionId("s_1"), circumstances))
        == "role"
    )


def test_a_known_identity_that_no_policy_lets_in_is_told_so(
    knock: Knocking, rules: Rules, circumstances: Circumstances
) -> None:
    nothing = replace(rules, engine=policy.load({"none.cedar": '@id("x") forbid (principal, action, resource);'}))
    answer = steps.admit(knock(), nothing, SessionId("s_1"), circumstances)
    assert isinstance(answer, NotAdmitted)
    assert isinstance(answer.answer, Identified)
    assert answer.answer.checks[-1].name == "policy"
    assert not answer.answer.checks[-1].passed
    assert answer.refused.code == "admit.denied"


def test_a_start_up_option_needs_its_permit_like_a_statement(
    knock: Knocking, rules: Rules, circumstances: Circumstances
) -> None:
    admin = Access("set_role", ObjectRef(ObjectKind.ROLE, ("shop", "admin")))
    answer = steps.admit(knock(accesses=(admin,)), rules, SessionId("s_1"), circumstances)
    assert isinstance(answer, NotAdmitted)
    assert answer.refused.code == "admit.denied"
    assert dict(answer.refused.facts)["denied"] == ("set_role shop.admin",)


def test_any_user_name_goes_where_the_place_says_so(
    knock: Knocking, rules: Rules, circumstances: Circumstances, target: Target
) -> None:
    place = Place(target, "shop", any_user=True)
    session = _admitted(knock(place=place, user="whoever"), rules, circumstances)
    assert session.database == "shop"


def test_a_client_that_could_not_be_read_is_turned_away_by_a_named_check() -> None:
    answer = steps.turn_away("startup", Refused("protocol.malformed", "no", ""))
    assert _failed(answer) == "startup"


def _decide(session: Session, rules: Rules, circumstances: Circumstances, *statements: Statement) -> Verdict:
    return steps.decide(session, Operation("query", statements), rules, circumstances)


def test_a_permitted_statement_is_allowed_and_may_be_kept(
    session: Session, rules: Rules, circumstances: Circumstances
) -> None:
    verdict = _decide(session, rules, circumstances, READ)
    assert verdict.refused is None
    assert verdict.decisions[0].policies == ("read",)
    assert verdict.cache is CacheScope.SHAPE
    assert verdict.ttl_s == 300.0
    assert verdict.evaluation == "e_1"


def test_a_forbidden_statement_is_refused_in_the_words_of_its_policy(
    session: Session, rules: Rules, circumstances: Circumstances
) -> None:
    verdict = _decide(session, rules, circumstances, DROP)
    assert verdict.refused is not None
    assert verdict.refused.code == "policy.denied"
    assert "agents define nothing" in verdict.refused.message
    assert verdict.refused.hint == "ask for a migration"
    facts = dict(verdict.refused.facts)
    assert facts["denied"] == ("drop shop.shop.public.orders",)
    assert facts["policies"] == ("no-define",)
    assert facts["policy_hash"] == rules.engine.hash


def test_what_nobody_permitted_is_refused(session: Session, rules: Rules, circumstances: Circumstances) -> None:
    verdict = _decide(session, rules, circumstances, DELETE)
    assert verdict.refused is not None
    assert verdict.refused.code == "policy.denied"
    assert verdict.refused.hint == "ask for a permit for what is named, or do without it"


def test_one_refused_statement_refuses_the_whole_message_and_keeps_nothing(
    session: Session, rules: Rules, circumstances: Circumstances
) -> None:
    verdict = _decide(session, rules, circumstances, READ, DROP)
    assert [decision.result for decision in verdict.decisions] == [Result.ALLOW, Result.REFUSE]
    assert verdict.refused is not None
    assert verdict.cache is CacheScope.NONE


@pytest.mark.parametrize(
    ("scopes", "kept"),
    [
        ((CacheScope.SHAPE, CacheScope.SHAPE), CacheScope.SHAPE),
        ((CacheScope.SHAPE, CacheScope.EXACT), CacheScope.EXACT),
        ((CacheScope.SHAPE, CacheScope.NONE), CacheScope.NONE),
        ((), CacheScope.EXACT),
    ],
)
def test_a_verdict_is_kept_as_narrowly_as_its_narrowest_statement(
    session: Session, rules: Rules, circumstances: Circumstances, scopes: tuple[CacheScope, ...], kept: CacheScope
) -> None:
    statements = [replace(READ, cacheable=scope) for scope in scopes]
    assert _decide(session, rules, circumstances, *statements).cache is kept


def test_a_decision_that_reads_the_clock_is_never_kept(
    knock: Knocking, rules: Rules, circumstances: Circumstances
) -> None:
    hours = """
    permit (principal, action in Action::"connect", resource);
    permit (principal, action, resource) when { context.now < datetime("2027-01-01") };
    """
    timed = replace(rules, engine=policy.load({"hours.cedar": hours}))
    session = _admitted(knock(), timed, circumstances)
    verdict = _decide(session, timed, circumstances, READ)
    assert verdict.refused is None
    assert verdict.cache is CacheScope.NONE


def test_explaining_decides_nothing_and_tells_what_is_missing(
    session: Session, rules: Rules, circumstances: Circumstances
) -> None:
    operation = Operation("query", (DELETE,))
    (told,) = steps.explain(session, operation, DELETE, rules.engine, circumstances)
    assert not told.permitted
    assert (told.permits, told.forbids) == ((), ())
    assert told.needed != ""


def test_a_key_of_somebody_who_left_opens_nothing(
    knock: Knocking, rules: Rules, circumstances: Circumstances, key: MintedKey
) -> None:
    people = rules.book.people  # type: ignore[attr-defined]  # the book of this test
    people[key.record.owner] = replace(people[key.record.owner], disabled_at=circumstances.now)
    assert _failed(steps.admit(knock(), rules, SessionId("s_1"), circumstances)) == "owner"


HALT = Refused("evidence.unwitnessed", "no quorum of witnesses has cosigned", "try again later")


def test_while_it_is_halted_nobody_good_comes_in_and_nobody_bad_learns_of_it(
    knock: Knocking, rules: Rules, circumstances: Circumstances
) -> None:
    halted = replace(rules, halted=HALT)
    answer = steps.admit(knock(), halted, SessionId("s_1"), circumstances)
    assert isinstance(answer, NotAdmitted)
    assert isinstance(answer.answer, Identified)
    assert answer.answer.checks[-1].name == "evidence"
    assert (answer.answer.checks[-1].passed, answer.refused) == (False, HALT)
    bad = steps.admit(knock(user="somebody-else"), halted, SessionId("s_1"), circumstances)
    assert isinstance(bad, NotAdmitted)
    assert bad.refused.code == "authn.failed"


def test_while_it_is_halted_every_statement_is_refused_whatever_policy_says_and_none_is_kept(
    session: Session, rules: Rules, circumstances: Circumstances
) -> None:
    operation = Operation("query", (READ, DROP))
    verdict = steps.decide(session, operation, replace(rules, halted=HALT), circumstances)
    assert (verdict.refused, verdict.cache) == (HALT, CacheScope.NONE)
    assert [(one.result, one.code) for one in verdict.decisions] == [(Result.REFUSE, "evidence.unwitnessed")] * 2
    assert steps.decide(session, Operation("query", (READ,)), rules, circumstances).refused is None


HELD = """
@id("in") permit (principal, action in Action::"connect", resource);
@id("reads") permit (principal, action in Action::"read", resource);
@id("deletes") @approval("dba") permit (principal, action == Action::"delete", resource);
@id("drops") @approval("ops") @approvers("2") @hold("return") permit (principal, action == Action::"drop", resource);
"""
NO = Refused("approval.denied", "no", "ask for something else")


@pytest.fixture
def holding(rules: Rules) -> Rules:
    return replace(rules, engine=policy.load({"held.cedar": HELD}))


def test_what_is_held_runs_only_with_consent_to_all_of_it(
    session: Session, holding: Rules, circumstances: Circumstances
) -> None:
    verdict = _decide(session, holding, circumstances, READ, DELETE, DROP)
    assert verdict.held is not None
    assert [(need.group, need.needed) for need in verdict.held.requirements] == [("dba", 1), ("ops", 2)]
    assert (verdict.held.mode, verdict.cache, verdict.refused) == (HoldMode.RETURN, CacheScope.NONE, None)
    allowed = steps.approve(verdict, Consent("apr_1", "ab"))
    assert (allowed.held, allowed.refused, allowed.salt) == (None, None, "ab")
    assert [(one.result, one.approval) for one in allowed.decisions] == [
        (Result.ALLOW, ""),
        (Result.ALLOW, "apr_1"),
        (Result.ALLOW, "apr_1"),
    ]
    assert allowed.cache is CacheScope.NONE


def test_without_consent_it_is_refused_or_waits(session: Session, holding: Rules, circumstances: Circumstances) -> None:
    verdict = _decide(session, holding, circumstances, DELETE)
    refused = steps.approve(verdict, NoConsent(NO, "apr_1", "ab"))
    assert (refused.refused, refused.held, refused.decisions[0].result) == (NO, None, Result.REFUSE)
    notice = Refused("approval.held", "wait", "")
    waits = steps.approve(verdict, Waits("apr_1", "ab", notice))
    assert (waits.held, waits.notice, waits.decisions[0].result) == (verdict.held, notice, Result.HOLD)
    assert waits.decisions[0].approval == "apr_1"


def test_one_refusal_refuses_and_nobody_is_asked(
    session: Session, holding: Rules, circumstances: Circumstances
) -> None:
    insert = replace(DELETE, accesses=(Access("insert", ORDERS),))
    verdict = _decide(session, holding, circumstances, DELETE, insert)
    assert verdict.refused is not None
    assert (verdict.refused.code, verdict.held) == ("policy.denied", None)


def test_data_that_nobody_has_seen_are_refused_unless_every_policy_says_so(
    session: Session, holding: Rules, circumstances: Circumstances
) -> None:
    copy = replace(DELETE, unseen=True)
    verdict = _decide(session, holding, circumstances, copy)
    assert verdict.refused is not None
    assert (verdict.refused.code, verdict.held, verdict.cache) == ("approval.unseen", None, CacheScope.NONE)
    seen = HELD.replace('@approval("dba")', '@approval("dba") @unseen("data")')
    allowed = replace(holding, engine=policy.load({"held.cedar": seen}))
    assert _decide(session, allowed, circumstances, copy).held is not None
    assert _decide(session, allowed, circumstances, copy, DROP).refused is not None


def test_what_is_only_parsed_goes_on_and_is_asked_about_when_it_is_bound(
    session: Session, holding: Rules, circumstances: Circumstances
) -> None:
    verdict = steps.decide(session, Operation("parse", (DELETE,)), holding, circumstances)
    assert (verdict.held, verdict.refused, verdict.cache) == (None, None, CacheScope.NONE)
    assert (verdict.decisions[0].result, verdict.decisions[0].approval) == (Result.ALLOW, "at bind")
    assert steps.decide(session, Operation("bind", (DELETE,)), holding, circumstances).held is not None
