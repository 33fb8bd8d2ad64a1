# SPDX-License-Identifier: Apache-2.0
"""`gatebook key`: shown once, entered before it is stored, dead when revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.installation import Installation

from gatebook.identity.api_key import verify
from gatebook.model.principal import Identified, NotIdentified
from gatebook.store.sqlite import open_store
from gatebook.vault.journal import JournalWriter

CREATE = ("key", "create", "--agent", "reporter", "--owner", "alice", "--group", "shop-agents", "--group", "etl")


def check(gate: Installation, token: str, now: datetime | None = None) -> Identified | NotIdentified:
    store = open_store(gate.settings.store_path)
    try:
        return verify(token.encode(), store, now or datetime.now(UTC))
    finally:
        store.close()


def test_makes_a_key_that_identifies_its_agent(gate: Installation) -> None:
    told = gate.run(*CREATE)
    assert told.status == 0
    token = told.out.strip()
    answer = check(gate, token)
    assert isinstance(answer, Identified)
    assert answer.principal.subject.subject == "reporter"
    assert answer.principal.groups == ("etl", "shop-agents")
    assert "it is shown this once" in told.err
    assert token not in told.err
    root = gate.folder / "root.crt"
    line = f"host=localhost port=5433 user=reporter dbname=shop sslmode=verify-full sslrootcert={root}"
    assert f'PGPASSWORD=<the key> psql "{line}"' in told.err


def test_enters_the_key_and_never_the_token(gate: Installation) -> None:
    told = gate.run(*CREATE, "--json")
    entry = gate.entries()[-1]
    assert entry["event"] == "key.created"
    assert entry["key"] == told.json["key"]
    assert entry["agent"] == {"iss": "gatebook:gate", "sub": "reporter"}
    assert entry["groups"] == ["etl", "shop-agents"]
    everything = b"".join(path.read_bytes() for path in gate.settings.gate.data.rglob("*") if path.is_file())
    assert told.json["token"].encode() not in everything


def test_a_key_lives_as_long_as_it_was_told(gate: Installation) -> None:
    token = gate.run(*CREATE, "--expires", "12h", "--json").json["token"]
    later = datetime.now(UTC) + timedelta(hours=12)
    answer = check(gate, token, later)
    assert isinstance(answer, NotIdentified)
    assert answer.failed == "expired"


def test_an_unknown_owner_gets_no_key(gate: Installation) -> None:
    told = gate.run("key", "create", "--agent", "reporter", "--owner", "bob")
    assert told.status == 1
    assert told.err == ("error: no person `bob` to own a key\nhint: add one with `gatebook person add`; known: alice\n")
    assert len(gate.entries()) == 1


def test_lists_keys_with_their_state(gate: Installation) -> None:
    first = gate.run(*CREATE, "--json").json["key"]
    second = gate.run(*CREATE, "--json").json["key"]
    gate.run("key", "revoke", first)
    told = gate.run("key", "list", "--json").json
    assert [(one["key"], one["state"]) for one in told] == [(first, "revoked"), (second, "good")]
    table = gate.run("key", "list").out.splitlines()
    assert table[0].split() == ["KEY", "AGENT", "OWNER", "GROUPS", "CREATED", "EXPIRES", "STATE"]
    assert second in table[2]


def test_a_revoked_key_is_dead_and_its_end_is_entered(gate: Installation) -> None:
    made = gate.run(*CREATE, "--json").json
    assert gate.run("key", "revoke", made["key"]).status == 0
    answer = check(gate, made["token"])
    assert isinstance(answer, NotIdentified)
    assert answer.failed == "revoked"
    assert gate.entries()[-1]["event"] == "key.revoked"
    assert gate.run("key", "revoke", made["key"], "--json").json["state"] == "revoked"


def test_refuses_to_revoke_what_is_no_key(gate: Installation) -> None:
    told = gate.run("key", "revoke", "0123")
    assert told.status == 1
    assert "no key `0123`" in told.err
    assert len(gate.entries()) == 1


def test_no_record_no_key(gate: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.cli.common.LOCK_WAIT_S", 0)
    with JournalWriter.open(gate.settings.journal_path, "cli", sync="every"):
        told = gate.run(*CREATE)
    assert told.status == 1
    assert "cannot be opened" in told.err
    assert gate.run("key", "list", "--json").json == []


def test_says_how_to_connect_without_tls(gate: Installation) -> None:
    text = gate.config.read_text().replace('tls_certificate = "server.crt"', "insecure_plaintext = true")
    gate.config.write_text(text.replace('tls_key = "file:server.key"', ""))
    assert "sslmode=disable" in gate.run(*CREATE).err


def test_says_nothing_of_connecting_where_no_target_is(gate: Installation) -> None:
    gate.config.write_text(gate.config.read_text().split('[[target]]\nname = "shop"\nhost = "127')[0])
    assert "psql" not in gate.run(*CREATE).err
