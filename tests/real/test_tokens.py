# SPDX-License-Identifier: Apache-2.0
"""Access tokens as password, with stock psql: who gets in, which check failed, rotation, and the end of a session."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.issuers import LocalIssuer, local_issuer
from support.servers import Place, Way, eventually, make_database, make_place
from support.tokens import SigningKey
from throwaway_gate import Key
from throwaway_postgres import Postgres

from gatebook.vault.journal import Faults, JournalReader

KEY, RSA = SigningKey.make("first"), SigningKey.make("rsa", "RS256")


@dataclass(frozen=True)
class Tokens:
    """A gate that trusts two issuers, of which one takes each token once."""

    place: Place
    issuer: LocalIssuer
    once: LocalIssuer

    def way(self, token: bytes, user: str = "bot", **words: object) -> Way:
        return self.place.through_with(Key("", token.decode(), user), **words)

    def token(self, key: SigningKey = KEY, header: dict[str, object] | None = None, **claims: object) -> bytes:
        return key.token(header, **{"iss": self.issuer.url, "groups": ["agents"], **claims})

    def entries(self, event: str) -> list[dict[str, Any]]:
        reader = JournalReader(self.place.gate.data / "journal" / "gatebook", Faults())
        leaves = [json.loads(record.leaf) for record in reader.read()]
        return [leaf for leaf in leaves if leaf["event"] == event]

    def refused(self, token: bytes, user: str = "bot") -> str:
        """Fail to log in, seldom under one name, as that is slowed; return the check that the book names."""
        before = len(self.entries("authn"))
        done = self.way(token, user).psql("-c", "SELECT 1")
        assert done.returncode == 2
        assert "FATAL:  gatebook: the gate does not accept this login" in done.stderr
        assert token.decode() not in done.stderr
        (attempt,) = eventually(lambda: self.entries("authn")[before:])
        assert attempt["result"] == "refused"
        return str(attempt["failed"])


@pytest.fixture(scope="module")
def tokens(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokens]:
    make_database(server, "tokens")
    with local_issuer([KEY, RSA]) as issuer, local_issuer([KEY]) as once:
        place = make_place(tmp_path_factory.mktemp("tokens") / "gate", server, "tokens")
        with place.gate.config.open("a") as file:
            file.write(issuer.toml(groups_claim=["groups"], user_claims=["preferred_username"]))
            file.write(once.toml(name="once", one_time=True, groups=["agents"]))
        place.gate.serve()
        made = Tokens(place, issuer, once)
        eventually(lambda: len(made.entries("issuer.keys")) == 2)
        yield made
        place.gate.stop()


def test_a_token_lets_its_subject_in_and_the_book_says_how(tokens: Tokens) -> None:
    token = tokens.token()
    assert tokens.way(token).psql("-c", "SELECT 1").stdout == "1\n"
    attempt = tokens.entries("authn")[-1]
    assert attempt["result"] == "accepted"
    assert attempt["identity"]["agent"] == {"iss": tokens.issuer.url, "sub": "bot"}
    assert attempt["identity"]["method"] == "token"
    assert attempt["identity"]["groups"] == ["agents"]
    assert attempt["token"]["kid"] == "first"
    assert [check["name"] for check in attempt["checks"]][-4:] == ["user", "target", "role", "policy"]


def test_another_user_name_is_refused_unless_a_configured_claim_says_it(tokens: Tokens) -> None:
    assert tokens.refused(tokens.token(), "somebody") == "user"
    assert tokens.way(tokens.token(preferred_username="ann"), "ann").psql("-c", "SELECT 1").stdout == "1\n"


@pytest.mark.parametrize(
    ("failed", "header", "claims"),
    [
        ("audience", {}, {"aud": "somebody else"}),
        ("type", {"typ": "JWT"}, {}),
        ("expired", {}, {"iat": 1000, "exp": 2000}),
        ("critical", {"crit": ["x"], "x": 1}, {}),
        ("algorithm", {"alg": "none"}, {}),
        ("signature", {"kid": "rsa", "alg": "RS256"}, {}),
        ("role", {}, {"groups": ["visitors"], "sub": "bot-role"}),
    ],
)
def test_a_token_that_is_wrong_is_refused_and_the_check_named(
    tokens: Tokens, failed: str, header: dict[str, object], claims: dict[str, object]
) -> None:
    assert tokens.refused(tokens.token(KEY, header, **claims), f"bot-{failed}") == failed


def test_a_token_of_an_issuer_that_is_not_configured_is_refused(tokens: Tokens) -> None:
    assert tokens.refused(tokens.token(iss="https://evil.example")) == "issuer"


def test_an_hmac_with_the_public_key_is_refused(tokens: Tokens) -> None:
    assert tokens.refused(RSA.token_by_hmac(iss=tokens.issuer.url)) == "algorithm"


def test_a_token_that_serves_once_is_refused_the_second_time(tokens: Tokens) -> None:
    token = KEY.token(iss=tokens.once.url, jti="only once")
    assert tokens.way(token).psql("-c", "SELECT 1").stdout == "1\n"
    assert tokens.refused(token) == "replayed"


def test_an_actor_must_be_permitted_too(tokens: Tokens) -> None:
    assert tokens.way(tokens.token(act={"sub": "tool"})).psql("-c", "SELECT 1").stdout == "1\n"
    assert tokens.entries("authn")[-1]["identity"]["act"] == [{"iss": tokens.issuer.url, "sub": "tool"}]


def test_a_new_key_is_found_when_a_token_names_it_and_the_old_one_is_dead(tokens: Tokens) -> None:
    new = SigningKey.make("second")
    time.sleep(max(0.0, 15.5 - _age_of_keys(tokens)))  # keys are looked for once in fifteen seconds
    tokens.issuer.show(new, RSA)
    assert tokens.way(tokens.token(new)).psql("-c", "SELECT 1").stdout == "1\n"
    assert tokens.refused(tokens.token()) == "key"
    change = tokens.entries("issuer.keys")[-1]
    assert (change["added"], change["removed"]) == (["second"], ["first"])
    tokens.issuer.show(KEY, new, RSA)


def test_id_02_a_session_ends_with_its_token_and_the_book_says_expired(tokens: Tokens) -> None:
    moment = int(time.time())
    token = tokens.token(RSA, iat=moment, exp=moment + 4)
    with psycopg.connect(tokens.way(token).dsn, autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="the session's time is over"):
            connection.execute("SELECT pg_sleep(20)")
    assert moment + 3 <= time.time() <= moment + 8
    assert eventually(lambda: tokens.entries("session.end"))[-1]["cause"] == "expired"


def test_no_token_is_in_the_data_folder_or_the_log(tokens: Tokens) -> None:
    token = tokens.token(RSA)
    tokens.way(token).psql("-c", "SELECT 1")
    tokens.refused(tokens.token(RSA, aud="x"))
    kept = [path.read_bytes() for path in _files(tokens.place.gate.folder)]
    for part in token.split(b".")[1:]:
        assert not any(part in content for content in kept)


def _age_of_keys(tokens: Tokens) -> float:
    from gatebook.evidence.entry import parse_time

    return time.time() - parse_time(tokens.entries("issuer.keys")[-1]["time"]).timestamp()


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
