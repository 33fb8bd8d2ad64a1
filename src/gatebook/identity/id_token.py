# SPDX-License-Identifier: Apache-2.0
"""ID tokens with which people sign in: verified as access tokens are, and for this very sign-in.

SPEC: docs/spec/access-token.md, "ID tokens". Source: OpenID Connect Core 1.0, 3.1.3.7. An identity is issuer and
subject; no e-mail address is read.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import datetime
from typing import Final

from gatebook.identity import token
from gatebook.identity.issuer import Issuer, TokenBook
from gatebook.identity.jose import JoseFault, Json, PublicKey, parse_json
from gatebook.model.principal import Check, Identified, NotIdentified

METHOD: Final = "oidc"


def not_shown(provider: str, check: str) -> NotIdentified:
    """Return the answer to a sign-in that failed at this check, before there was a token."""
    return NotIdentified((Check(provider, passed=True), Check(check, passed=False)))


def verify(
    shown: bytes, book: TokenBook, now: datetime, *, provider: str, issuer: str, client_id: str, nonce: str
) -> Identified | NotIdentified:
    """Verify an ID token that a provider gave for a code; `issuer` is its `iss`, `now` aware UTC.

    The checks are those of `token.verify`, where `claims` also wants the nonce; then 20. `provider`: the token is of
    the provider that was asked; 21. `party`: `azp`, where it is there, is this client.
    """
    answer = token.verify(shown, _WithNonce(book, nonce), now)
    checks = (Check(provider, passed=True), *answer.checks)
    if isinstance(answer, NotIdentified):
        return replace(answer, checks=checks)
    if answer.principal.subject.issuer != issuer:
        return NotIdentified((*checks, Check("provider", passed=False)), answer.principal.credential, answer.token)
    checks = (*checks, Check("provider", passed=True))
    if _authorized_party(shown) not in {"", client_id}:
        return NotIdentified((*checks, Check("party", passed=False)), answer.principal.credential, answer.token)
    return replace(
        answer,
        principal=replace(answer.principal, method=METHOD),
        checks=(*checks, Check("party", passed=True)),
    )


class _WithNonce:
    """The keys of a provider for one sign-in: its nonce must be in the token."""

    def __init__(self, keys: TokenBook, nonce: str) -> None:
        self._keys = keys
        self._nonce = nonce

    def find_issuer(self, url: str) -> Issuer | None:
        """See `TokenBook`."""
        found = self._keys.find_issuer(url)
        return replace(found, required=(*found.required, ("nonce", self._nonce))) if found is not None else None

    def find_issuer_key(self, issuer: str, key_id: str) -> PublicKey | None:
        """See `TokenBook`."""
        return self._keys.find_issuer_key(issuer, key_id)

    def spend(self, issuer: str, token_id: str, issued: datetime, until: datetime) -> bool:
        """See `TokenBook`."""
        return self._keys.spend(issuer, token_id, issued, until)


def _authorized_party(shown: bytes) -> str:
    """Return `azp` of a token that is verified; empty where there is none."""
    claims = shown.split(b".")[1]
    try:
        told: Json = parse_json(base64.urlsafe_b64decode(claims + b"=" * (-len(claims) % 4))).get("azp", "")
    except JoseFault:
        return "?"
    return told if isinstance(told, str) else "?"
