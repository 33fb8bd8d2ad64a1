# SPDX-License-Identifier: Apache-2.0
"""Who has which role for a time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from unit.session.conftest import ANN, BOT

from gatebook.approval.people import Crowd
from gatebook.approval.request import NotNow, take
from gatebook.model.approval import Choice, Kind, Request, State, Vote
from gatebook.model.credential import Membership, Person
from gatebook.model.ids import RoleName, SessionId, TargetName
from gatebook.model.principal import Principal, PrincipalKind, Subject
from gatebook.model.target import Account, Address, Role, Target, TlsMode
from gatebook.serve.fresh import now
from gatebook.serve.grants import Grants
from gatebook.session.gate import Session
from gatebook.session.requesting import role_hold, role_matter

DBA = Subject("gatebook:gate-1", "dora")
ROLE = Role(RoleName("repair"), Account("shop_repair", None), ("agents",), approvers="dba")
TARGET = Target(TargetName("shop"), "postgres", Address("127.0.0.1", 1), TlsMode.DISABLE, b"", "shop", (ROLE,))
AGENT = Principal(PrincipalKind.AGENT, BOT, ("agents",), ANN, (BOT,), "api_key", "k1")


def crowd(*groups: str) -> Crowd:
    since = now() - timedelta(days=1)
    person = Person(DBA, admin=False, created_at=since, groups=tuple(Membership(name, since) for name in groups))
    return Crowd({DBA: person})


def request(name: str = "apr_1", kind: Kind = Kind.ROLE, minutes: int = 30) -> Request:
    """A role that was given by the person."""
    made = now()
    bound = role_matter(AGENT, "shop", ROLE, kind=kind, minutes=minutes).bind("5a")
    asked = Request(
        id=name,
        kind=kind,
        principal=AGENT,
        target="shop",
        database="",
        role="repair",
        hold=role_hold(ROLE),
        digest=bound.digest,
        matter="",
        binding=bound.binding,
        salt="5a",
        shown=bound.shown,
        shown_digest=bound.shown_digest,
        made_at=made,
        decide_by=made + timedelta(minutes=5),
        use_s=minutes * 60,
        minutes=minutes,
    )
    if kind is Kind.BREAK_GLASS:
        return take(asked, made)
    vote = Vote(person=DBA, choice=Choice.APPROVE, at=made, method="ssh", message=b"")
    return replace(asked, state=State.GRANTED, use_by=made + timedelta(minutes=minutes), votes=(vote,))


def session(grant: str, principal: Principal = AGENT) -> Session:
    return Session(SessionId("s_1"), principal, TARGET, ROLE, "shop", tls=True, grant=grant)


def test_the_newest_role_comes_first_and_what_is_over_is_nobodys() -> None:
    grants = Grants("gate-1", lambda _: None)
    first, second = request("apr_1"), request("apr_2")
    grants.take([first, second])
    assert [grant.request for grant in grants.of(BOT)] == ["apr_2", "apr_1"]
    assert grants.of(ANN) == ()
    grants.take([replace(second, state=State.EXPIRED)])
    assert [grant.request for grant in grants.of(BOT)] == ["apr_1"]
    assert grants.standing == {"apr_1"}


def test_a_role_whose_approver_left_the_group_falls_and_broken_glass_does_not() -> None:
    grants = Grants("gate-1", lambda _: None)
    grants.take([request("apr_1"), request("apr_2", Kind.BREAK_GLASS)])
    assert grants.drop_fallen(crowd("dba")) == []
    assert grants.drop_fallen(crowd("others")) == ["apr_1"]
    assert [grant.request for grant in grants.of(BOT)] == ["apr_2"]


def test_a_session_under_it_is_counted_in_the_book_first() -> None:
    leaves: list[bytes] = []
    grants = Grants("gate-1", leaves.append)
    entered = grants.enter(request(), session("apr_1"), crowd("dba"))
    assert (entered.used, entered.state) == (1, State.GRANTED)
    (leaf,) = map(json.loads, leaves)
    assert (leaf["event"], leaf["operation"], leaf["uses"]) == ("approval.used", "s_1", 1)
    assert leaf["voters"] == [{"iss": "gatebook:gate-1", "sub": "dora"}]


@pytest.mark.parametrize(
    ("found", "who", "people", "words"),
    [
        (replace(request(), state=State.WITHDRAWN), AGENT, "dba", "the role is over"),
        (replace(request(), use_by=now()), AGENT, "dba", "the role is over"),
        (request(), replace(AGENT, groups=("agents", "more")), "dba", "given to somebody else"),
        (request(), AGENT, "others", "may not give it any more"),
    ],
)
def test_nobody_enters_under_what_does_not_stand(found: Request, who: Principal, people: str, words: str) -> None:
    leaves: list[bytes] = []
    grants = Grants("gate-1", leaves.append)
    with pytest.raises(NotNow, match=words):
        grants.enter(found, session("apr_1", who), crowd(people))
    assert leaves == []
