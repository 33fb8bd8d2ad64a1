# SPDX-License-Identifier: Apache-2.0
"""The waiting room: operations that people are asked about, from the question to the use or the end.

Requests live in the store, so that they outlive the gate; who waits on the wire is known here. The store is asked, and
entries are written, on a thread of its own: no other question waits for either.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final, Protocol, TypeVar

import structlog

from gatebook.approval import request as rules
from gatebook.approval.people import Crowd
from gatebook.approval.request import NotNow
from gatebook.config.approval import ApprovalSettings
from gatebook.evidence import approval_entries
from gatebook.evidence.builders import Stamp
from gatebook.evidence.entry import EntryFault
from gatebook.model.approval import Asking, HoldMode, Kind, Request, State
from gatebook.model.decision import Refused, Verdict
from gatebook.serve.approval_words import ENDS, people, refused
from gatebook.serve.fresh import now
from gatebook.serve.grants import FALLEN, Grants
from gatebook.serve.preview import Previews
from gatebook.session import steps
from gatebook.session.binding import Matter
from gatebook.session.gate import Consent, NoConsent, Session, Waits
from gatebook.session.voting import crowd_of
from gatebook.store.base import Store
from gatebook.vault.ids import new_request_id, new_salt

# How often the store is looked at: a vote by any process lets go on within it.
POLL_S: Final = 0.05
# The carrier's own bound of a wait, behind ours: silence is a no.
BEHIND_S: Final = 5.0

_log = structlog.get_logger("gatebook")
T = TypeVar("T")


class Wire(Protocol):
    """What is asked of the carrier."""

    def resume(self, ticket: int) -> bool:
        """Let a held question be asked again."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A held question. `operation` is its number in the session."""

    ticket: int
    session: Session
    operation: int
    in_transaction: bool
    verdict: Verdict
    matter: Matter

    @property
    def id(self) -> str:
        """The operation's id in the book."""
        return f"{self.session.id}.{self.operation}"


@dataclass(slots=True)
class _Waiter:
    ticket: int
    request: str
    place: tuple[str, int]
    until: float  # monotonic


