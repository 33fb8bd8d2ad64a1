# SPDX-License-Identifier: Apache-2.0
"""`gatebook sessions`: who did what; and that somebody looked is itself in the book."""

from __future__ import annotations

from typing import Any

import pytest
from support.data_folder import put_journal, put_recording
from support.evidence import (
    KEK,
    SESSION,
    chunk,
    chunk_leaf,
    end,
    frame,
    held,
    intent,
    message,
    moment,
    outcome,
    recording_header,
    seal_private,
    sealed_leaf,
    session_leaf,
    start,
)
from support.installation import Installation

from gatebook.vault.journal import JournalWriter

CHUNK = chunk(
    0,
    [
        frame(">", message("Q", b"select 'secret'\0")),
        frame("<", message("C", b"SELECT 1\0") + message("Z", b"I"), 1),
    ],
)
PRIVATE, COMMITMENT = seal_private(1, 1, b'{"text":"select \'secret\'"}')
IDENTITY = {
    "agent": {"iss": "gatebook:gate", "sub": "reporter"},
    "owner": {"iss": "gatebook:gate", "sub": "alice"},
    "role": "reader",
}
WHERE = {"target": "shop", "database": "shop", "account": "shop_reader", "gateway": "gate"}
DECIDED: dict[str, Any] = {
    "action": {"verb": "SELECT", "shape": "SELECT ?", "accesses": [["select", "Relation:shop.shop.public.t"]]},
    "decision": {"result": "allow", "policies": ["agents-read"], "reasons": []},
    "private": COMMITMENT,
}
REFUSED = session_leaf(
    "operation.refused",
    3,
    operation=f"{SESSION}.2",
    via="query",
    statement={},
    recording={},
    refusal={"code": "policy.denied", "sqlstate": "42501"},
)
STARTED = session_leaf(
    "session.start",
    0,
    identity=IDENTITY,
    where=WHERE,
    source={"ip": "10.0.0.1", "port": 7},
    recording={"id": SESSION},
    upstream={},
    parameters={},
)
ENDED = session_leaf(
    "session.end", 4, cause="client closed", counts={"operations": 1, "refused": 1, "rows": 5, "client_bytes_in": 9}
)
ENTRIES: list[Any] = [
    STARTED,
    (intent(1, 1, **DECIDED), PRIVATE),
    outcome(1, 2, effect={"status": "done", "rows": 5, "duration_us": 1500, "tag": "SELECT 5"}),
    REFUSED,
    ENDED,
    chunk_leaf(0, CHUNK, 2),
    sealed_leaf([CHUNK], 2),
    start(session="s_other"),
]


@pytest.fixture
def book(gate: Installation) -> Installation:
    """An installation with one session that is over and one that is not."""
    (gate.folder / "recording.key").write_text(KEK.hex())
    put_journal(gate.settings.journal_path, ENTRIES)
    put_recording(gate.settings.recordings_path, recording_header() + CHUNK)
    return gate


def test_lists_sessions(book: Installation) -> None:
    told = book.run("sessions", "list")
    assert told.status == 0
    lines = [line.split() for line in told.out.splitlines()]
    assert lines[0] == ["SESSION", "STARTED", "AGENT", "TARGET", "ROLE", "RAN", "REFUSED", "ROWS", "END"]
    assert lines[1] == [
        SESSION,
        "2026-01-01",
        "12:00:00Z",
        "reporter",
        "shop",
        "reader",
        "1",
        "1",
        "5",
        "client",
        "closed",
    ]
    assert lines[2] == ["s_other", "2026-01-01", "12:00:00Z", "open"]


def test_lists_sessions_for_programs_and_by_choice(book: Installation) -> None:
    found = book.run("sessions", "list", "--json").json
    assert [one["session"] for one in found] == [SESSION, "s_other"]
    assert found[0] == {
        "session": SESSION,
        "writer": "gate",
        "started": "2026-01-01T12:00:00.000000Z",
        "ended": "2026-01-01T12:00:00.000000Z",
        "cause": "client closed",
        "agent": "reporter",
        "owner": "alice",
        "role": "reader",
        "target": "shop",
        "database": "shop",
        "account": "shop_reader",
        "from": "10.0.0.1:7",
        "counts": {"operations": 1, "refused": 1, "rows": 5, "client_bytes_in": 9},
    }
    assert len(book.run("sessions", "list", "--json", "--agent", "reporter").json) == 1
    assert len(book.run("sessions", "list", "--json", "--target", "none").json) == 0
    assert [one["session"] for one in book.run("sessions", "list", "--json", "--last", "1").json] == ["s_other"]


