# SPDX-License-Identifier: Apache-2.0
"""Pages for signing in and out, and for making a passkey. Each attempt that ends is entered, whatever came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from gatebook.control.caller import caller_of
from gatebook.control.doorkeeper import Doorkeeper
from gatebook.control.endpoints import Endpoint, page
from gatebook.control.guard import address_of, too_many
from gatebook.control.passkeys import WRITER, Passkeys, read_json
from gatebook.control.problems import Problem, absent
from gatebook.control.provider import SIGN_IN, Providers
from gatebook.control.rates import Rates
from gatebook.control.rendering import render
from gatebook.control.static_files import find_static
from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.parts import source_part
from gatebook.issuers.fetch import FetchFault
from gatebook.model.principal import Identified, NotIdentified
from gatebook.vault.journal import JournalWriter

FOR_EVER: Final = "public, max-age=31536000, immutable"

_log = structlog.get_logger("gatebook.control")


class SignInPages:
    """The doors of the console."""

    def __init__(
        self,
        *,
        doorkeeper: Doorkeeper,
        providers: Providers,
        passkeys: Passkeys,
        journal: JournalWriter,
        attempts: Rates,
        now: Callable[[], datetime],
    ) -> None:
        self._doorkeeper = doorkeeper
        self._providers = providers
        self._passkeys = passkeys
        self._journal = journal
        self._attempts = attempts
        self._now = now

    def endpoints(self) -> list[Endpoint]:
        """Return the routes."""
        return [
            page("GET", "/sign-in", self.show),
            page("GET", "/sign-in/{provider}", self.go_to_provider),
            page("GET", "/sign-in/{provider}/back", self.come_back),
            page("POST", "/sign-in/passkey/begin", self.begin_passkey),
            page("POST", "/sign-in/passkey/finish", self.finish_passkey),
            page("GET", "/enrol", self.show_enrolment),
            page("POST", "/enrol/begin", self.begin_enrolment),
            page("POST", "/enrol/finish", self.finish_enrolment),
            page("POST", "/sign-out", self.sign_out),
            page("GET", "/static/{path:path}", self.send_static),
            page("GET", "/healthz", self.tell_health),
        ]

    async def show(self, request: Request) -> Response:
        """The page with all ways to sign in."""
        if caller_of(request).web:
            return RedirectResponse("/", HTTPStatus.SEE_OTHER)
        return render(request, "sign_in.html", providers=self._providers.names(), failed=False)

    async def go_to_provider(self, request: Request, provider: str) -> Response:
        """Send the browser to a provider."""
        self._count(request)
        try:
            begun = await self._providers.begin(provider)
        except FetchFault as fault:
            _log.warning("a provider cannot be asked", provider=provider, fault=str(fault))
            words = "the provider cannot be reached"
            raise Problem(HTTPStatus.CONFLICT, "provider", words, "try again, or sign in another way") from fault
        if begun is None:
            raise absent("provider")
        response = RedirectResponse(begun.url, HTTPStatus.SEE_OTHER)
        self._doorkeeper.set_cookie(response, self._browser_cookie, begun.browser, int(SIGN_IN.total_seconds()))
        return response

    async def come_back(self, request: Request, provider: str) -> Response:
        """Take the browser back from a provider."""
        self._count(request)
        browser = request.cookies.get(self._browser_cookie, "")
        answer = await self._providers.finish(provider, dict(request.query_params), browser)
        response: Response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
        self._finish(request, answer, response)
        if isinstance(answer, NotIdentified):
            response = render(
                request, "sign_in.html", status=HTTPStatus.FORBIDDEN, providers=self._providers.names(), failed=True
            )
        self._doorkeeper.set_cookie(response, self._browser_cookie, "", 0)
        return response

    async def begin_passkey(self, request: Request) -> Response:
        """Ask a passkey."""
        self._count(request)
        name, options = self._passkeys.begin_sign_in()
        return JSONResponse({"challenge": name, "options": options})

    async def finish_passkey(self, request: Request) -> Response:
        """Take the answer of a passkey."""
        self._count(request)
        told = read_json(await request.body())
        answer = self._passkeys.finish_sign_in(_text(told, "challenge"), _object(told, "credential"))
        response = JSONResponse({"next": "/"})
        self._finish(request, answer, response)
        if isinstance(answer, NotIdentified):
            hint = "a passkey is made with a link of `gatebook person passkey`"
            raise Problem(HTTPStatus.FORBIDDEN, "sign_in", "this passkey is not accepted here", hint)
        return response

    async def show_enrolment(self, request: Request) -> Response:
        """The page on which a passkey is made; its code stands behind the hash sign of the address."""
        return render(request, "enrol.html")

    async def begin_enrolment(self, request: Request) -> Response:
        """Look at a code, and ask the browser for a passkey."""
        self._count(request)
        told = read_json(await request.body())
        name, options = self._passkeys.begin_enrolment(_text(told, "code"))
        return JSONResponse({"challenge": name, "options": options})

    async def finish_enrolment(self, request: Request) -> Response:
        """Take the passkey that was made."""
        self._count(request)
        told = read_json(await request.body())
        made = self._passkeys.finish_enrolment(
            _text(told, "code"), _text(told, "challenge"), _object(told, "credential")
        )
        return JSONResponse({"fingerprint": made.fingerprint, "next": "/sign-in"})

    async def sign_out(self, request: Request) -> Response:
        """End the web session."""
        response = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
        self._doorkeeper.sign_out(caller_of(request), response)
        return response

    async def send_static(self, request: Request, path: str) -> Response:  # noqa: ARG002  as its siblings
        """A file of the console."""
        found = find_static(path)
        if found is None:
            raise absent("file")
        return Response(found.content, media_type=found.media_type, headers={"cache-control": FOR_EVER})

    async def tell_health(self) -> Response:
        """Whether the console serves."""
        return PlainTextResponse("ok\n")

    @property
    def _browser_cookie(self) -> str:
        return f"{self._doorkeeper.cookie}-sign-in"

    def _count(self, request: Request) -> None:
        if wait := self._attempts.take(address_of(request), time.monotonic()):
            raise too_many(wait)

    def _finish(self, request: Request, answer: Identified | NotIdentified, response: Response) -> None:
        """Enter an attempt, and only then sign in who succeeded. JournalUnwritable: then nobody is signed in."""
        port = request.client.port if request.client is not None else 0
        user = answer.principal.subject.subject if isinstance(answer, Identified) else ""
        source = source_part(address_of(request), port, None)
        self._journal.append(builders.authn(Stamp(WRITER, self._now()), answer, user=user, database="", source=source))
        if isinstance(answer, Identified):
            self._doorkeeper.sign_in(answer.principal, response)


def _text(told: Mapping[str, object], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "body", f"the body has no text `{name}`")
    return value


def _object(told: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = told.get(name)
    if not isinstance(value, dict):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "body", f"the body has no object `{name}`")
    return value
