# SPDX-License-Identifier: Apache-2.0
"""ID tokens: those of this very sign-in, for this client, by the provider that was asked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from support.tokens import ISSUER, SigningKey, jwks

from gatebook.identity import id_token
from gatebook.identity.issuer import Issuer
from gatebook.identity.jose import PublicKey, parse_keys
from gatebook.model.principal import Identified, NotIdentified, PrincipalKind, Subject

KEY = SigningKey.make()
NOW = datetime.fromtimestamp(int(time.time()), UTC)
TRUSTED = Issuer(
    url=ISSUER,
    kind=PrincipalKind.PERSON,
    audiences=("console",),
    algorithms=("ES256",),
    types=("jwt", "absent"),
    lifetime_s=3600,
    groups_claim=("groups",),
)


@dataclass
class Book:
    issuers: Mapping[str, Issuer] = field(default_factory=lambda: {ISSUER: TRUSTED})
    keys: Mapping[str, PublicKey] = field(default_factory=lambda: parse_keys(jwks(KEY)))

    def find_issuer(self, url: str) -> Issuer | None:
        return self.issuers.get(url)

    def find_issuer_key(self, issuer: str, key_id: str) -> PublicKey | None:
        return self.keys.get(key_id)

    def spend(self, issuer: str, token_id: str, issued: datetime, until: datetime) -> bool:
        raise AssertionError("no ID token serves once")


def token(header: Mapping[str, object] | None = None, **claims: object) -> bytes:
    at = int(NOW.timestamp())
    usual: dict[str, object] = {"aud": "console", "nonce": "n", "groups": ["dba"], "iat": at, "exp": at + 300}
    return KEY.token({"typ": "JWT", **(header or {})}, **(usual | claims))


def verify(shown: bytes, book: Book | None = None) -> Identified | NotIdentified:
    return id_token.verify(shown, book or Book(), NOW, provider="idp", issuer=ISSUER, client_id="console", nonce="n")


def test_says_who_somebody_is_and_how_it_is_known() -> None:
    answer = verify(token())
    assert isinstance(answer, Identified)
    principal = answer.principal
    assert (principal.kind, principal.subject) == (PrincipalKind.PERSON, Subject(ISSUER, "bot"))
    assert (principal.groups, principal.method) == (("dba",), "oidc")
    assert answer.checks[0].name == "idp"
    assert [check.name for check in answer.checks[-2:]] == ["provider", "party"]


@pytest.mark.parametrize(
    ("claims", "check"),
    [
        ({"nonce": "another"}, "claims"),
        ({"nonce": None}, "claims"),
        ({"aud": "another"}, "audience"),
        ({"azp": "another"}, "party"),
        ({"azp": 7}, "party"),
        ({"exp": 1}, "expired"),
        ({"iss": "https://evil.example"}, "issuer"),
    ],
)
def test_refuses_a_token_that_is_not_of_this_sign_in(claims: dict[str, object], check: str) -> None:
    answer = verify(token({}, **claims))
    assert isinstance(answer, NotIdentified)
    assert answer.failed == check


def test_takes_the_client_as_authorized_party() -> None:
    assert isinstance(verify(token(azp="console", aud=["console", "other"])), Identified)


def test_refuses_an_access_token() -> None:
    answer = verify(token({"typ": "at+jwt"}))
    assert isinstance(answer, NotIdentified)
    assert answer.failed == "type"


def test_refuses_a_token_of_another_provider_that_is_trusted_too() -> None:
    other = "https://other.example"
    book = Book({ISSUER: TRUSTED, other: replace(TRUSTED, url=other)})
    answer = verify(token(iss=other), book)
    assert isinstance(answer, NotIdentified)
    assert answer.failed == "provider"


def test_what_failed_before_there_was_a_token_has_its_name() -> None:
    answer = id_token.not_shown("idp", "state")
    assert ([check.name for check in answer.checks], answer.failed) == (["idp", "state"], "state")
