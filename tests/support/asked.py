# SPDX-License-Identifier: Apache-2.0
"""A request for approval, people who vote on it, and a store of both in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from gatebook.approval.people import Crowd
from gatebook.model.approval import Choice, Hold, Kind, Request, Requirement, Vote
from gatebook.model.credential import KeyRecord, Membership, Person, SigningKey
from gatebook.model.principal import Principal, PrincipalKind, Subject

NOW = datetime(2026, 11, 25, 12, 0, 0, 1, tzinfo=UTC)
EARLIER = NOW - timedelta(days=1)
DIGEST, SHOWN = "sha256:" + "1" * 64, "sha256:" + "2" * 64
SALT = "ab" * 32


def subject(name: str) -> Subject:
    """Somebody of the gate."""
    return Subject("gatebook:gate", name)


ROBIN, ANA, BO, CY, BOT = (subject(name) for name in ("robin", "ana", "bo", "cy", "bot"))
PRINCIPAL = Principal(PrincipalKind.AGENT, BOT, ("agents",), ROBIN, (BOT,), "api_key", "k1")
HOLD = Hold((Requirement("dba", 1),))


def person(who: Subject, *groups: str, since: datetime = EARLIER, human: str = "") -> Person:
    """A person in groups."""
    memberships = tuple(Membership(group, since) for group in groups)
    return Person(who, admin=False, created_at=EARLIER, human=human, groups=memberships)


PEOPLE = (person(ROBIN, "dba"), person(ANA, "dba", "ops"), person(BO, "dba"), person(CY))


def crowd(*people: Person, agents: Iterable[Subject] = (BOT,)) -> Crowd:
    """These people, or the usual ones."""
    return Crowd({one.subject: one for one in people or PEOPLE}, frozenset(agents))


REQUEST = Request(
    id="apr_1",
    kind=Kind.OPERATION,
    principal=PRINCIPAL,
    target="shop",
    database="db",
    role="writer",
    hold=HOLD,
    digest=DIGEST,
    matter="sha256:" + "3" * 64,
    binding='{"v":1}',
    salt=SALT,
    shown='{"accesses":[["update","Relation:shop.db.public.things"]],"params":[{"text":"7"},{"null":true}],'
    '"policies":[{"hint":"","id":"changes","message":"updates are looked at"}],"prepared":[],'
    '"text":"UPDATE things SET price = $1","verbs":["UPDATE"]}',
    shown_digest=SHOWN,
    made_at=NOW,
    decide_by=NOW + timedelta(minutes=5),
    use_s=60,
    session="s_1",
    operation=3,
    gate="gate",
)


def vote(who: Subject = ANA, choice: Choice = Choice.APPROVE, at: datetime = NOW, method: str = "ssh") -> Vote:
    """A vote that nobody has looked at."""
    return Vote(person=who, choice=choice, at=at, method=method, message=b"m", key="SHA256:k", reason="my words")


@dataclass
class Kept:
    """A store of people and requests in memory."""

    requests: dict[str, Request] = field(default_factory=lambda: {REQUEST.id: REQUEST})
    people: tuple[Person, ...] = PEOPLE
    signing_keys: tuple[SigningKey, ...] = ()
    keys: tuple[KeyRecord, ...] = ()

    def list_people(self) -> tuple[Person, ...]:
        return self.people

    def list_keys(self) -> tuple[KeyRecord, ...]:
        return self.keys

    def list_signing_keys(self) -> tuple[SigningKey, ...]:
        return self.signing_keys

    def find_request(self, request: str) -> Request | None:
        return self.requests.get(request)

    def change_request(self, request: str, change: Callable[[Request], Request]) -> Request:
        self.requests[request] = change(self.requests[request])
        return self.requests[request]


def holding(**terms: object) -> Request:
    """The request with other terms."""
    return replace(REQUEST, hold=replace(HOLD, **terms))  # type: ignore[arg-type]  # a test names fields of the terms
