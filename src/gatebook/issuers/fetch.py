# SPDX-License-Identifier: Apache-2.0
"""Fetches an issuer's documents: over TLS that is verified, bounded in size and time, and from where we asked only.

An issuer is trusted, yet what it says of where to look is not followed blindly: no redirect is, a discovery document
must be of the issuer that was configured, and its keys must be behind TLS too.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from gatebook.config.issuers import is_trustworthy
from gatebook.identity.jose import KEY_SET_BYTES, JoseFault, Json, parse_json
from gatebook.model.errors import quoted

DOCUMENT_BYTES: Final = KEY_SET_BYTES
FETCH_S: Final = 5.0  # LIMIT: for one document as a whole; a login waits for two at most
WELL_KNOWN: Final = "/.well-known/openid-configuration"


class FetchFault(Exception):
    """A document could not be had; the message is one line that an operator understands."""


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where the keys of an issuer are: at `keys_url`, or where its discovery document says."""

    issuer: str
    keys_url: str
    tls_roots: Path | None
    insecure_loopback: bool


async def fetch_keys(place: KeyPlace) -> bytes:
    """Return an issuer's set of keys as it is. FetchFault if it cannot be had."""
    context = _context(place)
    url = place.keys_url
    if not url:
        url = keys_url(await _fetch(place.issuer.removesuffix("/") + WELL_KNOWN, context), place)
    return await _fetch(url, context)


async def fetch_discovery(place: KeyPlace) -> Mapping[str, Json]:
    """Return an issuer's discovery document. FetchFault if it cannot be had, or is another's."""
    return _discovery(await _fetch(place.issuer.removesuffix("/") + WELL_KNOWN, _context(place)), place)


async def post_form(url: str, form: Mapping[str, str], place: KeyPlace, authorization: str = "") -> Mapping[str, Json]:
    """Post a form to an issuer and return the JSON object that it answers. FetchFault if it does not."""
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    if authorization:
        headers["authorization"] = authorization
    content = await _exchange("POST", url, headers, _context(place), form)
    try:
        return parse_json(content)
    except JoseFault as fault:
        raise FetchFault(f"what {quoted(url)} answers is {fault}") from fault


def keys_url(document: bytes, place: KeyPlace) -> str:
    """Return where a discovery document says that the keys are. FetchFault if it is another's or points outside TLS."""
    return endpoint(_discovery(document, place), "jwks_uri", place)


def endpoint(document: Mapping[str, Json], name: str, place: KeyPlace) -> str:
    """Return an address in a discovery document. FetchFault if there is none of that name behind TLS."""
    url = document.get(name)
    if not isinstance(url, str) or not is_trustworthy(url.partition("?")[0], insecure_loopback=place.insecure_loopback):
        raise FetchFault(f"the discovery document of {quoted(place.issuer)} has no `{name}` behind TLS")
    return url


def _discovery(document: bytes, place: KeyPlace) -> Mapping[str, Json]:
    try:
        found = parse_json(document)
    except JoseFault as fault:
        raise FetchFault(f"the discovery document of {quoted(place.issuer)} is {fault}") from fault
    if found.get("issuer") != place.issuer:
        raise FetchFault(f"the discovery document names another issuer than {quoted(place.issuer)}")
    return found


def _context(place: KeyPlace) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=place.tls_roots)
    except (OSError, ssl.SSLError) as fault:
        raise FetchFault(f"the roots of {quoted(place.issuer)} cannot be read: {_line(fault)}") from fault


async def _fetch(url: str, context: ssl.SSLContext) -> bytes:
    return await _exchange("GET", url, {"accept": "application/json", "accept-encoding": "identity"}, context)


async def _exchange(
    method: str, url: str, headers: Mapping[str, str], context: ssl.SSLContext, form: Mapping[str, str] | None = None
) -> bytes:
    try:
        async with (
            asyncio.timeout(FETCH_S),
            # No proxy or credential from the environment: where keys come from is in the configuration only.
            httpx2.AsyncClient(verify=context, follow_redirects=False, trust_env=False, timeout=FETCH_S) as client,
            client.stream(method, url, headers=headers, data=form) as answer,
        ):
            if answer.status_code != httpx2.codes.OK:
                raise FetchFault(f"{quoted(url)} answers with status {answer.status_code}")
            content = bytearray()
            async for piece in answer.aiter_raw():
                content += piece
                if len(content) > DOCUMENT_BYTES:
                    raise FetchFault(f"{quoted(url)} sends more than {DOCUMENT_BYTES} bytes")
            return bytes(content)
    except TimeoutError as fault:
        raise FetchFault(f"{quoted(url)} takes longer than {FETCH_S:.0f} s") from fault
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as fault:
        raise FetchFault(f"{quoted(url)} cannot be fetched: {_line(fault)}") from fault


def _line(fault: BaseException) -> str:
    return " ".join((str(fault) or type(fault).__name__).split())[:200]