class Approvals:
    """One gate's waiting room. Lives on one event loop."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        wire: Wire,
        append: Callable[[bytes], object],
        *,
        gate: str,
        settings: ApprovalSettings,
        console: str = "",
    ) -> None:
        self.settings = settings
        self.grants = Grants(gate, append)
        self._previews = Previews(gate, append)
        self._open_store = open_store
        self._wire = wire
        self._append = append
        self._gate = gate
        self._console = console
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="approvals")
        self._store: Store | None = None
        self._seen = 0
        self._waiters: dict[int, _Waiter] = {}
        self._by_request: dict[str, int] = {}
        self._overdue: set[tuple[str, int]] = set()
        # Requests that are open, with the moments from which they are late: by either clock.
        self._late: dict[str, tuple[datetime, float]] = {}
        self._end_sessions: Callable[[frozenset[str]], None] = lambda _: None

    async def run(self, end: Callable[[frozenset[str]], None]) -> None:
        """Follow the store until cancelled: let go on who waits, end what is late.

        `end` is told which grants there are whenever one is gone, to end the sessions under all others.
        """
        self._end_sessions = end
        is_released = False
        while True:
            try:
                if not is_released:
                    await self._do(self._release_lost)
                    is_released = True
                await self._look()
            except Exception:  # noqa: BLE001  # the shell's boundary: who waits goes on waiting, and is refused in time
                _log.exception("requests for approval cannot be followed")
            await asyncio.sleep(POLL_S)

    def close(self) -> None:
        """Drop the thread and its store."""
        if self._store is not None:
            self._thread.submit(self._store.close)
        self._thread.shutdown(wait=True)

    async def enter(self, session: Session) -> None:
        """Count a session under the role that its principal has for a time, in the book. NotNow if it has not."""
        await self._do(lambda: self._enter(session))

    async def settle(self, asked: Asked) -> tuple[Verdict, float]:
        """Return what becomes of a held question, and for how many seconds the carrier may hold it: 0 if it is over."""
        answer = await self._answer(asked)
        settled = steps.approve(asked.verdict, answer)
        return settled, self._wait(asked, answer) if isinstance(answer, Waits) else 0

    async def _answer(self, asked: Asked) -> Consent | NoConsent | Waits:
        """Say how a held question stands: asked for the first time, or again when its wait is over."""
        if asked.matter.unfit:
            return NoConsent(refused("approval.unfit", f"people cannot be asked about this: {asked.matter.unfit}"))
        try:
            answer = await self._do(lambda: self._settle_found(asked))
            if answer is not None:
                return answer
            made = await self._ask(asked)
            return await self._do(lambda: self._settle(asked, made))
        except NotNow as fault:
            return NoConsent(refused("approval.flood", fault.message, fault.hint))
        except EntryFault:
            return NoConsent(refused("approval.unfit", "people cannot be asked about this: it fits into no entry"))

    def _wait(self, asked: Asked, waits: Waits) -> float:
        """Note who waits for a request, and return for how many seconds the carrier may hold it at most."""
        hold = asked.verdict.held
        assert hold is not None
        limit: float = self.settings.transaction_wait_s if asked.in_transaction else self.settings.wait_s
        if hold.wait is not None:
            limit = min(limit, hold.wait.total_seconds())
        place = (asked.session.id, asked.operation)
        waiter = _Waiter(asked.ticket, waits.request, place, time.monotonic() + limit)
        self._waiters[asked.ticket] = waiter
        self._by_request[waits.request] = asked.ticket
        return limit + BEHIND_S

    def forget(self, ticket: int) -> bool:
        """The client of a ticket gave up: its request is over. False if nobody waits by it."""
        waiter = self._waiters.pop(ticket, None)
        if waiter is None:
            return False
        self._by_request.pop(waiter.request, None)
        self._thread.submit(self._end, waiter.request, lambda found: rules.cancel(found, now(), "the client gave up"))
        return True

    # ── on the thread ───────────────────────────────────────────────────────────────────────────

    def _settle_found(self, asked: Asked) -> Consent | NoConsent | Waits | None:
        """Settle by the request on which this operation waits, or one that it may claim; None if there is neither.

        Found and settled in one go: what two sessions found, only one of them could claim.
        """
        store, subject = self._stored(), asked.session.principal.subject
        found = store.find_held(asked.session.id, asked.operation)
        found = found or store.find_claimable(subject, asked.matter.lookup())
        return None if found is None else self._settle(asked, found)

    def _settle(self, asked: Asked, found: Request) -> Consent | NoConsent | Waits:
        place = (asked.session.id, asked.operation)
        is_overdue = place in self._overdue
        self._overdue.discard(place)
        bound = asked.matter.bind(found.salt)
        if found.is_open and bound.digest != found.digest:
            self._end(found.id, lambda request: rules.end_unfit(request, now(), "what it would do has changed"))
            why = "what it would do has changed since it was asked"
            return NoConsent(refused("approval.void", why, "send it again to ask again", found), found.id, found.salt)
        match found.state:
            case State.PENDING:
                return self._pending(asked, found, is_overdue=is_overdue)
            case State.GRANTED | State.USED:
                return self._use(asked, found, bound.digest)
            case _:
                words = f"approval {found.id} was {found.state.value}" + (f": {found.why}" if found.why else "")
                told = refused(ENDS[found.state], words, "send it again to ask again", found)
                return NoConsent(told, found.id, found.salt)

    def _pending(self, asked: Asked, found: Request, *, is_overdue: bool) -> Waits | NoConsent:
        place = (asked.session.id, asked.operation)
        if asked.verdict.held and asked.verdict.held.mode is HoldMode.WAIT and not is_overdue:
            if (found.session, found.operation) != place:
                found = self._stored().change_request(
                    found.id, lambda request: replace(request, session=place[0], operation=place[1], gate=self._gate)
                )
            self._note(found)
            return Waits(found.id, found.salt, self._notice(found))
        words = f"this waits for approval by {people(found)}: request {found.id}"
        hint = "send the same again once it is granted"
        return NoConsent(refused("approval.pending", words, hint, found), found.id, found.salt)

    def _use(self, asked: Asked, found: Request, digest: str) -> Consent | NoConsent:
        store, crowd = self._stored(), self._crowd()

        def change(request: Request) -> Request:
            used = rules.use(request, digest, crowd, now(), asked.id)
            if used == request:
                return request  # the same operation asks again: it was counted
            if used.state is State.USED:
                used = replace(used, session=asked.session.id, operation=asked.operation)
            else:  # whoever sends the same may use it too
                used = replace(used, session="", operation=0, gate="")
            voters = [vote.person for vote in used.consents]
            policy_hash = asked.verdict.decisions[0].policy_hash
            self._append(
                approval_entries.used(self._stamp(), used, operation=asked.id, policy_hash=policy_hash, voters=voters)
            )
            return used

        try:
            store.change_request(found.id, change)
        except NotNow as fault:
            why, moment = fault.message, now()
            is_late = moment >= found.ends_at()
            self._end(found.id, lambda request: rules.end_unfit(request, moment, why))
            told = refused(ENDS[State.EXPIRED if is_late else State.VOID], why, "send it again to ask again", found)
            return NoConsent(told, found.id, found.salt)
        return Consent(found.id, found.salt)

    def _enter(self, session: Session) -> None:
        crowd = self._crowd()
        self._stored().change_request(session.grant, lambda found: self.grants.enter(found, session, crowd))

    async def _ask(self, asked: Asked) -> Request:
        """Make, keep and enter a new request, with its preview. NotNow where its principal asks too much."""
        name, matter = new_request_id(), asked.matter
        if self.settings.preview:
            plan = await self._previews.of(name, asked.id, asked.session, asked.verdict, matter)
            matter = replace(matter, shown=matter.shown | {"preview": plan})
        try:
            return await self._do(lambda: self._request(replace(asked, matter=matter), name))
        except NotNow:
            self._previews.rest(asked.session.principal.subject)
            raise

    def _request(self, asked: Asked, name: str) -> Request:
        session, hold = asked.session, asked.verdict.held
        assert hold is not None
        moment, settings = now(), self.settings
        salt = new_salt()
        bound = asked.matter.bind(salt)
        waits = hold.mode is HoldMode.WAIT
        decide = timedelta(seconds=settings.decide_s)
        request = Request(
            id=name,
            kind=Kind.OPERATION,
            principal=session.principal,
            target=session.target.name,
            database=session.database,
            role=session.role.name,
            hold=hold,
            digest=bound.digest,
            matter=asked.matter.lookup(),
            binding=bound.binding,
            salt=salt,
            shown=bound.shown,
            shown_digest=bound.shown_digest,
            made_at=moment,
            decide_by=moment + min(decide, hold.decide or decide),
            use_s=settings.use_s,
            session=session.id if waits else "",
            operation=asked.operation if waits else 0,
            gate=self._gate if waits else "",
        )

        def check(asking: Asking) -> None:
            rules.check_quota(asking, pending=settings.pending, per_hour=settings.per_hour)
            policy_hash = asked.verdict.decisions[0].policy_hash
            self._append(approval_entries.requested(self._stamp(), request, policy_hash=policy_hash))

        self._stored().add_request(request, check)
        return request

    def _release_lost(self) -> None:
        """Let requests of this gate's last run be claimed by whoever sends the same again."""
        for found in self._stored().list_changed(0)[1]:
            if found.gate == self._gate and found.session:
                self._free(found.id)

    def _free(self, request: str) -> None:
        with suppress(NotNow):
            self._stored().change_request(
                request, lambda found: replace(found, session="", operation=0, gate="") if found.is_open else found
            )

    def _end(self, request: str, end: Callable[[Request], Request]) -> None:
        def change(found: Request) -> Request:
            ended = end(found)
            self._append(approval_entries.ended(self._stamp(), ended))
            return ended

        with suppress(NotNow):  # it is over already
            self._stored().change_request(request, change)

    def _crowd(self) -> Crowd:
        return crowd_of(self._stored())

    def _stored(self) -> Store:
        if self._store is None:
            self._store = self._open_store()
        return self._store

    # ── on the loop ─────────────────────────────────────────────────────────────────────────────

    async def _look(self) -> None:
        before = self._seen
        self._seen, changed = await self._do(lambda: self._stored().list_changed(self._seen))
        if self._seen != before:
            await self._follow_roles(changed)
        for request in changed:
            if request.is_open:
                self._note(request)
            else:
                self._late.pop(request.id, None)
            ticket = self._by_request.get(request.id)
            if ticket is not None and request.state is not State.PENDING:
                self._resume(ticket)
        moment, mono = now(), time.monotonic()
        # A copy: the thread notes requests meanwhile.
        for name, late in list(self._late.items()):
            if moment >= late[0] or mono >= late[1]:
                await self._do(partial(self._end, name, partial(rules.expire, now=moment)))
                self._late.pop(name, None)  # not before: what the store could not take is tried again
        for waiter in [waiter for waiter in self._waiters.values() if mono >= waiter.until]:
            self._overdue.add(waiter.place)
            await self._do(partial(self._free, waiter.request))
            self._resume(waiter.ticket)

    async def _follow_roles(self, changed: tuple[Request, ...]) -> None:
        """Keep who has a role for a time; one whose approvers may not give it any more is over."""
        self.grants.take(changed)
        if self.grants.standing:
            for name in self.grants.drop_fallen(await self._do(self._crowd)):
                await self._do(partial(self._end, name, partial(rules.end_unfit, now=now(), why=FALLEN)))
        self._end_sessions(self.grants.standing)

    def _note(self, request: Request) -> None:
        """Keep when an open request is late: as the clock says, and also if that is set back."""
        left = (request.ends_at() - now()).total_seconds()
        known = self._late.get(request.id)
        mono = time.monotonic() + left
        if known is not None and known[0] == request.ends_at():
            mono = min(mono, known[1])
        self._late[request.id] = (request.ends_at(), mono)

    def _resume(self, ticket: int) -> None:
        waiter = self._waiters.pop(ticket, None)
        if waiter is not None:
            self._by_request.pop(waiter.request, None)
            self._wire.resume(ticket)

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _notice(self, request: Request) -> Refused:
        link = f"{self._console}/approvals/{request.id}" if self._console else ""
        hint = f"see {link}" if link else f"who may: gatebook approvals approve {request.id}"
        words = f"this waits for approval by {people(request)}: request {request.id}"
        return refused("approval.held", words, hint, request, link=link)

    def _stamp(self) -> Stamp:
        return Stamp(self._gate, now())
