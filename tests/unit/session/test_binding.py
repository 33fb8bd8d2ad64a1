# SPDX-License-Identifier: Apache-2.0
"""Bindings: what is private enters by salted hash, and every part that is bound changes the digest."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.asked import ANA, HOLD, NOW, PRINCIPAL, SALT

from gatebook import policy
from gatebook.evidence.approval import salted
from gatebook.evidence.entry import Leaf
from gatebook.model.approval import Cover, Requirement
from gatebook.model.decision import Decision, Result, Verdict
from gatebook.model.ids import EvaluationId, PolicyId, RoleName, SessionId, TargetName
from gatebook.model.operation import CacheScope
from gatebook.model.target import Account, Target
from gatebook.session.binding import Matter, canonical, common_part, hold_part, policies_part
from gatebook.session.gate import Rules, Session

MATTER = Matter({"a": 1}, {"text": b"DELETE", "params": b"[]"}, {"text": "DELETE"})
ASKS = """
@id("b") @approval("dba") @message("why") @hint("how") permit (principal, action, resource);
@id("a") permit (principal, action, resource);
@id("other") permit (principal, action, resource) when { context.verb == "X" };
"""


def test_a_binding_holds_hashes_of_what_is_private_and_the_salt_is_only_shown() -> None:
    bound = MATTER.bind(SALT)
    assert json.loads(bound.binding) == {"a": 1, "text": salted(SALT, b"DELETE"), "params": salted(SALT, b"[]")}
    assert json.loads(bound.shown) == {"text": "DELETE", "salt": SALT}
    assert SALT not in bound.binding
    assert "DELETE" not in bound.binding


def test_another_salt_gives_another_digest_and_the_same_lookup() -> None:
    assert MATTER.bind(SALT).digest != MATTER.bind("cd" * 32).digest
    assert MATTER.bind(SALT).shown_digest != MATTER.bind("cd" * 32).shown_digest
    assert MATTER.lookup() == replace(MATTER).lookup()
    assert MATTER.bind(SALT) == MATTER.bind(SALT)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_ap_04_one_byte_of_what_is_private_changes_the_digest(text: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = text[:at] + bytes([text[at] ^ (1 << bit)]) + text[at + 1 :]
    digests = {Matter({}, {"text": one}, {}).bind(SALT).digest for one in (text, changed, text + b" ", b" " + text)}
    assert len(digests) == len({text, changed, text + b" ", b" " + text})


@pytest.fixture
def session(target: Target) -> Session:
    return Session(SessionId("s_1"), PRINCIPAL, target, target.roles[0], "shop", tls=True)


def verdict(*policies: str) -> Verdict:
    ids = tuple(PolicyId(name) for name in policies or ("b", "a"))
    decision = Decision(Result.HOLD, ids, "sha256:all", hold=HOLD)
    return Verdict(EvaluationId("e_1"), (), (decision, decision), None, CacheScope.NONE, 1.0, held=HOLD)


@pytest.fixture
def asking(rules: Rules) -> Rules:
    return replace(rules, engine=policy.load({"a.cedar": ASKS}))


def test_what_every_protocol_binds_is_who_where_by_which_policies_and_terms(session: Session, asking: Rules) -> None:
    part = common_part(session, verdict(), asking)
    bot = {"iss": "gatebook:gate", "sub": "bot"}
    assert part == {
        "v": 1,
        "kind": "operation",
        "identity": {
            "act": [bot],
            "agent": bot,
            "groups": ["agents"],
            "method": "api_key",
            "owner": {"iss": "gatebook:gate", "sub": "robin"},
            "role": "writer",
        },
        "where": {"target": "shop", "database": "shop", "account": "shop_writer"},
        "policies": [
            ["a", asking.engine.policy_hash(PolicyId("a"))],
            ["b", asking.engine.policy_hash(PolicyId("b"))],
        ],
        "hold": {"approvers": [["dba", 1]], "covers": "exact", "uses": 1, "signed": True, "unseen": False},
    }


def digest(session: Session, rules: Rules, told: Verdict | None = None) -> str:
    return Matter(common_part(session, told or verdict(), rules), {}, {}).bind(SALT).digest


def test_ap_02_each_fact_of_who_and_where_changes_the_digest(session: Session, asking: Rules) -> None:
    role = session.role
    others = [
        replace(session, principal=replace(PRINCIPAL, subject=ANA)),
        replace(session, principal=replace(PRINCIPAL, owner=ANA)),
        replace(session, principal=replace(PRINCIPAL, owner=None)),
        replace(session, principal=replace(PRINCIPAL, chain=(ANA,))),
        replace(session, principal=replace(PRINCIPAL, groups=("agents", "more"))),
        replace(session, principal=replace(PRINCIPAL, method="token")),
        replace(session, target=replace(session.target, name=TargetName("other"))),
        replace(session, database="other"),
        replace(session, role=replace(role, name=RoleName("other"))),
        replace(session, role=replace(role, account=Account("other", None))),
    ]
    digests = {digest(one, asking) for one in [session, *others]}
    assert len(digests) == 11


def test_another_credential_or_session_of_the_same_identity_changes_nothing(session: Session, asking: Rules) -> None:
    renewed = replace(session, id=SessionId("s_2"), principal=replace(PRINCIPAL, credential="k2"), tls=False)
    assert digest(renewed, asking) == digest(session, asking)


def test_ap_08_policies_and_terms_change_the_digest_and_unrelated_policies_do_not(
    session: Session, asking: Rules
) -> None:
    usual = digest(session, asking)
    unrelated = replace(asking, engine=policy.load({"a.cedar": ASKS.replace('"X"', '"Y"')}))
    assert digest(session, unrelated) == usual
    edited = replace(asking, engine=policy.load({"a.cedar": ASKS.replace("why", "why not")}))
    assert digest(session, edited) != usual
    assert digest(session, asking, verdict("b")) != usual
    terms = [
        replace(HOLD, requirements=(Requirement("dba", 2),)),
        replace(HOLD, requirements=(Requirement("ops", 1),)),
        replace(HOLD, cover=Cover.SHAPE),
        replace(HOLD, uses=2),
        replace(HOLD, signed=False),
        replace(HOLD, unseen=True),
    ]
    assert len({digest(session, asking, replace(verdict(), held=hold)) for hold in terms} - {usual}) == 6


def test_people_are_told_each_policy_once_with_its_words(asking: Rules) -> None:
    assert policies_part(verdict("b", "a", "b"), asking) == [
        {"id": "a", "message": "", "hint": ""},
        {"id": "b", "message": "why", "hint": "how"},
    ]


def test_times_are_no_terms() -> None:
    assert hold_part(replace(HOLD, decide=NOW - NOW, wait=NOW - NOW)) == hold_part(HOLD)


@pytest.mark.parametrize(("value", "text"), [([], b"[]"), ([{"b": 1, "a": "é"}], '[{"a":"é","b":1}]'.encode())])
def test_an_array_is_canonical_json_too(value: list[Leaf], text: bytes) -> None:
    assert canonical([*value]) == text
