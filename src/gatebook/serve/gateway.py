# SPDX-License-Identifier: Apache-2.0
"""The desk at work: answers what the carrier asks, writes the entries of Python's side, ends what must end.

Silence is a no: whatever is raised while a question is answered is logged here once, and the client is refused.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import assert_never

import structlog

from gatebook import __version__
from gatebook.approval.request import NotNow
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.identity.token import looks_like_token, peek
from gatebook.issuers.keys import TokenKeys
from gatebook.model.decision import Refused, Verdict
from gatebook.model.principal import Principal
from gatebook.model.secret import Secret
from gatebook.native.carrier import (
    Cancel,
    Carrier,
    CatalogueChanged,
    Ended,
    Fault,
    Forgotten,
    Hello,
    Journal,
    NativeError,
    NotSecured,
    Question,
)
from gatebook.native.pure import Admission, Refusal
from gatebook.process.tasks import Tasks
from gatebook.protocols.postgres.catalogue import CatalogueView
from gatebook.protocols.postgres.handler import (
    Arrival,
    Fresh,
    Judged,
    Welcome,
    find_place,
    judge,
    receive,
    render_verdict,
    turn_away,
    turn_back,
    with_head,
)
from gatebook.protocols.postgres.refusals import render
from gatebook.serve.approvals import Approvals, Asked
from gatebook.serve.aside import LONG_BYTES, Aside
from gatebook.serve.cancels import Cancels
from gatebook.serve.catalogues import Catalogues
from gatebook.serve.fresh import fresh_evaluation, fresh_session, now
from gatebook.serve.handshakes import Handshakes
from gatebook.serve.live import CHANGED, NO_EVIDENCE, THROTTLED, Live
from gatebook.serve.logins import Logins
from gatebook.serve.plan import Plan
from gatebook.serve.wrapping import Wrapping
from gatebook.session.binding import Matter
from gatebook.session.gate import Admitted, Circumstances, NotAdmitted, Rules, Session
from gatebook.session.steps import HALTED
from gatebook.vault.clock import is_synchronised
from gatebook.vault.keystore import KeyStore
from gatebook.vault.transit import KeyStoreFault

# Things taken from the carrier's queue at a time. What was taken is answered in its order: whoever comes meanwhile
# waits for a batch of others' questions, each of which may take milliseconds.
BATCH = 4

COUNT_POLL_S = 1.0

_log = structlog.get_logger("gatebook")


class Gateway:
    """One running gate. Lives on one event loop."""

    def __init__(
        self,
        carrier: Carrier,
        journal: Journal,
        rules: Rules,
        *,
        tokens: TokenKeys,
        key: KeyStore,
        plan: Plan,
        approvals: Approvals,
    ) -> None:
        self.carrier = carrier
        self.rules = rules
        self.approvals = approvals
        self._tokens = tokens
        self._logins = Logins(plan.login_wait_s)
        self._cancels = Cancels(self._logins, self._write, self._stamp, time.monotonic)
        self._handshakes = Handshakes(self._logins, self._write, self._stamp, time.monotonic)
        self._journal = journal
        self._wrapping = Wrapping(key)
        self._plan = plan
        self._tasks = Tasks()
        self._aside = Aside()
        self._live: dict[str, Live] = {}
        self._catalogues: Catalogues | None = None
        self.failed = asyncio.Event()

    def start(self) -> None:
        """Begin to answer; called on the loop, after the listeners are bound."""
        hashes = {"policy_hash": self.rules.engine.hash, "config_hash": self._plan.config_hash}
        self._write(builders.gateway_start(self._stamp(), version=__version__, **hashes))
        self._catalogues = Catalogues(self._tasks, lambda: self.carrier.raise_epoch("catalogue"))
        self._tasks.start("heartbeat", self._heartbeat())
        self._tasks.start("keys", self._tokens.poll())
        self._tasks.start("count", self._count())
        self._tasks.start("approvals", self.approvals.run(self._end_grants))
        asyncio.get_running_loop().add_reader(self.carrier.desk_fd(), self._drain)

    async def stop(self, cause: str) -> None:
        """Let running operations end, end the rest, and say so in the book; `failed` is set if it cannot be written."""
        sessions = len(self._live)
        await asyncio.to_thread(self.carrier.stop, self._plan.drain_s * 1000)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self.carrier.desk_fd())
        await self._tasks.stop()
        self._aside.close()
        self.approvals.close()
        self._wrapping.close()
        for live in list(self._live.values()):
            await live.database.close()
        try:
            self._write_counted(ending=True)
            self._write(builders.gateway_stop(self._stamp(), cause=cause, sessions=sessions))
        except NativeError as fault:
            _log.error("evidence cannot be written", fault=str(fault))
            self.failed.set()

    def end_sessions(self, is_good: Callable[[Principal], bool]) -> None:
        """End the sessions whose credential is not good any more."""
        for live in list(self._live.values()):
            principal = live.session.principal
            if not is_good(principal):
                self.carrier.end(live.session.id, "revoked", f"credential {principal.credential}")

    def _end_grants(self, standing: frozenset[str]) -> None:
        """End the sessions whose role was given for a time that is over."""
        for live in list(self._live.values()):
            if live.session.grant and live.session.grant not in standing:
                self.carrier.end(live.session.id, "revoked", f"role {live.session.role.name} is over")

    def take_up(self, rules: Rules, plan: Plan, fit: Callable[[Session], Session | str]) -> None:
        """Decide by other rules from now on; no kept verdict of the old ones serves again.

        `fit` returns a session as it is from now on, or the words why it ends. Those who stay keep their connections.
        """
        self.rules = dataclasses.replace(rules, halted=self.rules.halted)
        self._plan = plan
        for live in list(self._live.values()):
            fitted = fit(live.session)
            if isinstance(fitted, str):
                self.carrier.end(live.session.id, "revoked", fitted)
            else:
                live.database.target = fitted.target
                self._live[fitted.id] = Live(fitted, live.database)
        # Raised last: what was decided by the old rules and is not answered yet is decided again.
        self.carrier.raise_epoch("policy")
        self.carrier.raise_epoch("grants")

    def halt(self, refused: Refused | None) -> None:
        """Refuse everything new with these words from now on; with None, go on. What runs is carried to its end."""
        self.rules = dataclasses.replace(self.rules, halted=refused)
        self.carrier.raise_epoch("policy")  # no kept verdict serves, and none that is under way

    # ── what the carrier brings ─────────────────────────────────────────────────────────────────

    def _drain(self) -> None:
        for item in self.carrier.drain(BATCH):
            match item:
                case Hello():
                    self._tasks.start("welcome", self._welcome(item))
                case Question():
                    self._tasks.start("decide", self._decide(item))
                case Cancel():
                    self._tasks.start("cancel", self._cancel(item))
                case NotSecured():
                    self._enter_handshake(item)
                case Ended():
                    self._tasks.start("ended", self._ended(item))
                case CatalogueChanged():
                    if (live := self._live.get(item.session)) is not None:
                        live.database.mark_due()
                        # Begun before anybody asks: the next statement of the session is on its way.
                        self._tasks.start("catalogue", live.database.read_ahead())
                case Fault():
                    _log.error("carrier fault", what=item.what, note=item.note)
                    # The carrier goes on where a connection could not be accepted, or one session failed.
                    if item.what not in {"listener", "session"}:
                        self.failed.set()
                case Forgotten():
                    self.approvals.forget(item.ticket)  # nobody waits: any other answer will be ignored
                case _:
                    assert_never(item)

    async def _welcome(self, hello: Hello) -> None:
        ip, user = hello.peer[0], dict(hello.parameters).get("user", "")
        wait = self._logins.arrive(ip, user, time.monotonic())
        if wait:
            await asyncio.sleep(wait)
            self._logins.waited(ip)
        try:
            password = Secret(hello.password())
            if wait is not None and looks_like_token(password.reveal()) and (hint := peek(password.reveal())):
                await self._tokens.prepare(hint)
            certificates = tuple(hello.certificates)
            arrival = Arrival(hello.peer, hello.tls, tuple(hello.parameters), password, certificates)
            if wait is None:
                welcome = turn_away(arrival, "throttled", THROTTLED)
            else:
                welcome = await self._receive(arrival)
            if self._is_told(welcome, ip, user):
                self._write_authn(welcome)
        except NativeError as fault:
            _log.error("evidence cannot be written", fault=str(fault))
            self.carrier.refuse(hello.ticket, render(NO_EVIDENCE))
            return
        except Exception:  # noqa: BLE001  # the shell's boundary: silence refuses
            _log.exception("a login could not be answered")
            self.carrier.silence(hello.ticket)
            return
        match welcome.native, welcome.outcome:
            case Admission() as admission, Admitted(session=session) if self._catalogues:
                self._live[session.id] = Live(session, self._catalogues.enter(session.target, session.database))
                self.carrier.admit(hello.ticket, admission)
                self._end_grants(self.approvals.grants.standing)  # its role may be over since it was looked up
            case Refusal() as refusal, _:
                self.carrier.refuse(hello.ticket, refusal)
            case _:
                self.carrier.silence(hello.ticket)

    async def _receive(self, arrival: Arrival) -> Welcome:
        plan, rules = self._plan, self.rules
        fresh = fresh_session(self._wrapping, plan.session_s)
        circumstances = Circumstances(now(), fresh_evaluation(), in_transaction=False)
        welcome = receive(
            arrival,
            rules,
            fresh,
            circumstances,
            limits=plan.limits,
            gateway=plan.writer,
            grants=self.approvals.grants.of,
        )
        if isinstance(welcome.outcome, Admitted) and welcome.outcome.session.grant:
            try:
                await self.approvals.enter(welcome.outcome.session)
            except NotNow as fault:
                return turn_back(welcome, Refused("admit.denied", fault.message, fault.hint))
        if fresh.recording_head or not isinstance(welcome.outcome, Admitted):
            return welcome
        welcome = await self._with_head(welcome, fresh, plan)
        # INVARIANT: nobody is inside by rules that a reload replaced while their key was wrapped.
        return welcome if rules is self.rules else turn_back(welcome, CHANGED)

    async def _with_head(self, welcome: Welcome, fresh: Fresh, plan: Plan) -> Welcome:
        try:
            head = await self._wrapping.wrap(fresh.session, fresh.recording_key)
        except KeyStoreFault as fault:
            _log.error("no key for a recording, so no session", fault=fault.message, hint=fault.hint)
            return turn_back(welcome, NO_EVIDENCE)
        return with_head(welcome, replace(fresh, recording_head=head), limits=plan.limits, gateway=plan.writer)

    async def _decide(self, question: Question) -> None:
        try:
            live = self._live[question.session]
            view = await live.database.current()
            judged = await self._judge(question, live, view)
            if judged.matter is not None and (fresh := await live.database.reread()).revision != view.revision:
                # People consent to what is there now, also where it was changed past the gate a moment ago.
                self.carrier.raise_epoch("catalogue")
                judged = await self._judge(question, live, fresh)
            if judged.matter is None:
                self.carrier.answer(question.ticket, render_verdict(judged.verdict, live.session))
            else:
                matter = judged.matter.also(definitions=await live.database.definitions(judged.relations))
                await self._put_to_people(question, live.session, judged.verdict, matter)
        except Exception:  # noqa: BLE001  # the shell's boundary: silence refuses
            _log.exception("a question could not be answered", session=question.session)
            self.carrier.silence(question.ticket)

    async def _judge(self, question: Question, live: Live, view: CatalogueView) -> Judged:
        in_block, kind_of = question.transaction != "I", view.kind_of
        circumstances = Circumstances(now(), fresh_evaluation(), in_transaction=in_block, kind_of=kind_of)
        decide = partial(judge, question, live.session, self.rules, circumstances, view)
        size = len(question.text) + sum(len(text) for _, text in question.prepared)
        is_long = size >= LONG_BYTES
        return await self._aside.run(str(live.session.principal.subject), decide) if is_long else decide()

    async def _put_to_people(self, question: Question, session: Session, verdict: Verdict, matter: Matter) -> None:
        asked = Asked(question.ticket, session, question.operation, question.transaction != "I", verdict, matter)
        settled, wait_s = await self.approvals.settle(asked)
        native = render_verdict(settled, session)
        if settled.notice is None:
            self.carrier.answer(question.ticket, native)
        elif not self.carrier.hold(question.ticket, native, render(settled.notice), int(wait_s * 1000)):
            self.approvals.forget(question.ticket)

    async def _cancel(self, cancel: Cancel) -> None:
        try:
            is_good = await self._cancels.is_good(cancel)
        except NativeError as fault:
            _log.error("evidence cannot be written", fault=str(fault))
            is_good = False
        if is_good:
            self.carrier.note(cancel.ticket)
        else:
            self.carrier.silence(cancel.ticket)

    def _enter_handshake(self, failed: NotSecured) -> None:
        try:
            self._handshakes.enter(failed)
        except NativeError as fault:
            _log.error("evidence cannot be written", fault=str(fault))

    async def _ended(self, ended: Ended) -> None:
        live = self._live.pop(ended.session, None)
        if live is not None and self._catalogues:
            await self._catalogues.leave(live.database)

    def _is_told(self, welcome: Welcome, ip: str, user: str) -> bool:
        """Count a login; whether it has an entry of its own. Every one that was let in has."""
        outcome, moment = welcome.outcome, time.monotonic()
        if isinstance(outcome, Admitted):
            self._logins.succeed(ip, user, moment)
            return True
        checks = outcome.answer.checks
        failed = next((check.name for check in checks if not check.passed), "")
        return self._logins.fail(ip, user, failed, moment, heard=failed not in {"throttled", HALTED})

    # ── what Python writes ──────────────────────────────────────────────────────────────────────

    def _write_authn(self, welcome: Welcome) -> None:
        outcome = welcome.outcome
        place = find_place(welcome.startup, self.rules)
        answer = outcome.identified if isinstance(outcome, Admitted) else outcome.answer
        self._write(
            builders.authn(
                self._stamp(),
                answer,
                user=welcome.startup.user,
                database=welcome.startup.database,
                source=welcome.source,
                target=place.target.name if place else "",
                session=outcome.session.id if isinstance(outcome, Admitted) else "",
                refused=outcome.refused.code if isinstance(outcome, NotAdmitted) else "",
            )
        )

    async def _heartbeat(self) -> None:
        while True:
            await asyncio.sleep(self._plan.heartbeat_s)
            self._write(
                builders.heartbeat(
                    self._stamp(),
                    sessions=len(self._live),
                    entries=self._journal.entries(),
                    clock_synchronised=is_synchronised(),
                )
            )

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(COUNT_POLL_S)
            self._write_counted(ending=False)

    def _write_counted(self, *, ending: bool) -> None:
        for counted in self._logins.take_counted(time.monotonic(), ending=ending):
            self._write(
                builders.authn_counted(
                    self._stamp(),
                    source=counted.source,
                    failures=counted.failures,
                    checks=counted.checks,
                    seconds=counted.seconds,
                )
            )

    def _write(self, leaf: bytes) -> None:
        self._journal.append(leaf)

    def _stamp(self) -> Stamp:
        return Stamp(self._plan.writer, now())
