# SPDX-License-Identifier: Apache-2.0
"""Access tokens of OpenID Connect and OAuth 2.0 issuers: signed JWTs, verified in named steps.

SPEC: docs/spec/access-token.md. Source: RFC 9068 (JWT access tokens), RFC 8725 (best practice), RFC 7519, RFC 8693
(`act`). Form: three parts of base64url without padding, joined by dots, 16 KiB at most; the first two are JSON objects.
Encrypted tokens (five parts) and nested ones (`cty`) are refused. Deviations: `iat` is needed always; a token bound to
a key of its sender (`cnf`) is refused, as nothing here could check the binding.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from gatebook.identity.claims import (
    ClaimFault,
    has_value,
    read_actors,
    read_groups,
    read_moment,
    read_name,
)
from gatebook.identity.issuer import NO_TYPE, Issuer, TokenBook
from gatebook.identity.jose import KEY_ID_CHARACTERS, JoseFault, Json, is_signed, parse_json
from gatebook.model.principal import Check, Identified, NotIdentified, Principal, PrincipalKind, Subject

TOKEN_BYTES: Final = 16_384  # LIMIT: providers' tokens with hundreds of groups stay below
LEEWAY: Final = timedelta(seconds=60)
METHOD: Final = "token"

_SHOWN: Final = 128  # characters of what a token says of itself, in evidence
_ID_HEX: Final = 12
_FORM: Final = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# Keys, or places to fetch them from, that a token brings along: whoever forges it would bring his own.
_BROUGHT: Final = frozenset({"jwk", "jku", "x5u", "x5c"})


@dataclass(frozen=True, slots=True)
class Hint:
    """Which key a token names, before anything is proved: enough to fetch keys in time, for nothing else."""

    issuer: str
    key_id: str


@dataclass(frozen=True, slots=True)
class _Parsed:
    header: Mapping[str, Json]
    claims: Mapping[str, Json]


class _Failed(Exception):  # a step of this file, caught in this file
    """The check of this name failed."""


def looks_like_token(credential: bytes) -> bool:
    """Whether a credential is a token by its looks; a key of this gate never is."""
    return credential.count(b".") == 2 and credential.startswith(b"ey")


def peek(token: bytes) -> Hint | None:
    """Return which key would verify a token; None if it has not the form of one."""
    try:
        parsed = _parse(token)
    except JoseFault:
        return None
    issuer, key_id = parsed.claims.get("iss"), parsed.header.get("kid")
    if not isinstance(issuer, str) or not isinstance(key_id, str) or len(key_id) > KEY_ID_CHARACTERS:
        return None
    return Hint(issuer, key_id)


def verify(token: bytes, book: TokenBook, now: datetime) -> Identified | NotIdentified:
    """Verify a token as the client sent it; `now` is aware UTC.

    The checks, in order; the first that fails ends the verification:
     1. `size`: at most 16 KiB;
     2. `form`: three parts, JSON objects without a name given twice;
     3. `issuer`: `iss` is exactly that of a configured issuer;
     4. `algorithm`: `alg` is one that this issuer is configured with;
     5. `type`: so is `typ`;
     6. `critical`: no `crit`, as no extension is understood, and no key brought along;
     7. `key`: `kid` names a key of the issuer, now;
     8. `signature`;
     9. `audience`: `aud` holds a name of ours;
    10. `expired`: `exp` is there and not past; 11. `early`: `nbf` is past; 12. `issued`: `iat` is there and past;
    13. `lifetime`: from `iat` to `exp` is not longer than the issuer's bound;
    14. `subject`: `sub` is a name;
    15. `binding`: no `cnf`;
    16. `claims`: the claims that the issuer must state have their values;
    17. `actors`: `act` is a chain of actors, none cut away;
    18. `groups`: the groups claim is a list of names within bounds;
    19. `replayed`: where tokens serve once, `jti` is there and was not seen before.
    Until `signature` has passed, nothing that a token says is more than a claim. The client must be told the same for
    each; the name of the failed check is for evidence only.
    """
    attempt = _Attempt(hashlib.sha256(token).hexdigest()[:_ID_HEX])
    try:
        return attempt.verify(token, book, now)
    except _Failed as failed:
        checks = (*attempt.passed, Check(str(failed), passed=False))
        return NotIdentified(checks, attempt.credential, attempt.shown)


class _Attempt:
    """One verification: the checks passed so far, and what the token says of itself."""

    def __init__(self, credential: str) -> None:
        self.credential = credential
        self.passed: list[Check] = []
        self.shown: tuple[tuple[str, str], ...] = ()

    def check(self, name: str, *, passed: bool) -> None:
        """Note a check; the first that fails ends the attempt."""
        if not passed:
            raise _Failed(name)
        self.passed.append(Check(name, passed=True))

    def verify(self, token: bytes, book: TokenBook, now: datetime) -> Identified:
        """See `verify` of this module."""
        # 1. size, 2. form
        self.check("size", passed=len(token) <= TOKEN_BYTES)
        try:
            parsed = _parse(token)
        except JoseFault:
            raise _Failed("form") from None
        self.check("form", passed=True)
        self.shown = _show(parsed)
        # 3. issuer
        stated = parsed.claims.get("iss")
        issuer = book.find_issuer(stated) if isinstance(stated, str) else None
        if issuer is None:
            raise _Failed("issuer")
        self.check("issuer", passed=True)
        self._check_header(parsed.header, issuer)
        # 7. key, 8. signature
        algorithm, key_id = str(parsed.header["alg"]), parsed.header.get("kid")
        key = book.find_issuer_key(issuer.url, key_id) if isinstance(key_id, str) else None
        if key is None:
            raise _Failed("key")
        self.check("key", passed=True)
        self.check("signature", passed=is_signed(token, key, algorithm))
        return self._read(parsed.claims, issuer, book, now)

    def _check_header(self, header: Mapping[str, Json], issuer: Issuer) -> None:
        # 4. algorithm: from our list to the header, never the other way
        self.check("algorithm", passed=header.get("alg") in issuer.algorithms)
        # 5. type: RFC 7515 section 4.1.9 lets `application/` be left out, and the case is free
        stated = header.get("typ", NO_TYPE)
        kind = stated.lower().removeprefix("application/") if isinstance(stated, str) else ""
        absent = "typ" not in header
        self.check("type", passed=kind in issuer.types and absent == (kind == NO_TYPE))
        # 6. critical
        self.check("critical", passed="crit" not in header and _BROUGHT.isdisjoint(header))

    def _read(self, claims: Mapping[str, Json], issuer: Issuer, book: TokenBook, now: datetime) -> Identified:
        """Checks 9 to 19: what the issuer has signed."""
        # 9. audience
        self.check("audience", passed=any(has_value(claims, "aud", name) for name in issuer.audiences))
        # 10. expired, 11. early, 12. issued, 13. lifetime
        expires = self._moment(claims, "exp", "expired")
        self.check("expired", passed=expires is not None and now < expires + LEEWAY)
        begins = self._moment(claims, "nbf", "early")
        self.check("early", passed=begins is None or begins - LEEWAY <= now)
        issued = self._moment(claims, "iat", "issued")
        self.check("issued", passed=issued is not None and issued - LEEWAY <= now)
        assert expires is not None and issued is not None  # noqa: PT018  the checks above have said so
        self.check("lifetime", passed=timedelta(0) < expires - issued <= timedelta(seconds=issuer.lifetime_s))
        # 14. subject
        subject = self._name(claims, "sub", "subject")
        if subject is None:
            raise _Failed("subject")
        self.check("subject", passed=True)
        # 15. binding, 16. claims
        self.check("binding", passed="cnf" not in claims)
        self.check("claims", passed=all(has_value(claims, name, value) for name, value in issuer.required))
        # 17. actors, 18. groups
        try:
            chain = read_actors(claims, issuer.url)
        except ClaimFault:
            raise _Failed("actors") from None
        self.check("actors", passed=True)
        try:
            groups = read_groups(claims, issuer.groups_claim) if issuer.groups_claim else ()
        except ClaimFault:
            raise _Failed("groups") from None
        self.check("groups", passed=True)
        # 19. replayed: last, so that a token that is refused for something else is not remembered
        if issuer.one_time:
            token_id = self._name(claims, "jti", "replayed")
            spent = token_id is None or not book.spend(issuer.url, token_id, issued, expires + LEEWAY)
            self.check("replayed", passed=not spent)
        own = Subject(issuer.url, subject)
        principal = Principal(
            kind=issuer.kind,
            subject=own,
            groups=tuple(sorted({*issuer.groups, *(issuer.groups_prefix + group for group in groups)})),
            owner=None,
            chain=chain or ((own,) if issuer.kind is PrincipalKind.AGENT else ()),
            method=METHOD,
            credential=self.credential,
        )
        return Identified(principal, tuple(self.passed), _names(claims, subject, issuer), expires, self.shown)

    @staticmethod
    def _moment(claims: Mapping[str, Json], name: str, check: str) -> datetime | None:
        try:
            return read_moment(claims, name)
        except ClaimFault:
            raise _Failed(check) from None

    @staticmethod
    def _name(claims: Mapping[str, Json], name: str, check: str) -> str | None:
        try:
            return read_name(claims, name)
        except ClaimFault:
            raise _Failed(check) from None


def _parse(token: bytes) -> _Parsed:
    """Return header and claims. JoseFault if the token has not the form of one."""
    if len(token) > TOKEN_BYTES or _FORM.fullmatch(token) is None:
        raise JoseFault("no compact form")
    header, claims, signature = token.split(b".")
    _decode(signature)
    parsed = _Parsed(parse_json(_decode(header)), parse_json(_decode(claims)))
    if "cty" in parsed.header:
        raise JoseFault("a token inside a token")
    return parsed


def _decode(part: bytes) -> bytes:
    """Decode base64url; JoseFault if it is not the one form that the bytes have (RFC 7515 appendix C)."""
    try:
        data = base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except (binascii.Error, ValueError) as fault:
        raise JoseFault("no base64url") from fault
    if base64.urlsafe_b64encode(data).rstrip(b"=") != part:
        raise JoseFault("padding bits that are set")
    return data


def _names(claims: Mapping[str, Json], subject: str, issuer: Issuer) -> tuple[str, ...]:
    """User names that a client may claim with this token. They name nobody: the identity is issuer and subject."""
    stated = (claims.get(name) for name in issuer.user_claims)
    return (subject, *(name for name in stated if isinstance(name, str) and name))


def _show(parsed: _Parsed) -> tuple[tuple[str, str], ...]:
    """What evidence tells of a token: never a part of it that could be put together again."""
    shown: list[tuple[str, str]] = []
    for names, part in ((("alg", "typ", "kid"), parsed.header), (("iss", "sub", "jti"), parsed.claims)):
        for name in names:
            value = part.get(name)
            if isinstance(value, str) and value:
                shown.append((name, value[:_SHOWN]))
    for name in ("iat", "exp"):
        value = parsed.claims.get(name)
        if not isinstance(value, bool) and isinstance(value, int | float) and 0 <= value < 1 << 37:
            shown.append((name, datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")))
    return tuple(shown)
