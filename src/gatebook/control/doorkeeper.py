# SPDX-License-Identifier: Apache-2.0
"""Who a request is from: a bearer credential, verified as the gate does it, or a web session; and what they are here.

A request with an `Authorization` header is judged by that alone. An agent never has a web session: only people are
signed in, and only by a passkey or by their provider.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gatebook.config import ControlSettings
from gatebook.control.access import Who
from gatebook.control.caller import NOBODY, Caller
from gatebook.control.problems import Problem
from gatebook.identity import api_key, passkey, token
from gatebook.issuers.keys import TokenKeys
from gatebook.model.principal import Identified, Principal, PrincipalKind
from gatebook.store.base import Store
from gatebook.store.console import ConsoleStore, WebSession

SECRET_BYTES: Final = 32
MAX_SECRET: Final = 64  # characters: what is longer was not made here
SEEN_S: Final = 30.0  # a session's last request is kept to this precision
_BEARER: Final = "bearer "


class Doorkeeper:
    """Recognises callers, signs people in and out. Used from the event loop's thread."""

    def __init__(
        self,
        control: ControlSettings,
        store: Store,
        console: ConsoleStore,
        tokens: TokenKeys,
        now: Callable[[], datetime],
    ) -> None:
        self._control = control
        self._store = store
        self._console = console
        self._tokens = tokens
        self._now = now

    @property
    def cookie(self) -> str:
        """Name of the cookie of web sessions; the prefix makes browsers insist on TLS and on this host alone."""
        return "__Host-gatebook" if self._control.is_https else "gatebook"

    async def recognise(self, request: Request) -> Caller:
        """Return who asks; NOBODY for nothing, or a web session that is over. Problem 401 for a bad bearer."""
        shown = request.headers.get("authorization")
        if shown is not None:
            return await self._bearer(shown)
        secret = request.cookies.get(self.cookie, "")
        return self._signed_in(secret) if 0 < len(secret) <= MAX_SECRET else NOBODY

    def sign_in(self, principal: Principal, response: Response) -> None:
        """Begin a web session of a person, whom a passkey or provider has identified. Problem 403 if they may not."""
        if principal.kind is not PrincipalKind.PERSON or self._who(principal) is None:
            raise Problem(HTTPStatus.FORBIDDEN, "sign_in", "this sign-in is not accepted")
        moment, secret = self._now(), secrets.token_urlsafe(SECRET_BYTES)
        ends = moment + timedelta(seconds=self._control.session_s)
        session = WebSession(
            principal.subject, principal.groups, principal.method, principal.credential, moment, moment, ends
        )
        self._console.add_session(secret, session)
        self.set_cookie(response, self.cookie, secret, self._control.session_s)

    def sign_out(self, caller: Caller, response: Response) -> None:
        """End the caller's web session."""
        self._console.end_session(caller.web)
        self.set_cookie(response, self.cookie, "", 0)

    def set_cookie(self, response: Response, name: str, value: str, life_s: int) -> None:
        """Set a cookie that scripts cannot read and other sites' requests do not bring along."""
        response.set_cookie(
            name, value, max_age=life_s, path="/", secure=self._control.is_https, httponly=True, samesite="lax"
        )

    async def _bearer(self, shown: str) -> Caller:
        credential = shown[len(_BEARER) :].strip().encode("utf-8", "replace")
        if not shown.lower().startswith(_BEARER) or not credential or len(credential) > token.TOKEN_BYTES:
            raise _refused()
        if token.looks_like_token(credential):
            hint = token.peek(credential)
            if hint is not None:
                await self._tokens.prepare(hint)
            answer = token.verify(credential, self._tokens, self._now())
        else:
            answer = api_key.verify(credential, self._store, self._now())
        if not isinstance(answer, Identified):
            raise _refused()
        who = self._who(answer.principal)
        if who is None:
            raise _refused()
        return Caller(answer.principal, who)

    def _signed_in(self, secret: str) -> Caller:
        session, moment = self._console.find_session(secret), self._now()
        if session is None:
            return NOBODY
        idle = timedelta(seconds=self._control.idle_s)
        principal = Principal(
            PrincipalKind.PERSON, session.person, session.groups, None, (), session.method, session.credential
        )
        who = self._who(principal)
        if who is None or not session.made_at <= moment < session.ends_at or moment - session.seen_at >= idle:
            self._console.end_session(secret)
            return NOBODY
        if (moment - session.seen_at).total_seconds() >= SEEN_S:
            self._console.touch_session(secret, moment)
        return Caller(replace(principal, groups=self._groups(principal)), who, secret, csrf_of(secret))

    def _who(self, principal: Principal) -> frozenset[Who] | None:
        """What somebody is here, as of now; None for a person who is disabled, or not known any more."""
        if principal.kind is PrincipalKind.AGENT:
            return frozenset({Who.ANYBODY, Who.AGENT})
        known = self._store.find_person(principal.subject)
        if known is not None and known.disabled_at is not None:
            return None
        if known is None and principal.method == passkey.METHOD:
            return None
        groups = frozenset(self._groups(principal))
        who = {Who.ANYBODY, Who.PERSON}
        if known is not None and known.groups:
            who.add(Who.APPROVER)
        if groups.intersection(self._control.auditors):
            who.add(Who.AUDITOR)
        if groups.intersection(self._control.admins) or (known is not None and known.admin):
            who.add(Who.ADMIN)
        return frozenset(who)

    def _groups(self, principal: Principal) -> tuple[str, ...]:
        """The groups of a token, and those that the gate itself knows."""
        known = self._store.find_person(principal.subject)
        own = [membership.group for membership in known.groups] if known is not None else []
        return tuple(sorted({*principal.groups, *own}))


def csrf_of(secret: str) -> str:
    """Return what forms of a web session bring along: nobody who has not the cookie can know it."""
    return base64.urlsafe_b64encode(hmac.digest(secret.encode(), b"gatebook csrf", "sha256")).rstrip(b"=").decode()


def _refused() -> Problem:
    # One answer for every failure: which check failed is nobody's business outside.
    hint = "send an API key or access token that is good, as `Authorization: Bearer`"
    words = "the credential is not accepted"
    return Problem(HTTPStatus.UNAUTHORIZED, "credential", words, hint, WWW_Authenticate='Bearer error="invalid_token"')
