# SPDX-License-Identifier: Apache-2.0
"""The console put together: its parts, its routes behind their guards, and the description of its API."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from gatebook import __version__
from gatebook.config import Secrets, Settings
from gatebook.control.access import ACCESS, check_routes
from gatebook.control.api_approvals import ApprovalApi
from gatebook.control.api_book import BookApi
from gatebook.control.api_models import ProblemDetail
from gatebook.control.api_roles import RoleApi
from gatebook.control.api_rules import RulesApi
from gatebook.control.ballots import Ballots, waiting
from gatebook.control.doorkeeper import Doorkeeper
from gatebook.control.endpoints import Endpoint, page
from gatebook.control.guard import Guard, Watch
from gatebook.control.library import Library
from gatebook.control.looks import Looks
from gatebook.control.outermost import Outermost
from gatebook.control.pages_approvals import ApprovalPages
from gatebook.control.pages_book import BookPages
from gatebook.control.pages_rules import RulesPages
from gatebook.control.pages_sign_in import SignInPages
from gatebook.control.passkeys import WRITER, Passkeys
from gatebook.control.problems import MEDIA_TYPE, Problem, answer, of_fault
from gatebook.control.provider import Providers
from gatebook.control.rates import Rates
from gatebook.control.rules import Explainer
from gatebook.control.verifying import Verification
from gatebook.evidence.builders import Stamp
from gatebook.issuers.fetch import fetch_keys
from gatebook.issuers.keys import KeysMissed, KeysRead, TokenKeys, describe
from gatebook.model.errors import GatebookError
from gatebook.session.voting import Booth
from gatebook.store.base import Store
from gatebook.store.console import ConsoleStore
from gatebook.vault.journal import JournalWriter

_DESCRIPTION = """\
What people and programs read of a gate: sessions, targets, keys, policies, the ledger. A program shows an API key or an
access token as bearer; a page of the console its web session, with the header `X-CSRF-Token` where something changes.
Whatever is not done is told as `application/problem+json` (RFC 9457) with a stable `code`.
"""
_PROBLEM: dict[str, Any] = {"model": ProblemDetail, "content": {MEDIA_TYPE: {}}}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {**_PROBLEM, "description": "It was not done, by what was asked or by who asked."},
    "503": {**_PROBLEM, "description": "Evidence cannot be written: nothing is shown or done."},
}


@dataclass(frozen=True, slots=True)
class Console:
    """A console that is ready to be served. `keep_keys` fetches issuers' keys for ever."""

    app: ASGIApp
    description: Callable[[], dict[str, Any]]
    keep_keys: Sequence[Callable[[], Coroutine[object, object, None]]]


def assemble(
    settings: Settings,
    *,
    store: Store,
    console: ConsoleStore,
    journal: JournalWriter,
    now: Callable[[], datetime],
) -> Console:
    """Join the parts. Bug if a route is not in the table of access."""

    def report(change: KeysRead | KeysMissed) -> None:
        journal.append(describe(Stamp(WRITER, now()), change))

    control = settings.control
    tokens, provider_keys = (TokenKeys(fetch_keys, time.monotonic, now, report) for _ in range(2))
    # A token that serves one login serves it at the gate: there is nobody here who would know of that.
    tokens.replace([issuer for issuer in settings.issuers if not issuer.one_time])
    doorkeeper = Doorkeeper(control, store, console, tokens, now)
    library, verification = Library(settings), Verification(settings, now)
    looks, explainer = Looks(settings, journal, now), Explainer(settings)
    passkeys = Passkeys(control, store, console, journal, now)
    booth = Booth(settings.gate.name, WRITER, store, journal.append, now)
    ballots = Ballots(control, booth, store=store, console=console, passkeys=passkeys, append=journal.append)
    sign_in = SignInPages(
        doorkeeper=doorkeeper,
        providers=Providers(control, Secrets.beside(settings.path.parent), console, provider_keys, now),
        passkeys=passkeys,
        journal=journal,
        attempts=Rates(control.sign_ins_per_minute),
        now=now,
    )
    parts = (
        sign_in,
        BookPages(
            settings,
            library=library,
            looks=looks,
            verification=verification,
            waiting=lambda caller: waiting(ballots.list_items(caller)),
            now=now,
        ),
        RulesPages(settings, store, explainer, now),
        ApprovalPages(ballots),
        ApprovalApi(ballots, doorkeeper.recognise),
        RoleApi(settings, store, writer=WRITER, append=journal.append, now=now),
        BookApi(settings, library, looks, verification),
        RulesApi(settings, store, explainer, now),
    )
    app = _make_app()
    description = _Description(app)
    endpoints = [endpoint for part in parts for endpoint in part.endpoints()]
    endpoints.append(page("GET", "/api/openapi.json", description.send))
    watch = Watch(
        doorkeeper, control.origin, Rates(control.requests_per_minute), failures=Rates(control.sign_ins_per_minute)
    )
    add_routes(app, endpoints, watch)
    outermost = Outermost(
        app,
        host=control.origin.partition("://")[2],
        is_https=control.is_https,
        addresses=Rates(control.address_requests_per_minute),
    )
    return Console(outermost, description.make, (tokens.poll, provider_keys.poll))


