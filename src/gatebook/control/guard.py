# SPDX-License-Identifier: Apache-2.0
"""What stands before every route: bounds of the body, who asks, how often, from which site, and whether they may.

The steps, in order; the first that fails ends the request:
1. body: at most so many bytes, in so many seconds;
2. who: `Doorkeeper.recognise`; an address that fails too often waits;
3. rate of the caller;
4. site: what changes something comes from a page of ours, with the token of the web session, or with a bearer;
5. access: the row of the route in the table (`access.py`); pages are for web sessions alone.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gatebook.control.access import API, Who
from gatebook.control.caller import Caller
from gatebook.control.doorkeeper import Doorkeeper
from gatebook.control.problems import Problem, not_signed_in
from gatebook.control.rates import Rates

MAX_BODY_BYTES: Final = 262_144  # LIMIT: a statement to be explained has 256 KiB at most, a signature some hundreds
BODY_S: Final = 10.0
MAX_FIELDS: Final = 50
FORM: Final = "application/x-www-form-urlencoded"
CSRF_HEADER: Final = "x-csrf-token"
CSRF_FIELD: Final = "csrf"
_SAFE: Final = frozenset({"GET", "HEAD"})

Message = MutableMapping[str, Any]  # ASGI's


@dataclass(frozen=True, slots=True)
class Watch:
    """What all guards share: who lets in, from which origin pages are, and how often somebody may ask."""

    doorkeeper: Doorkeeper
    origin: str
    callers: Rates
    failures: Rates


class Guard:
    """Stands before one route."""

    def __init__(self, app: ASGIApp, path: str, access: frozenset[Who], watch: Watch) -> None:
        self._app = app
        self._is_api = path.startswith(API)
        self._access = access
        self._watch = watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or raise Problem."""
        request = Request(scope, receive)
        # 1. body
        body = b"" if request.method in _SAFE else await _read_body(request)
        # 2. who
        caller = await self._recognise(request)
        # 3. rate of the caller
        if caller.name and (wait := self._watch.callers.take(caller.name, time.monotonic())):
            raise too_many(wait)
        # 4. site
        if request.method not in _SAFE and "authorization" not in request.headers:
            self._check_site(request, caller, body)
        # 5. access
        self._check_access(caller)
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, _replay(body, receive), send)

    async def _recognise(self, request: Request) -> Caller:
        address, moment = address_of(request), time.monotonic()
        if "authorization" in request.headers and (wait := self._watch.failures.wait(address, moment)):
            raise too_many(wait)
        try:
            return await self._watch.doorkeeper.recognise(request)
        except Problem:
            self._watch.failures.take(address, moment)
            raise

    def _check_site(self, request: Request, caller: Caller, body: bytes) -> None:
        """A request that another site's page made a browser send is refused, whatever cookies came with it."""
        headers = request.headers
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        is_ours = origin == self._watch.origin and site in {None, "same-origin"}
        if not is_ours:
            raise Problem(HTTPStatus.FORBIDDEN, "site", "the request does not come from a page of this console")
        if not caller.web:
            return
        shown = headers.get(CSRF_HEADER) or _field(headers.get("content-type", ""), body)
        if not hmac.compare_digest(shown.encode("utf-8", "replace"), caller.csrf.encode()):
            hint = "load the page again"
            raise Problem(HTTPStatus.FORBIDDEN, "csrf", "the form is of another web session, or of none", hint)

    def _check_access(self, caller: Caller) -> None:
        if Who.ANYBODY in self._access:
            return
        is_known = caller.principal is not None and (self._is_api or bool(caller.web))
        if caller.principal is None or (not is_known and Who.AGENT not in caller.who):
            raise not_signed_in()
        if not is_known or self._access.isdisjoint(caller.who):
            words = "this is not for you"
            hint = f"it is for: {', '.join(sorted(self._access))}" + (
                "" if self._is_api else ", signed in with a browser"
            )
            raise Problem(HTTPStatus.FORBIDDEN, "access", words, hint)


def address_of(request: Request) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client is not None else ""


def too_many(wait_s: float) -> Problem:
    """Return the problem of who asks too often."""
    seconds = max(1, round(wait_s + 0.5))
    words = f"too many requests; the next in {seconds} s"
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, "rate", words, Retry_After=str(seconds))


def form_of(body: bytes) -> dict[str, str]:
    """Return the fields of a form, the last of each name. Problem 422 for what is none."""
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as fault:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "form", "the form cannot be read") from fault
    return {name: values[-1] for name, values in fields.items()}


def _field(content_type: str, body: bytes) -> str:
    if content_type.partition(";")[0].strip().lower() != FORM:
        return ""
    return form_of(body).get(CSRF_FIELD, "")


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_BODY_BYTES:
                    words = f"the body has more than {MAX_BODY_BYTES} bytes"
                    raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body", words, Connection="close")
    except TimeoutError as fault:
        words = f"the body takes longer than {BODY_S:.0f} s"
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, "body", words, Connection="close") from fault
    except ClientDisconnect as fault:
        raise Problem(HTTPStatus.BAD_REQUEST, "body", "the body is not whole") from fault
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read to who comes behind, then what comes."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
