# SPDX-License-Identifier: Apache-2.0
"""A listener for tokens by SASL OAUTHBEARER, with the libpq 18 that psycopg brings."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support import libpq_with_token
from support.issuers import LocalIssuer, local_issuer
from support.servers import TARGET, Place, eventually, make_database, make_place
from support.tokens import SigningKey
from throwaway_certificate import write_certificates
from throwaway_gate import Key
from throwaway_postgres import Postgres

from gatebook.vault.journal import Faults, JournalReader

KEY = SigningKey.make()

pytestmark = pytest.mark.skipif(psycopg.pq.version() < 180_000, reason="needs libpq 18")


@dataclass(frozen=True)
class Gate:
    """A gate whose clients log in by SASL, and its issuer."""

    place: Place
    issuer: LocalIssuer

    def connect(self, token: bytes, user: str = "bot", **words: object) -> dict[str, Any]:
        more = {"oauth_issuer": self.issuer.url, "oauth_client_id": "bot", **words}
        conninfo = self.place.gate.conninfo(Key("", "", user), TARGET, **more)
        program = [sys.executable, str(Path(libpq_with_token.__file__)), conninfo, "SELECT current_user::text"]
        done = subprocess.run(program, input=token.decode(), capture_output=True, text=True, check=True, timeout=50)
        told: dict[str, Any] = json.loads(done.stdout)
        assert token.decode() not in told["error"]
        return told

    def attempts(self) -> list[dict[str, Any]]:
        reader = JournalReader(self.place.gate.data / "journal" / "gatebook", Faults())
        leaves = [json.loads(record.leaf) for record in reader.read()]
        return [leaf for leaf in leaves if leaf["event"] == "authn"]

    def token(self, **claims: object) -> bytes:
        return KEY.token(None, **{"iss": self.issuer.url, **claims})


@pytest.fixture(scope="module")
def gate(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    make_database(server, "bearer")
    certificates = write_certificates(tmp_path_factory.mktemp("issuer"))
    with local_issuer([KEY], (certificates.certificate, certificates.key)) as issuer:
        place = make_place(tmp_path_factory.mktemp("bearer") / "gate", server, "bearer")
        place.gate.set("gate", login="oauthbearer", oauth_scope="openid gate")
        with place.gate.config.open("a") as file:
            file.write(issuer.toml(insecure_loopback=False, tls_roots=str(certificates.root), groups=["agents"]))
        place.gate.serve()
        eventually(lambda: "/keys" in issuer.asked)
        yield Gate(place, issuer)
        place.gate.stop()


def test_libpq_is_told_where_to_get_a_token_and_comes_back_with_it(gate: Gate) -> None:
    told = gate.connect(gate.token())
    assert told["error"] == ""
    assert told["rows"] == [["app"]]
    assert told["asked"] == [
        {"openid_configuration": f"{gate.issuer.url}/.well-known/openid-configuration", "scope": "openid gate"}
    ]
    attempt = gate.attempts()[-1]
    assert attempt["result"] == "accepted"
    assert attempt["identity"]["agent"] == {"iss": gate.issuer.url, "sub": "bot"}


def test_a_client_that_only_asks_for_the_place_makes_no_attempt(gate: Gate) -> None:
    before = len(gate.attempts())
    assert gate.connect(gate.token())["error"] == ""
    assert len(gate.attempts()) == before + 1


@pytest.mark.parametrize(("failed", "claims"), [("audience", {"aud": "other"}), ("expired", {"iat": 1, "exp": 2})])
def test_a_token_that_is_wrong_is_refused_in_the_gates_words(
    gate: Gate, failed: str, claims: dict[str, object]
) -> None:
    told = gate.connect(gate.token(**claims))
    assert "gatebook: the gate does not accept this login" in told["error"]
    assert eventually(lambda: gate.attempts()[-1]["failed"]) == failed


def test_another_user_name_is_refused(gate: Gate) -> None:
    assert "does not accept this login" in gate.connect(gate.token(), "somebody")["error"]
    assert gate.attempts()[-1]["failed"] == "user"


def test_a_key_of_the_gate_is_a_bearer_token_too(gate: Gate) -> None:
    assert gate.connect(gate.place.key.token.encode(), "helper")["rows"] == [["app"]]


def test_a_client_that_has_only_a_password_is_told_that_it_lacks_a_mechanism(gate: Gate) -> None:
    done = gate.place.through.psql("-c", "SELECT 1")
    assert done.returncode == 2
    assert "SASL" in done.stderr or "OAUTHBEARER" in done.stderr
