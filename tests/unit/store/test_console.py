# SPDX-License-Identifier: Apache-2.0
"""The console's own file: everything in it ends, serves once where it must, and is worth nothing to a thief."""

from __future__ import annotations

import sqlite3
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gatebook.model.principal import Subject
from gatebook.store import console
from gatebook.store.base import StoreFault
from gatebook.store.console import Challenge, ConsoleStore, Enrolment, SignIn, WebSession, open_console

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=15)
ANN, BOB = Subject("gatebook:gate", "ann"), Subject("https://idp.example", "bob")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "console.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[ConsoleStore]:
    opened = open_console(path)
    yield opened
    opened.close()


def session(person: Subject = ANN, made: datetime = NOW) -> WebSession:
    return WebSession(person, ("auditors",), "passkey", "SHA256:abc", made, made, made + timedelta(hours=12))


def test_its_file_is_for_its_owner_and_holds_no_secret(path: Path, store: ConsoleStore) -> None:
    secrets = ["secret-of-ann", "state-of-bob", "challenge-of-ann", "code-of-ann"]
    store.add_session(secrets[0], session())
    assert store.begin_sign_in(secrets[1], SignIn(b"hash", "idp", "nonce", "verifier", LATER), NOW)
    assert store.begin_challenge(secrets[2], Challenge("vote", b"", b"message", LATER), NOW)
    store.add_enrolment(secrets[3], Enrolment(ANN, "root", LATER), NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = b"".join(one.read_bytes() for one in path.parent.iterdir())
    assert b"SHA256:abc" in kept
    assert [secret for secret in secrets if secret.encode() in kept] == []


def test_a_web_session_is_found_by_its_secret_until_it_ends(store: ConsoleStore) -> None:
    store.add_session("one", session())
    assert store.find_session("one") == session()
    assert store.find_session("two") is None
    store.touch_session("one", LATER)
    seen = store.find_session("one")
    assert seen is not None
    assert (seen.seen_at, seen.made_at) == (LATER, NOW)
    store.end_session("one")
    assert store.find_session("one") is None


def test_a_person_is_signed_out_everywhere_and_nobody_else(store: ConsoleStore) -> None:
    for secret, who in (("one", ANN), ("two", ANN), ("three", BOB)):
        store.add_session(secret, session(who))
    assert store.end_sessions_of(ANN) == 2
    assert store.find_session("one") is None
    assert store.find_session("three") == session(BOB)


def test_a_person_has_so_many_web_sessions_and_the_oldest_ends(store: ConsoleStore) -> None:
    for number in range(console.MOST_SESSIONS + 1):
        store.add_session(f"s{number}", session(made=NOW + timedelta(seconds=number)))
    assert store.find_session("s0") is None
    assert store.find_session("s1") is not None
    assert store.find_session(f"s{console.MOST_SESSIONS}") is not None


def test_those_that_are_over_are_forgotten(store: ConsoleStore, path: Path) -> None:
    store.add_session("old", session())
    store.add_session("new", session(BOB, NOW + timedelta(hours=13)))
    assert store.find_session("old") is None


def test_a_sign_in_comes_back_once_and_in_time(store: ConsoleStore) -> None:
    begun = SignIn(b"browser", "idp", "nonce", "verifier", LATER)
    assert store.begin_sign_in("a", begun, NOW)
    assert store.take_sign_in("b", NOW) is None
    assert store.take_sign_in("a", NOW) == begun
    assert store.take_sign_in("a", NOW) is None
    assert store.begin_sign_in("c", begun, NOW)
    assert store.take_sign_in("c", LATER) is None


def test_a_challenge_serves_its_purpose_and_holder_once(store: ConsoleStore) -> None:
    def begin() -> None:
        assert store.begin_challenge("c", Challenge("vote", b"session", b"message", LATER), NOW)

    begin()
    assert store.take_challenge("c", "vote", b"session", NOW) == b"message"
    assert store.take_challenge("c", "vote", b"session", NOW) is None
    for purpose, holder, at in (
        ("sign-in", b"session", NOW),
        ("vote", b"another", NOW),
        ("vote", b"session", LATER),
    ):
        begin()
        assert store.take_challenge("c", purpose, holder, at) is None
        assert store.take_challenge("c", "vote", b"session", NOW) is None, "a wrong use uses it up too"


def test_no_more_begin_than_a_bound(store: ConsoleStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "MOST_UNDER_WAY", 2)
    challenge = Challenge("sign-in", b"", b"", LATER)
    assert [store.begin_challenge(name, challenge, NOW) for name in "abc"] == [True, True, False]
    assert store.begin_challenge("d", challenge, LATER), "those that took too long make room"


def test_an_enrolment_serves_once_for_a_quarter_of_an_hour(store: ConsoleStore) -> None:
    leave = Enrolment(ANN, "root", LATER)
    store.add_enrolment("code", leave, NOW)
    assert store.find_enrolment("code", NOW) == leave
    assert store.find_enrolment("code", LATER) is None
    assert store.take_enrolment("code", NOW) == leave
    assert store.find_enrolment("code", NOW) is None
    assert store.take_enrolment("code", NOW) is None


def test_a_new_enrolment_voids_the_one_before(store: ConsoleStore) -> None:
    store.add_enrolment("first", Enrolment(ANN, "root", LATER), NOW)
    store.add_enrolment("second", Enrolment(ANN, "root", LATER), NOW)
    assert store.take_enrolment("first", NOW) is None
    assert store.take_enrolment("second", NOW) is not None


def test_counters_only_grow(store: ConsoleStore) -> None:
    assert store.counted(b"id") == 0
    store.count(b"id", 7)
    store.count(b"id", 3)
    assert store.counted(b"id") == 7


def test_another_process_sees_what_was_kept(path: Path, store: ConsoleStore) -> None:
    other = open_console(path)
    other.add_enrolment("code", Enrolment(ANN, "root", LATER), NOW)
    assert store.find_enrolment("code", NOW) is not None
    other.close()


def test_refuses_a_file_that_is_none_or_of_a_newer_version(path: Path) -> None:
    path.write_bytes(b"something else" * 100)
    with pytest.raises(StoreFault, match="cannot be used"):
        open_console(path)
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(StoreFault, match="version 9"):
        open_console(path)
