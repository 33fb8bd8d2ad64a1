# SPDX-License-Identifier: Apache-2.0
"""Who gets in: wrong, expired and revoked keys, plaintext, names that are not there, and what the book says of each."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from support.servers import TARGET, Place, Way, eventually
from throwaway_certificate import write_certificates
from throwaway_gate import Key

from gatebook.vault.journal import Faults, JournalReader

NOT_ACCEPTED = "FATAL:  gatebook: the gate does not accept this login"


def attempts(place: Place) -> list[dict[str, Any]]:
    """Every `authn` entry of the gate's journal, in order."""
    folder = place.gate.data / "journal" / "gatebook"
    leaves = [json.loads(record.leaf) for record in JournalReader(folder, Faults()).read()]
    return [leaf for leaf in leaves if leaf["event"] == "authn"]


def refused(place: Place, way: Way) -> dict[str, Any]:
    """Fail to log in and return what the book says of it."""
    before = len(attempts(place))
    done = way.psql("-c", "SELECT 1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert NOT_ACCEPTED in done.stderr
    (attempt,) = eventually(lambda: attempts(place)[before:])
    assert attempt["result"] == "refused"
    return attempt


@pytest.fixture
def other(place: Place) -> Iterator[Key]:
    """A key for one test."""
    key = place.gate.create_key("other")
    yield key
    place.gate.run("key", "revoke", key.id, check=False)


def test_an_accepted_login_stands_in_the_book_with_its_checks(place: Place) -> None:
    before = len(attempts(place))
    place.through.psql("-c", "SELECT 1")
    (attempt,) = attempts(place)[before:]
    assert attempt["result"] == "accepted"
    assert attempt["credential"] == place.key.id
    assert all(check["passed"] for check in attempt["checks"])
    assert attempt["claimed"] == {"database": TARGET, "user": "helper"}
    assert place.key.token not in json.dumps(attempt)


@pytest.mark.parametrize(
    ("password", "failed"),
    [
        ("secret", "form"),
        ("gbk_" + "a" * 58, "checksum"),
        ("gbk_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq3vkobs", "known"),
    ],
)
def test_a_password_that_is_no_key_is_refused_and_the_check_named(place: Place, password: str, failed: str) -> None:
    assert refused(place, place.through_with(Key("", password, "helper")))["failed"] == failed


def test_a_key_under_another_name_is_refused(place: Place) -> None:
    assert refused(place, place.through_with(user="somebody"))["failed"] == "user"


def test_a_target_that_is_not_there_gets_the_answer_of_a_bad_key(place: Place) -> None:
    assert refused(place, place.through_with(dbname="postgres"))["failed"] == "target"


def test_a_key_of_no_group_of_the_target_is_refused(place: Place) -> None:
    key = place.gate.create_key("outsider", ("visitors",))
    assert refused(place, place.through_with(key))["failed"] == "role"


def test_an_expired_key_is_refused(place: Place) -> None:
    key = place.gate.create_key("shortlived", expires="1m")
    assert place.through_with(key).psql("-c", "SELECT 1").stdout == "1\n"
    _age(place, key)
    assert refused(place, place.through_with(key))["failed"] == "expired"


def test_id_02_a_session_of_a_key_that_expires_ends_within_two_seconds(place: Place) -> None:
    key = place.gate.create_key("ageing", expires="1m")
    with psycopg.connect(place.through_with(key).dsn, autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        _age(place, key)
        _assert_ends(connection, within_s=2)


def test_a_revoked_key_is_refused(place: Place, other: Key) -> None:
    place.gate.run("key", "revoke", other.id)
    assert refused(place, place.through_with(other))["failed"] == "revoked"


def test_a_session_of_a_revoked_key_ends_within_a_second(place: Place, other: Key) -> None:
    with psycopg.connect(place.through_with(other).dsn, autocommit=True) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        place.gate.run("key", "revoke", other.id)
        _assert_ends(connection, within_s=1)


def test_a_statement_that_runs_when_its_key_is_revoked_stops_at_the_server(place: Place, other: Key) -> None:
    psql = place.through_with(other).start_psql("-c", "SELECT pg_sleep(50) /* until revoked */")
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%until revoked */' AND state = 'active'"
    eventually(lambda: place.ask(running) == "1")
    place.gate.run("key", "revoke", other.id)
    eventually(lambda: place.ask(running) == "0", within_s=2)
    _, error = psql.communicate(timeout=10)
    assert "FATAL" in error
    assert psql.returncode != 0


def test_a_plaintext_connection_is_refused_before_any_password(place: Place) -> None:
    done = place.through_with(sslmode="disable", sslrootcert=None).psql("-c", "SELECT 1")
    assert "FATAL:  " in done.stderr
    assert "TLS" in done.stderr
    assert done.returncode == 2


def test_the_certificate_names_localhost_and_its_address(place: Place) -> None:
    assert place.through_with(host="127.0.0.1").psql("-c", "SELECT 1").stdout == "1\n"


def test_verify_full_refuses_a_gate_of_another_root(place: Place, tmp_path: Path) -> None:
    another = write_certificates(tmp_path).root
    done = place.through_with(sslrootcert=another).psql("-c", "SELECT 1")
    assert "certificate verify failed" in done.stderr


def test_the_key_never_reaches_the_target_or_the_data_folder(place: Place) -> None:
    place.through.psql("-c", "SELECT 1")
    assert place.key.token not in place.server.log_path.read_text(errors="replace")
    kept = [path.read_bytes() for path in place.gate.data.rglob("*") if path.is_file()]
    assert len(kept) > 3
    assert not any(place.key.token.encode() in content for content in kept)


def _age(place: Place, key: Key) -> None:
    """Move the end of a key into the past, as the clock would."""
    store = sqlite3.connect(place.gate.data / "gatebook.db")
    with store:
        store.execute("UPDATE api_key SET expires_us = expires_us - 3600 * 1000000 WHERE id = ?", (key.id,))
    store.close()


def _assert_ends(connection: psycopg.Connection[Any], within_s: float) -> None:
    began = time.monotonic()
    with pytest.raises(psycopg.OperationalError) as caught:  # noqa: PT012  asked until it ends
        while True:
            connection.execute("SELECT 1")
            assert time.monotonic() - began < within_s + 5
            time.sleep(0.02)
    assert time.monotonic() - began < within_s
    assert "the session was ended" in str(caught.value)


def test_the_operator_finds_the_failed_check_by_a_command(place: Place) -> None:
    place.through.psql("-c", "SELECT 1")
    refused(place, place.through_with(Key("", "secret", "nobody in particular"), user="somebody-else"))
    logins = place.gate.ask("sessions", "logins", "--last", "2")
    assert isinstance(logins, list)
    assert [(login["user"], login["result"], login["failed"]) for login in logins] == [
        ("helper", "accepted", ""),
        ("somebody-else", "refused", "form"),
    ]
    (failed,) = place.gate.run("sessions", "logins", "--failed", "--last", "1").stdout.splitlines()[1:]
    assert failed.split()[-3:] == ["work", "refused", "form"]
