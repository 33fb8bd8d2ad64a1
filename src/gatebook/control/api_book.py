# SPDX-License-Identifier: Apache-2.0
"""The book for programs: sessions, replays, the ledger and its verification, searches."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Query
from starlette.requests import Request

from gatebook.config import Settings
from gatebook.control.api_models import (
    FindingItem,
    LedgerItem,
    LookItem,
    LookWish,
    PointItem,
    SearchResult,
    SessionDetail,
    SessionItem,
    VerificationItem,
)
from gatebook.control.caller import Caller, caller_of
from gatebook.control.endpoints import Endpoint, described
from gatebook.control.library import Library, Seen
from gatebook.control.looks import Looks
from gatebook.control.pages_book import Text, may_see, owner_filter
from gatebook.control.problems import absent
from gatebook.control.questions import ask, parse_question
from gatebook.control.verifying import Standing, Verification
from gatebook.evidence.completeness import Finding
from gatebook.evidence.sessions import SessionSummary
from gatebook.vault.standing import read_standing
from gatebook.views.places import folders_of
from gatebook.views.telling import hit_object, json_time, operation_object

Last = Annotated[int, Query(ge=1, le=1000)]


class BookApi:
    """What programs see of the book."""

    def __init__(self, settings: Settings, library: Library, looks: Looks, verification: Verification) -> None:
        self._settings = settings
        self._library = library
        self._looks = looks
        self._verification = verification

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            described("GET", "/api/v1/sessions", self.list_sessions),
            described("GET", "/api/v1/sessions/{session}", self.read_session),
            described("POST", "/api/v1/sessions/{session}/replay", self.replay),
            described("GET", "/api/v1/ledger", self.read_ledger),
            described("GET", "/api/v1/ledger/verification", self.read_verification),
            described("POST", "/api/v1/ledger/verification", self.verify),
            described("GET", "/api/v1/search", self.search),
        ]

    async def list_sessions(
        self,
        request: Request,
        *,
        agent: Text = "",
        target: Text = "",
        live: bool = False,
        last: Last = 100,
    ) -> list[SessionItem]:
        """List sessions, newest first: an auditor's or admin's all, a person's of their agents, an agent's its own."""
        caller = caller_of(request)
        only, owner = _own(caller), owner_filter(caller) if caller.is_any("person") else ""
        if only and agent not in {"", only}:
            return []
        found = await asyncio.to_thread(
            self._library.list_sessions, last, owner=owner, agent=only or agent, target=target, live=live
        )
        return [_session(seen) for seen in found]

    async def read_session(self, request: Request, session: str) -> SessionDetail:
        """Show a session with its operations, without literals."""
        story = await asyncio.to_thread(self._library.read_session, session)
        if story is None or not may_see(caller_of(request), story):
            raise absent("session")
        seen = Seen(story.session, self._library.is_live(story.session))
        operations = [operation_object(operation) for operation in story.operations]
        return SessionDetail(**_session(seen).model_dump(), operations=operations)

    async def replay(self, request: Request, session: str, wish: LookWish) -> LookItem:
        """Look at a recording; that you look, and why, is entered into the book first."""
        look = await asyncio.to_thread(
            self._looks.open,
            session,
            by=caller_of(request).name,
            purpose=wish.purpose,
            begin=wish.begin,
            rows=wish.rows,
        )
        points = [
            PointItem(
                number=point.number,
                elapsed_s=point.elapsed_s,
                place=point.place,
                from_client=point.from_client,
                kind=point.kind,
                lines=list(point.lines),
            )
            for point in look.points
        ]
        return LookItem(session=look.session, points=points, more=look.more)

    async def read_ledger(self) -> LedgerItem:
        """Show how the ledger stands."""
        standing = await asyncio.to_thread(read_standing, folders_of(self._settings))
        return LedgerItem(
            origin=standing.origin,
            size=standing.size,
            root=standing.root,
            key=standing.key,
            signed=json_time(standing.signed_at),
            notary_lives=standing.notary_lives,
            not_sealed=sum(count for _, count in standing.behind),
        )

    async def read_verification(self) -> VerificationItem:
        """Show how the newest verification of the whole book stands."""
        return _verification(self._verification.standing())

    async def verify(self, request: Request) -> VerificationItem:
        """Begin to verify the whole book, unless that is going on."""
        return _verification(self._verification.start(caller_of(request).name))

    async def search(
        self,
        *,
        named: Annotated[Text, Query(alias="object")] = "",
        action: Text = "",
        agent: Text = "",
        owner: Text = "",
        person: Text = "",
        target: Text = "",
        session: Text = "",
        event: Text = "",
        shape: Text = "",
        decision: Text = "",
        begin: Annotated[Text, Query(alias="from")] = "",
        end: Annotated[Text, Query(alias="to")] = "",
        unclear: bool = False,
        last: Last = 100,
    ) -> SearchResult:
        """Search the sealed book, as `gatebook search` does."""
        texts = {"action": action, "agent": agent, "owner": owner, "person": person}
        texts |= {"target": target, "session": session, "event": event, "shape": shape}
        question = parse_question(named, decision, begin, end, texts, unclear=unclear)
        found = await asyncio.to_thread(ask, self._settings, question, last)
        return SearchResult(
            hits=[dict(hit_object(hit)) for hit in found.hits],
            more=found.more,
            unclear=found.unclear,
            indexed=found.indexed,
            sealed=found.sealed,
            behind=found.behind.entries,
        )


def _own(caller: Caller) -> str:
    """The agent whose sessions alone a caller sees, if it is one itself."""
    return caller.shown if caller.is_any("agent") else ""


def _session(seen: Seen) -> SessionItem:
    session: SessionSummary = seen.session
    return SessionItem(
        session=session.id,
        live=seen.is_live,
        writer=session.writer,
        started=json_time(session.started_at),
        ended=json_time(session.ended_at),
        cause=session.cause,
        agent=session.principal,
        owner=session.owner,
        role=session.role,
        target=session.target,
        database=session.database,
        account=session.account,
        from_=session.address,
        counts=dict(session.counts),
    )


def _verification(standing: Standing) -> VerificationItem:
    return VerificationItem(
        progress=str(standing.progress),
        by=standing.by,
        began=json_time(standing.began_at),
        ended=json_time(standing.ended_at),
        checked=standing.checked,
        findings=[_finding(one) for one in standing.findings],
        accounted=[_finding(one) for one in standing.accounted],
        more=standing.more,
        words=standing.words,
    )


def _finding(one: Finding) -> FindingItem:
    return FindingItem(name=one.name, subject=one.subject, words=one.words)
