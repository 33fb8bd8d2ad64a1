# SPDX-License-Identifier: Apache-2.0
"""Pages of the book: sessions and their pictures, replays, the ledger and its verification, searches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatebook.config import Settings
from gatebook.control.caller import Caller, caller_of, principal_of
from gatebook.control.endpoints import Endpoint, page
from gatebook.control.guard import form_of
from gatebook.control.library import Library
from gatebook.control.looks import Looks
from gatebook.control.picture import draw, lane_of
from gatebook.control.problems import absent
from gatebook.control.questions import ask, parse_question
from gatebook.control.rendering import render
from gatebook.control.verifying import Verification
from gatebook.evidence.faults import EvidenceFault
from gatebook.model.errors import GatebookError
from gatebook.vault.book import SessionStory
from gatebook.vault.standing import read_standing
from gatebook.views.places import folders_of
from gatebook.views.telling import operation_of, outcome_words, text_of, what, who

LISTED: Final = 100
SHOWN: Final = 2000  # LIMIT: operations on a page; the picture shows all
Text = Annotated[str, Query(max_length=300)]


def owner_filter(caller: Caller) -> str:
    """Return whose agents' sessions a caller is shown; empty for all."""
    return "" if caller.reads_all or caller.principal is None else caller.principal.subject.subject


def may_see(caller: Caller, story: SessionStory) -> bool:
    """Whether a session is a caller's business: a reader's all, a person's of their agents, an agent's its own."""
    name = caller.principal.subject.subject if caller.principal is not None else ""
    session = story.session
    return caller.reads_all or name == (session.owner if caller.is_any("person") else session.principal)


class BookPages:
    """What people see of the book."""

    def __init__(
        self,
        settings: Settings,
        *,
        library: Library,
        looks: Looks,
        verification: Verification,
        waiting: Callable[[Caller], int],
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._library = library
        self._looks = looks
        self._verification = verification
        self._waiting = waiting
        self._now = now

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            page("GET", "/", self.home),
            page("GET", "/sessions", self.list_sessions),
            page("GET", "/sessions/{session}", self.show_session),
            page("POST", "/sessions/{session}/replay", self.replay),
            page("GET", "/ledger", self.show_ledger),
            page("GET", "/ledger/verification", self.show_verification),
            page("POST", "/ledger/verification", self.verify),
            page("GET", "/search", self.search),
        ]

    async def home(self, request: Request) -> Response:
        """What goes on now."""
        caller = caller_of(request)
        owner = owner_filter(caller)
        live = await asyncio.to_thread(self._library.list_sessions, LISTED, owner=owner, live=True)
        waiting = self._waiting(caller)
        return render(request, "home.html", live=live, waiting=waiting, principal=principal_of(request))

    async def list_sessions(self, request: Request, agent: Text = "", target: Text = "", live: Text = "") -> Response:
        """The newest sessions; the list keeps itself up."""
        owner = owner_filter(caller_of(request))
        found = await asyncio.to_thread(
            self._library.list_sessions, LISTED, owner=owner, agent=agent, target=target, live=bool(live)
        )
        is_part = request.headers.get("hx-request") == "true"
        name = "_session_rows.html" if is_part else "sessions.html"
        return render(request, name, sessions=found, agent=agent, target=target, live=live)

    async def show_session(self, request: Request, session: str) -> Response:
        """A session with its picture and operations."""
        story = await asyncio.to_thread(self._library.read_session, session)
        if story is None or not may_see(caller_of(request), story):
            raise absent("session")
        is_live = self._library.is_live(story.session)
        last = max((operation.summary.at for operation in story.operations), default=story.session.started_at)
        end = story.session.ended_at or (self._now() if is_live else last)
        picture = draw(story.operations, story.session.started_at, end)
        shown = [(one.summary, lane_of(one.summary), outcome_words(one.summary)) for one in story.operations[-SHOWN:]]
        left_out = max(0, len(story.operations) - SHOWN)
        return render(
            request,
            "session.html",
            story=story,
            session=story.session,
            is_live=is_live,
            picture=picture,
            operations=shown,
            left_out=left_out,
        )

    async def replay(self, request: Request, session: str) -> Response:
        """A look at a recording, entered first."""
        form = form_of(await request.body())
        look = await asyncio.to_thread(
            self._looks.open,
            session,
            by=caller_of(request).name,
            purpose=form.get("purpose", ""),
            begin=form.get("begin", ""),
        )
        return render(request, "replay.html", look=look)

    async def show_ledger(self, request: Request) -> Response:
        """How the ledger stands."""
        words = ""
        try:
            standing = await asyncio.to_thread(read_standing, folders_of(self._settings))
        except (EvidenceFault, OSError) as fault:
            standing, words = None, fault.message if isinstance(fault, GatebookError) else "it cannot be read"
        return render(
            request, "ledger.html", standing=standing, words=words, verification=self._verification.standing()
        )

    async def show_verification(self, request: Request) -> Response:
        """How the verification stands, as a part of the page."""
        return render(request, "_verification.html", verification=self._verification.standing())

    async def verify(self, request: Request) -> Response:
        """Begin a verification."""
        self._verification.start(caller_of(request).name)
        return RedirectResponse("/ledger", HTTPStatus.SEE_OTHER)

    async def search(
        self,
        request: Request,
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
    ) -> Response:
        """Search the book."""
        texts = {
            "action": action,
            "agent": agent,
            "owner": owner,
            "person": person,
            "target": target,
            "session": session,
            "event": event,
            "shape": shape,
        }
        asked = {"object": named, **texts, "decision": decision, "from": begin, "to": end}
        found, words, rows = None, "", []
        if any(asked.values()):
            try:
                question = parse_question(named, decision, begin, end, texts)
                found = await asyncio.to_thread(ask, self._settings, question)
            except GatebookError as fault:
                words = f"{fault.message}: {fault.hint}" if fault.hint else fault.message
        if found is not None:
            for hit in found.hits:
                told = operation_of(hit)
                outcome = outcome_words(told) if told is not None else text_of(hit.leaf, "result")
                rows.append((hit, who(hit.leaf), outcome, what(hit.leaf, told)))
        return render(request, "search.html", asked=asked, found=found, rows=rows, words=words)
