# SPDX-License-Identifier: Apache-2.0
"""Access tokens: checks in their order, the name of each failure, and that nothing unsigned identifies."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tokens import AUDIENCE, ISSUER, SigningKey, b64, jwks

from gatebook.identity import token
from gatebook.identity.issuer import Issuer
from gatebook.identity.jose import PublicKey, parse_keys
from gatebook.model.principal import Identified, NotIdentified, PrincipalKind, Subject

KEY, RSA = SigningKey.make(), SigningKey.make("k2", "RS256")
NOW = datetime.fromtimestamp(int(time.time()), UTC)
TRUSTED = Issuer(
    url=ISSUER,
    kind=PrincipalKind.AGENT,
    audiences=(AUDIENCE,),
    algorithms=("ES256", "RS256"),
    types=("at+jwt",),
    lifetime_s=3600,
)
CHECKS = [
    *("size", "form", "issuer", "algorithm", "type", "critical", "key", "signature", "audience", "expired", "early"),
    *("issued", "lifetime", "subject", "binding", "claims", "actors", "groups"),
]


@dataclass
class Book:
    """One issuer, its keys, and the tokens that were spent."""

    issuer: Issuer = TRUSTED
    keys: Mapping[str, PublicKey] = field(default_factory=lambda: parse_keys(jwks(KEY, RSA)))
    spent: set[tuple[str, str]] = field(default_factory=set)

    def find_issuer(self, url: str) -> Issuer | None:
        return self.issuer if url == self.issuer.url else None

    def find_issuer_key(self, issuer: str, key_id: str) -> PublicKey | None:
        return self.keys.get(key_id) if issuer == self.issuer.url else None

    def spend(self, issuer: str, token_id: str, issued: datetime, until: datetime) -> bool:
        assert issued < NOW + timedelta(minutes=1) < until
        new = (issuer, token_id) not in self.spent
        self.spent.add((issuer, token_id))
        return new


def accepted(data: bytes, issuer: Issuer = TRUSTED, now: datetime = NOW) -> Identified:
    answer = token.verify(data, Book(issuer), now)
    assert isinstance(answer, Identified), answer
    return answer


def failed(data: bytes, issuer: Issuer = TRUSTED, now: datetime = NOW) -> str:
    answer = token.verify(data, Book(issuer), now)
    assert isinstance(answer, NotIdentified)
    assert all(check.passed for check in answer.checks[:-1])
    return answer.failed


def at(seconds: int) -> int:
    return int(NOW.timestamp()) + seconds


def test_accepts_a_good_token_and_tells_who_it_is() -> None:
    answer = accepted(KEY.token(exp=at(300), iat=at(0)))
    principal = answer.principal
    assert principal.kind is PrincipalKind.AGENT
    assert principal.subject == Subject(ISSUER, "bot")
    assert principal.chain == (Subject(ISSUER, "bot"),)
    assert principal.owner is None
    assert principal.method == "token"
    assert answer.names == ("bot",)
    assert answer.ends_at == NOW + timedelta(seconds=300)
    assert [check.name for check in answer.checks] == CHECKS


def test_what_evidence_is_told_of_a_token_holds_no_part_of_it() -> None:
    data = KEY.token(iat=at(0), exp=at(60))
    answer = accepted(data)
    shown = dict(answer.token)
    assert (shown["alg"], shown["typ"], shown["kid"]) == ("ES256", "at+jwt", "k1")
    assert (shown["iss"], shown["sub"], shown["jti"]) == (ISSUER, "bot", "t-1")
    assert shown["exp"] == (NOW + timedelta(seconds=60)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for part in data.decode().split("."):
        assert part not in repr(answer)


def test_a_person_acts_without_a_chain() -> None:
    answer = accepted(KEY.token(), replace(TRUSTED, kind=PrincipalKind.PERSON))
    assert answer.principal.kind is PrincipalKind.PERSON
    assert answer.principal.chain == ()


def test_the_actors_of_a_delegation_stand_in_the_chain() -> None:
    answer = accepted(
        KEY.token(act={"sub": "agent", "act": {"sub": "tool"}}), replace(TRUSTED, kind=PrincipalKind.PERSON)
    )
    assert answer.principal.chain == (Subject(ISSUER, "agent"), Subject(ISSUER, "tool"))


def test_groups_come_from_the_claim_with_the_issuers_prefix_and_from_the_configuration() -> None:
    issuer = replace(TRUSTED, groups_claim=("groups",), groups_prefix="corp:", groups=("ci",))
    assert accepted(KEY.token(groups=["dba", "dev"]), issuer).principal.groups == ("ci", "corp:dba", "corp:dev")
    assert accepted(KEY.token(), issuer).principal.groups == ("ci",)
    assert accepted(KEY.token(groups=["dba"])).principal.groups == ()


def test_user_names_beside_the_subject_come_from_configured_claims() -> None:
    issuer = replace(TRUSTED, user_claims=("preferred_username", "azp"))
    assert accepted(KEY.token(preferred_username="ann", azp=7, email="a@b"), issuer).names == ("bot", "ann")


def test_takes_an_rsa_signature_where_the_issuer_is_configured_with_it() -> None:
    assert accepted(RSA.token()).principal.subject.subject == "bot"
    assert failed(RSA.token(), replace(TRUSTED, algorithms=("ES256",))) == "algorithm"


def test_leeway_is_a_minute_on_each_side() -> None:
    accepted(KEY.token(iat=at(-100), exp=at(-59)))
    assert failed(KEY.token(iat=at(-100), exp=at(-60))) == "expired"
    accepted(KEY.token(nbf=at(60)))
    assert failed(KEY.token(nbf=at(61))) == "early"
    accepted(KEY.token(iat=at(60), exp=at(120)))
    assert failed(KEY.token(iat=at(61), exp=at(120))) == "issued"


@pytest.mark.parametrize(
    ("check", "claims"),
    [
        ("issuer", {"iss": "https://issuer.example/"}),
        ("issuer", {"iss": "HTTPS://issuer.example"}),
        ("issuer", {"iss": [ISSUER]}),
        ("issuer", {"iss": None}),
        ("audience", {"aud": "another"}),
        ("audience", {"aud": ["another", "gatebook2"]}),
        ("audience", {"aud": None}),
        ("audience", {"aud": {"gatebook": 1}}),
        ("expired", {"exp": None}),
        ("expired", {"exp": "soon"}),
        ("expired", {"exp": 1}),
        ("early", {"nbf": "x"}),
        ("early", {"nbf": 9999999999}),
        ("issued", {"iat": None}),
        ("issued", {"iat": True}),
        ("lifetime", {"iat": 1}),
        ("lifetime", {"exp": 9999999999}),
        ("subject", {"sub": None}),
        ("subject", {"sub": ""}),
        ("subject", {"sub": "a\x00b"}),
        ("binding", {"cnf": {"jkt": "x"}}),
        ("actors", {"act": "agent"}),
        ("actors", {"act": {"act": {"sub": "inner"}}}),
    ],
)
def test_names_the_check_that_a_claim_failed(check: str, claims: dict[str, object]) -> None:
    assert failed(KEY.token(None, **claims)) == check


@pytest.mark.parametrize(
    ("check", "header"),
    [
        ("algorithm", {"alg": "none"}),
        ("algorithm", {"alg": "HS256"}),
        ("algorithm", {"alg": "PS256"}),
        ("algorithm", {"alg": None}),
        ("algorithm", {"alg": ["ES256"]}),
        ("type", {"typ": "JWT"}),
        ("type", {"typ": None}),
        ("type", {"typ": "absent"}),
        ("type", {"typ": 1}),
        ("critical", {"crit": ["exp"], "exp": 1}),
        ("critical", {"crit": ["b64"], "b64": False}),
        ("critical", {"crit": []}),
        ("critical", {"jwk": KEY.jwk}),
        ("critical", {"jku": "https://evil.example/keys"}),
        ("critical", {"x5u": "https://evil.example/cert"}),
        ("critical", {"x5c": ["AAAA"]}),
        ("key", {"kid": "unknown"}),
        ("key", {"kid": None}),
        ("key", {"kid": 1}),
        ("form", {"cty": "JWT"}),
        ("signature", {"kid": "k2"}),
        ("signature", {"alg": "RS256"}),
    ],
)
def test_names_the_check_that_a_header_failed(check: str, header: dict[str, object]) -> None:
    assert failed(KEY.token(header)) == check


def test_the_type_may_carry_its_prefix_and_any_case() -> None:
    accepted(KEY.token({"typ": "Application/AT+JWT"}))
    accepted(KEY.token({"typ": "JWT"}), replace(TRUSTED, types=("jwt",)))
    accepted(KEY.token({"typ": None}), replace(TRUSTED, types=("absent",)))
    assert failed(KEY.token({"typ": "absent"}), replace(TRUSTED, types=("absent",))) == "type"


def test_an_hmac_with_the_public_key_as_secret_proves_nothing() -> None:
    assert failed(RSA.token_by_hmac()) == "algorithm"
    confused = replace(TRUSTED, algorithms=("HS256", "RS256"))
    assert failed(RSA.token_by_hmac(), confused) == "signature"


def test_a_token_without_signature_is_none() -> None:
    header, claims, _ = KEY.token({"alg": "none"}).split(b".")
    assert failed(header + b"." + claims + b".") == "form"
    assert failed(header + b"." + claims + b".AAAA") == "algorithm"


def test_a_name_given_twice_in_an_object_has_two_readings() -> None:
    header = b'{"alg":"ES256","typ":"at+jwt","kid":"k1"}'
    claims = f'{{"iss":"{ISSUER}","aud":"x","aud":"gatebook","sub":"bot","iat":{at(0)},"exp":{at(60)}}}'
    assert failed(KEY.seal(header, claims.encode())) == "form"
    assert failed(KEY.seal(header[:-1] + b',"alg":"none"}', {})) == "form"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"eyJ.e30.A",
        b"a.b",
        b"a.b.c.d.e",
        b"e30.e30.e30=",
        b"e31.e30.AAAA",
        b"e30.W10.AAAA",
        b"e30. .AAAA",
        b"\xff.e30.AAAA",
    ],
)
def test_refuses_what_has_not_the_form(data: bytes) -> None:
    assert failed(data) == "form"
    assert token.peek(data) is None


def test_refuses_what_is_too_large_before_it_is_read() -> None:
    assert failed(KEY.token(padding="x" * 16_384)) == "size"
    assert token.peek(KEY.token(padding="x" * 16_384)) is None


def test_required_claims_have_their_values() -> None:
    issuer = replace(TRUSTED, required=(("repository_id", "42"), ("typ", "Bearer")))
    accepted(KEY.token(repository_id="42", typ=["Bearer"]), issuer)
    assert failed(KEY.token(repository_id="43", typ="Bearer"), issuer) == "claims"
    assert failed(KEY.token(repository_id=42, typ="Bearer"), issuer) == "claims"
    assert failed(KEY.token(repository_id="42"), issuer) == "claims"


def test_groups_that_are_no_list_of_names_fail() -> None:
    issuer = replace(TRUSTED, groups_claim=("groups",))
    assert failed(KEY.token(groups={"dba": True}), issuer) == "groups"


def test_a_token_that_serves_once_is_refused_the_second_time() -> None:
    book, data = Book(replace(TRUSTED, one_time=True)), KEY.token(jti="once")
    first, second = token.verify(data, book, NOW), token.verify(data, book, NOW)
    assert isinstance(first, Identified)
    assert first.checks[-1].name == "replayed"
    assert isinstance(second, NotIdentified)
    assert second.failed == "replayed"
    assert failed(KEY.token(jti=None), replace(TRUSTED, one_time=True)) == "replayed"


def test_a_token_that_is_refused_for_something_else_is_not_spent() -> None:
    book = Book(replace(TRUSTED, one_time=True))
    token.verify(KEY.token(jti="once", aud="another"), book, NOW)
    assert book.spent == set()


def test_peek_tells_which_key_would_be_needed() -> None:
    assert token.peek(KEY.token()) == token.Hint(ISSUER, "k1")
    assert token.peek(KEY.token({"kid": "x" * 257})) is None
    assert token.peek(KEY.token(iss=1)) is None


def test_a_token_is_told_from_a_key_by_its_looks() -> None:
    assert token.looks_like_token(KEY.token())
    assert not token.looks_like_token(b"gbk_" + b"a" * 58)
    assert not token.looks_like_token(b"")


@given(st.binary(max_size=300))
def test_identifies_nobody_from_garbage(data: bytes) -> None:
    for made in (data, b".".join([b64(data).encode()] * 3)):
        assert isinstance(token.verify(made, Book(), NOW), NotIdentified)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_any_changed_byte_of_a_token_is_noticed(position: int, value: int) -> None:
    data = bytearray(GOOD)
    position %= len(data)
    changed = data[position] != value
    data[position] = value
    assert isinstance(token.verify(bytes(data), Book(), NOW), NotIdentified if changed else Identified)


GOOD = KEY.token(exp=at(3000))
