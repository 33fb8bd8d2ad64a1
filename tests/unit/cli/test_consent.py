# SPDX-License-Identifier: Apache-2.0
"""`gatebook consent`: who may consent, with what."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.custodians import Custodians, held_sessions
from support.evidence import SESSION
from support.installation import Installation


@pytest.fixture
def book(gate: Installation, tmp_path: Path) -> Custodians:
    held_sessions(gate, SESSION)
    made = Custodians(gate, tmp_path / "keys")
    made.configure(contents_days=30)
    return made


def give(book: Custodians, request: str, person: str, signature: Path) -> str:
    told = book.gate.run("consent", "give", request, "--person", person, "--signature", str(signature))
    assert told.status == 1
    return told.err


def test_a_signature_counts_for_its_maker_once(book: Custodians) -> None:
    request = book.ask("--due")
    assert "by another key" in give(book, request, "bob", book.signature(request, "alice"))
    book.consent(request, "alice")
    assert "has consented already" in give(book, request, "alice", book.signature(request, "alice"))
    (asked,) = book.gate.run("consent", "list", "--json").json
    assert [one["person"]["sub"] for one in asked["consents"]] == ["alice"]
    assert asked["state"] == "waits"
    book.consent(request, "bob")
    assert book.gate.run("consent", "list", "--json").json[0]["state"] == "granted"


def test_only_custodians_who_have_a_key(book: Custodians, tmp_path: Path) -> None:
    request = book.ask("--due")
    assert "is no custodian" in give(book, request, "dave", book.signature(request, "alice"))
    fingerprint = book.gate.run("person", "key", "list", "--json").json[0]["fingerprint"]
    assert book.gate.run("person", "key", "remove", fingerprint).status == 0
    assert "has no key" in give(book, request, "alice", book.signature(request, "alice"))


def test_only_signatures_of_this_request_and_purpose(book: Custodians, tmp_path: Path) -> None:
    request, other = book.ask("--due"), book.ask("--due", reason="once more")
    assert "not good" in give(book, request, "alice", book.signature(other, "alice"))
    file = book.gate.settings.retention_path / f"{request}.request"
    assert "another purpose" in give(book, request, "alice", book.key("alice").sign(file, "git"))
    (tmp_path / "none").write_text("hello")
    assert "no SSH signature" in give(book, request, "alice", tmp_path / "none")
    assert "cannot be read" in give(book, request, "alice", tmp_path / "absent")


def test_shows_what_is_to_be_signed(book: Custodians) -> None:
    request = book.ask("--due", reason="GDPR \x1b[31m4711")
    told = book.gate.run("consent", "show", request)
    assert "erase the contents of 1 sessions" in told.out
    assert SESSION in told.out
    assert "\x1b" not in told.out
    shown = book.gate.run("consent", "show", request, "--json").json
    assert [one["session"] for one in shown["sessions"]] == [SESSION]
    assert book.gate.run("consent", "show", "0" * 16).err.startswith("error: no request")
    lines = book.gate.run("consent", "list").out.splitlines()
    assert lines[0].split() == ["REQUEST", "WHAT", "WHY", "BY", "EXPIRES", "CONSENTED", "STATE"]


def test_a_request_has_a_reason_and_a_bound(book: Custodians) -> None:
    for words in (["--reason", ""], ["--reason", "x" * 1025], ["--reason", "x", "--valid-for", "31d"]):
        told = book.gate.run("purge", "request", "--due", *words)
        assert (told.status, "lives at most 30 days" in told.err) == (1, True)


def test_an_expired_request_is_over(book: Custodians, monkeypatch: pytest.MonkeyPatch) -> None:
    request = book.ask("--due")
    book.consent(request, "alice", "bob")
    from datetime import timedelta

    from gatebook.cli import consent, purge
    from gatebook.cli.common import now

    for module in (consent, purge):
        monkeypatch.setattr(module, "now", lambda: now() + timedelta(days=8))
    told = book.gate.run("purge", "run", request)
    assert (told.status, "before it expires" in told.err) == (1, True)
    assert book.gate.run("consent", "list", "--json").json == []
    assert book.gate.run("consent", "list", "--all", "--json").json[0]["state"] == "expired"
    assert "was not open" in give(book, request, "carol", book.signature(request, "carol"))