def test_warns_of_what_it_could_not_read(gate: Installation) -> None:
    put_journal(gate.settings.journal_path, [b'{"event":"session.start"'])
    told = gate.run("sessions", "list")
    assert told.status == 0
    assert told.err == "warning: 1 places of the book could not be read; `gatebook ledger verify` names them\n"


def test_shows_a_session_without_literals(book: Installation) -> None:
    told = book.run("sessions", "show", SESSION)
    assert told.status == 0
    lines = told.out.splitlines()
    assert lines[1] == "agent    reporter"
    assert lines[4] == "target   shop, database shop, as shop_reader"
    assert lines[-2].split() == ["1", "12:00:00", "allow", "done", "5", "1.5", "agents-read", "SELECT", "?"]
    assert lines[-1].split() == ["2", "12:00:00", "refuse", "policy.denied", "0", "0.0", "policy.denied"]
    assert "secret" not in told.out
    assert [entry["event"] for entry in book.entries()] == ["person.added"]


def test_shows_what_is_held_what_was_and_what_was_given_up(gate: Installation) -> None:
    later: dict[str, Any] = {"time": moment(90), "decision": {"result": "allow"}}
    put_journal(gate.settings.journal_path, [STARTED, held(1, 1), intent(1, 2, **later), held(2, 3)])
    lines = gate.run("sessions", "show", SESSION).out.splitlines()
    assert lines[-2].split()[:7] == ["1", "12:01:30", "allow,", "held", "90", "s", "none"]
    assert lines[-1].split()[:4] == ["2", "12:00:00", "held", "waits"]
    first, second = gate.run("sessions", "show", SESSION, "--json").json["operations"]
    assert (first["decision"], first["held"]) == ("allow", "2026-01-01T12:00:00.000000Z")
    assert (second["decision"], second["held"]) == ("held", "2026-01-01T12:00:00.000000Z")


def test_shows_that_a_hold_was_given_up(gate: Installation) -> None:
    put_journal(gate.settings.journal_path, [STARTED, held(1, 1), end(2)])
    lines = gate.run("sessions", "show", SESSION).out.splitlines()
    assert lines[-1].split()[:5] == ["1", "12:00:00", "held", "given", "up"]


def test_shows_texts_and_enters_that_somebody_looked(book: Installation) -> None:
    told = book.run("sessions", "show", SESSION, "--text", "--purpose", "ticket 7", "--json").json
    assert told["operations"][0]["private"] == {"text": "select 'secret'"}
    assert told["operations"][0]["accesses"] == [["select", "Relation:shop.shop.public.t"]]
    entry = book.entries()[-1]
    assert (entry["event"], entry["session"], entry["purpose"], entry["form"]) == (
        "evidence.viewed",
        SESSION,
        "ticket 7",
        "text",
    )


@pytest.mark.parametrize("look", ["show", "replay"])
@pytest.mark.parametrize(
    ("session", "words"), [("s_absent", "no session `s_absent` in the book"), ("../../etc/passwd", "is no session id")]
)
def test_does_not_find_what_is_not_there(book: Installation, look: str, session: str, words: str) -> None:
    told = book.run("sessions", look, session)
    assert told.status == 1
    assert words in told.err
    assert len(book.entries()) == 1


def test_replays_what_the_client_saw(book: Installation) -> None:
    told = book.run("sessions", "replay", SESSION)
    assert told.status == 0
    assert told.out == ("12:00:00.000000 > query\n  | select 'secret'\n12:00:01.000000 < done: SELECT 1\n")
    entry = book.entries()[-1]
    assert (entry["event"], entry["form"], entry["purpose"]) == ("evidence.viewed", "replay", "not stated")


def test_replays_for_programs(book: Installation) -> None:
    told = book.run("sessions", "replay", SESSION, "--json").json_lines
    assert [(one["kind"], one["from"]) for one in told] == [("query", "client"), ("done", "gateway")]


def test_nobody_looks_unseen(book: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.cli.common.LOCK_WAIT_S", 0)
    with JournalWriter.open(book.settings.journal_path, "cli", sync="every"):
        for look in (("replay", SESSION), ("show", SESSION, "--text")):
            told = book.run("sessions", *look)
            assert told.status == 1
            assert "secret" not in told.out


def test_an_erased_recording_says_so(book: Installation) -> None:
    next(book.settings.recordings_path.glob("*/*.key")).unlink()
    told = book.run("sessions", "replay", SESSION)
    assert told.status == 1
    assert "there is no key for this recording" in told.err


def test_says_that_the_key_cannot_be_read(book: Installation) -> None:
    (book.folder / "recording.key").unlink()
    assert "recording.key` cannot be read" in book.run("sessions", "replay", SESSION).err
    assert book.run("sessions", "show", SESSION).status == 0