def add_routes(app: FastAPI, endpoints: Sequence[Endpoint], watch: Watch) -> None:
    """Put each endpoint behind its guard. Bug unless they are the routes of the table of access, each once."""
    check_routes(endpoint.name for endpoint in endpoints)
    for endpoint in endpoints:
        described: dict[str, Any] = {"responses": _RESPONSES} if endpoint.is_described else {"response_model": None}
        app.add_api_route(
            endpoint.path,
            endpoint.answer,
            methods=[endpoint.method],
            include_in_schema=endpoint.is_described,
            operation_id=endpoint.answer.__name__,
            **described,
        )
        route = app.routes[-1]
        assert isinstance(route, APIRoute)
        route.app = Guard(route.app, endpoint.path, ACCESS[endpoint.name], watch)


class _Description:
    """The description of the API (OpenAPI), with what it says of access."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def make(self) -> dict[str, Any]:
        """Return the description."""
        made = self._app.openapi()
        made["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "API key of an agent, or access token"}
        }
        for path, methods in made["paths"].items():
            for method, operation in methods.items():
                who = sorted(ACCESS[f"{method.upper()} {path}"])
                operation["security"] = [{"bearer": []}]
                operation["x-access"] = who
                operation["description"] = f"{operation.get('description', '')}\n\nFor: {', '.join(who)}.".strip()
                # FastAPI's own form of a refusal is not ours: 422 is among `4XX`.
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            made["components"]["schemas"].pop(name, None)
        return made

    async def send(self) -> Response:
        """The description of the API."""
        return JSONResponse(self.make())


def _make_app() -> FastAPI:
    app = FastAPI(
        title="Gatebook",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_exception_handler(GatebookError, _tell_fault)
    app.add_exception_handler(HTTPException, _tell_status)
    app.add_exception_handler(RequestValidationError, _tell_form)
    app.add_exception_handler(Exception, _tell_bug)
    return app


async def _tell_fault(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, GatebookError)
    return answer(request, of_fault(fault))


async def _tell_status(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    words = (
        "there is nothing at this address" if fault.status_code == HTTPStatus.NOT_FOUND else "it is not done that way"
    )
    headers = {name.replace("-", "_"): value for name, value in (fault.headers or {}).items()}
    return answer(request, Problem(fault.status_code, "address", words, **headers))


async def _tell_bug(request: Request, fault: Exception) -> Response:  # noqa: ARG001  the outermost one logs it
    return answer(request, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "bug", "something went wrong here"))


async def _tell_form(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, RequestValidationError)
    first = fault.errors()[0]
    place = ".".join(str(part) for part in first["loc"])[:100]
    words = f"{first['msg'][:1].lower()}{first['msg'][1:]}"[:200]
    return answer(request, Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "form", f"`{place}`: {words}"))
