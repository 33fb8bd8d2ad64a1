# SPDX-License-Identifier: Apache-2.0
"""What every answer passes, whatever made it: the headers that tell browsers what not to do, and the last catch.

Before anything else a request must be for our host (another name that leads here is a trick of somebody's name server),
and an address may not ask too often.
"""

from __future__ import annotations

import time
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gatebook.control.guard import address_of, too_many
from gatebook.control.problems import Problem, answer
from gatebook.control.rates import Rates

CONTENT_SECURITY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with `no-referrer` browsers would not say from which page a form comes
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": (
        "publickey-credentials-get=(self), publickey-credentials-create=(self), camera=(), microphone=(), "
        "geolocation=(), usb=(), payment=(), clipboard-read=()"
    ),
    "cache-control": "no-store",
}
STRICT_TRANSPORT: Final = "max-age=31536000; includeSubDomains"
HEALTH: Final = "/healthz"  # asked by address, from within

_log = structlog.get_logger("gatebook.control")


class Outermost:
    """Wraps the whole application."""

    def __init__(self, app: ASGIApp, *, host: str, is_https: bool, addresses: Rates) -> None:
        self._app = app
        self._host = host
        self._addresses = addresses
        self._headers = HEADERS | ({"strict-transport-security": STRICT_TRANSPORT} if is_https else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; nothing but HTTP is spoken."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        began = ended = False

        async def with_headers(message: Message) -> None:
            nonlocal began, ended
            if message["type"] == "http.response.start":
                began = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)

        request = Request(scope)
        try:
            self._check(request)
            await self._app(scope, receive, with_headers)
        except Problem as problem:
            await answer(request, problem)(scope, receive, with_headers)
        except Exception:
            # The boundary of a request: whatever went wrong ends it, and the next is served.
            _log.exception("a request failed", method=request.method, path=request.url.path)
            if ended:
                return
            if began:
                raise
            bug = Problem(500, "bug", "something went wrong here; it is in the log")
            await answer(request, bug)(scope, receive, with_headers)

    def _check(self, request: Request) -> None:
        if wait := self._addresses.take(address_of(request), time.monotonic()):
            raise too_many(wait)
        if request.headers.get("host", "").lower() != self._host and request.url.path != HEALTH:
            raise Problem(421, "host", "this console has another address", "see `control.url` in the configuration")
