# SPDX-License-Identifier: Apache-2.0
"""Whatever happens to a request, in any order: never used too often, nor without its people, nor after its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.asked import ANA, BO, BOT, CY, DIGEST, NOW, PEOPLE, REQUEST, ROBIN, holding, person, vote

from gatebook.approval import request as rules
from gatebook.approval.people import Crowd
from gatebook.approval.request import NotNow
from gatebook.model.approval import OPEN, Choice, Request, Requirement, State
from gatebook.model.credential import Person
from gatebook.model.principal import Subject

WHO = st.sampled_from([ANA, BO, CY, ROBIN, BOT, Subject("gatebook:gate", "ana-2"), Subject("elsewhere", "ana")])
TWIN = person(Subject("gatebook:gate", "ana-2"), "dba", human=str(ANA))


class Life(RuleBasedStateMachine):
    """One request among people who come and go, and a clock that only the machine moves."""

    request: Request
    people: dict[Subject, Person]
    now: datetime
    used: int
    number: int

    @initialize(needed=st.integers(1, 2), uses=st.integers(1, 3), signed=st.booleans())
    def begin(self, needed: int, uses: int, *, signed: bool) -> None:
        self.request = holding(requirements=(Requirement("dba", needed),), uses=uses, signed=signed)
        self.people = {one.subject: one for one in (*PEOPLE, TWIN)}
        self.now, self.used, self.number = NOW, 0, 0

    @property
    def crowd(self) -> Crowd:
        return Crowd(self.people, frozenset({BOT}))

    def change(self, changed: Request) -> None:
        assert self.request.state in OPEN, "something came of what was over"
        self.request = changed

    @rule(who=WHO, choice=st.sampled_from(list(Choice)), method=st.sampled_from(["ssh", "session"]))
    def cast(self, who: Subject, choice: Choice, method: str) -> None:
        try:
            self.change(rules.cast(self.request, vote(who, choice, self.now, method), self.crowd))
        except NotNow:
            return
        assert who in {ANA, BO, TWIN.subject}
        assert method == "ssh" or not self.request.hold.signed
        assert self.now < REQUEST.decide_by

    @rule(digest=st.sampled_from([DIGEST, "sha256:" + "f" * 64]), again=st.booleans())
    def use(self, digest: str, *, again: bool) -> None:
        self.number += not again
        before = self.request
        try:
            used = rules.use(before, digest, self.crowd, self.now, f"s_1.{self.number}")
        except NotNow:
            return
        assert digest == before.digest
        if used is before:
            assert before.used_by == f"s_1.{self.number}"
            return
        self.change(used)
        self.used += 1
        voters = {
            self.people[one.person].human or str(one.person)
            for one in before.votes
            if one.choice is Choice.APPROVE
            and self.people[one.person].disabled_at is None
            and any(membership.group == "dba" for membership in self.people[one.person].groups)
        }
        assert len(voters) >= before.hold.requirements[0].needed
        assert not any(one.choice is Choice.DENY for one in before.votes)
        assert before.use_by is not None
        assert self.now < before.use_by

    @rule(who=WHO)
    def withdraw(self, who: Subject) -> None:
        try:
            self.change(rules.withdraw(self.request, who, self.crowd, self.now, "why"))
        except NotNow:
            return

    @rule(which=st.sampled_from(["cancel", "expire", "annul", "end_unfit"]))
    def end(self, which: str) -> None:
        try:
            if which == "expire":
                self.change(rules.expire(self.request, self.now))
            else:
                self.change(getattr(rules, which)(self.request, self.now, "why"))
        except NotNow:
            return
        assert self.request.ended_at == self.now

    @rule(seconds=st.sampled_from([1, 30, 200]))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @precondition(lambda self: ANA in self.people)
    @rule(who=st.sampled_from([ANA, BO]), leaves=st.booleans())
    def leave(self, who: Subject, *, leaves: bool) -> None:
        gone = replace(self.people[who], groups=()) if leaves else replace(self.people[who], disabled_at=self.now)
        self.people[who] = gone

    @invariant()
    def holds(self) -> None:
        assert self.used == self.request.used <= self.request.hold.uses
        assert (self.request.state is State.USED) == (self.request.used == self.request.hold.uses)
        assert (self.request.use_by is None) or self.request.state is not State.PENDING
        assert self.request.is_open == (self.request.ended_at is None)
        assert len({(one.person, one.at) for one in self.request.votes}) == len(self.request.votes)


TestLife = Life.TestCase
