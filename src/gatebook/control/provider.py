# SPDX-License-Identifier: Apache-2.0
"""Signing in with an OpenID provider: where a browser is sent, and whom it comes back with.

Source: OpenID Connect Core 1.0, 3.1 (authorization code), RFC 7636 (PKCE), RFC 9207 (`iss` in the answer), RFC 9700.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

import structlog

from gatebook.config import ControlSettings, IssuerSettings, Secrets, SignInSettings
from gatebook.identity import id_token, token
from gatebook.identity.issuer import NO_TYPE
from gatebook.issuers.fetch import FetchFault, KeyPlace, endpoint, fetch_discovery, post_form
from gatebook.issuers.keys import TokenKeys
from gatebook.model.principal import Identified, NotIdentified
from gatebook.store.console import ConsoleStore, SignIn, hashed

SIGN_IN: Final = timedelta(minutes=10)
RANDOM_BYTES: Final = 32
MAX_NAME: Final = 64
MAX_CODE: Final = 4096  # LIMIT: characters of what a provider sends back in an address

_log = structlog.get_logger("gatebook.control")


@dataclass(frozen=True, slots=True)
class Begun:
    """Where the browser goes, and the secret that it keeps meanwhile."""

    url: str
    browser: str


class Providers:
    """The providers of the configuration. `keys` verify their ID tokens, and nothing else."""

    def __init__(
        self,
        control: ControlSettings,
        secrets_of: Secrets,
        console: ConsoleStore,
        keys: TokenKeys,
        now: Callable[[], datetime],
    ) -> None:
        self._control = control
        self._secrets = secrets_of
        self._console = console
        self._keys = keys
        self._now = now
        self._known = {issuer.name: issuer for issuer in control.issuers}
        keys.replace([issuer_of(issuer) for issuer in control.issuers])

    def names(self) -> list[str]:
        """Return the names, in the order of the configuration."""
        return list(self._known)

    async def begin(self, name: str) -> Begun | None:
        """Begin a sign-in; None if there is no such provider, or too many are under way. FetchFault."""
        known = self._known.get(name)
        if known is None:
            return None
        place = _place(known)
        where = endpoint(await fetch_discovery(place), "authorization_endpoint", place)
        state, nonce, verifier, browser = (secrets.token_urlsafe(RANDOM_BYTES) for _ in range(4))
        moment = self._now()
        kept = SignIn(hashed(browser), name, nonce, verifier, moment + SIGN_IN)
        if not self._console.begin_sign_in(state, kept, moment):
            return None
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": known.client_id,
            "redirect_uri": self._back(name),
            "scope": " ".join(known.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return Begun(f"{where}{'&' if '?' in where else '?'}{urlencode(asked)}", browser)

    async def finish(self, name: str, answer: Mapping[str, str], browser: str) -> Identified | NotIdentified:
        """Take what the provider sent the browser back with.

        The checks before those of the token: `state` (begun here, in this browser, with this provider, not long ago),
        `answer` (the provider sent no error, and is the one), `code` (it gives an ID token for it).
        """
        sign_in = self._console.take_sign_in(answer.get("state", "")[:MAX_CODE], self._now())
        known = self._known.get(name)
        is_ours = sign_in is not None and hmac.compare_digest(sign_in.browser, hashed(browser))
        if sign_in is None or known is None or not is_ours or sign_in.provider != name:
            return id_token.not_shown(name[:MAX_NAME], "state")
        code = answer.get("code", "")
        if not 0 < len(code) <= MAX_CODE or "error" in answer or answer.get("iss", known.url) != known.url:
            return id_token.not_shown(name[:MAX_NAME], "answer")
        try:
            shown = await self._exchange(known, code, sign_in.verifier)
        except FetchFault as fault:
            _log.warning("a provider gives no token", provider=name, fault=str(fault))
            return id_token.not_shown(name[:MAX_NAME], "code")
        hint = token.peek(shown)
        if hint is not None:
            await self._keys.prepare(hint)
        return id_token.verify(
            shown,
            self._keys,
            self._now(),
            provider=name,
            issuer=known.url,
            client_id=known.client_id,
            nonce=sign_in.nonce,
        )

    async def _exchange(self, known: SignInSettings, code: str, verifier: str) -> bytes:
        place = _place(known)
        where = endpoint(await fetch_discovery(place), "token_endpoint", place)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._back(known.name),
            "code_verifier": verifier,
            "client_id": known.client_id,
        }
        authorization = ""
        if known.client_secret is not None:
            # RFC 6749 section 2.3.1: each is form-encoded before it is joined
            secret = self._secrets.read(known.client_secret).reveal().decode("utf-8", "replace")
            pair = f"{quote(known.client_id, safe='')}:{quote(secret, safe='')}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        told = (await post_form(where, form, place, authorization)).get("id_token")
        if not isinstance(told, str):
            raise FetchFault("there is no ID token in the answer")
        return told.encode("utf-8", "replace")

    def _back(self, name: str) -> str:
        return f"{self._control.origin}/sign-in/{name}/back"


def issuer_of(known: SignInSettings) -> IssuerSettings:
    """Return a provider as an issuer of ID tokens for the console, by people."""
    return IssuerSettings(
        name=known.name,
        url=known.url,
        kind="person",
        audience=(known.client_id,),
        algorithms=known.algorithms,
        types=("JWT", NO_TYPE),
        groups_claim=known.groups_claim,
        groups_prefix=known.groups_prefix,
        groups=known.groups,
        require=known.require,
        tls_roots=known.tls_roots,
        insecure_loopback=known.insecure_loopback,
    )


def _place(known: SignInSettings) -> KeyPlace:
    return KeyPlace(known.url, "", known.tls_roots, known.insecure_loopback)
