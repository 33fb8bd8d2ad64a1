# SPDX-License-Identifier: Apache-2.0
"""Pages from templates: everything that is put into one is escaped, and a name that is not given is an error."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from gatebook import __version__
from gatebook.control.caller import NOBODY, Caller
from gatebook.control.static_files import address_of
from gatebook.evidence.harmless import harmless
from gatebook.views.telling import json_time, show_time

HTMX: Final = "vendor/htmx@4.0.1/htmx.min.js"


@cache
def templates() -> Environment:
    """Return the templates of the console."""
    made = Environment(
        loader=PackageLoader("gatebook.control"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(static=address_of, htmx=HTMX, version=__version__)
    made.filters.update(time=show_time, iso=json_time, harmless=harmless, lines=lines, left=left)
    return made


def lines(text: str) -> str:
    """Return text of several lines in which nothing but the line breaks acts on a reader."""
    return "\n".join(harmless(line) for line in text.split("\n"))


def left(moment: datetime) -> str:
    """Return a moment for the countdown of a page, to the second."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def render(
    request: Request, name: str, *, status: int = 200, headers: Mapping[str, str] | None = None, **words: object
) -> HTMLResponse:
    """Return a page, or a part of one, for the caller of a request."""
    caller: Caller = getattr(request.state, "caller", NOBODY)
    text = templates().get_template(name).render(caller=caller, path=request.url.path, **words)
    return HTMLResponse(text, status, headers)
