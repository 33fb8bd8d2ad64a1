# SPDX-License-Identifier: Apache-2.0
"""The book at the console: who sees which session, its picture, looks that are entered first, a verification."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from support.book import put_book
from support.control import Desk
from support.control import desk as made_desk
from support.evidence import SESSION
from support.installation import Installation

from gatebook.control import looks
from gatebook.vault.journal import JournalUnwritable, JournalWriter

PAGE = {"accept": "text/html"}


@pytest.fixture
def desk(gate: Installation) -> Iterator[Desk]:
    put_book(gate)
    with made_desk(gate) as made:
        yield made


def test_sessions_are_listed_to_whose_business_they_are(desk: Desk) -> None:
    def listed(**who: str) -> list[str]:
        answer = desk.ask("GET", "/api/v1/sessions", **who)  # type: ignore[arg-type]  # `web` or `bearer`
        return [one["session"] for one in answer.json()]

    assert sorted(listed(web=desk.sign_in("aud"))) == sorted([SESSION, "s_other"])
    assert listed(web=desk.sign_in("alice")) == sorted([SESSION, "s_other"], reverse=True), "an admin"
    assert listed(web=desk.sign_in("per")) == []
    assert listed(bearer=desk.bearer) == []
    for who in ({"web": desk.sign_in("per")}, {"bearer": desk.bearer}):
        answer = desk.ask("GET", f"/api/v1/sessions/{SESSION}", **who)  # type: ignore[arg-type]  # as above
        assert (answer.status_code, answer.json()["code"]) == (404, "absent")


def test_a_session_is_told_with_its_operations_and_without_literals(desk: Desk) -> None:
    told = desk.ask("GET", f"/api/v1/sessions/{SESSION}", web=desk.sign_in("aud")).json()
    assert (told["agent"], told["live"], told["cause"]) == ("reporter", False, "client closed")
    assert [one["decision"] for one in told["operations"]] == ["allow", "refuse"]
    page = desk.ask("GET", f"/sessions/{SESSION}", web=desk.sign_in("aud"), headers=PAGE).text
    assert "SELECT ? &lt;b&gt;" in page
    assert page.count('class="mark ') == 2
    assert "secret" not in page


@pytest.mark.parametrize("name", ["s_none", "a" * 200, "%2e%2e%2fgatebook.toml"])
def test_what_is_no_session_is_absent(desk: Desk, name: str) -> None:
    for path in (f"/api/v1/sessions/{name}", f"/sessions/{name}"):
        assert desk.ask("GET", path, web=desk.sign_in("aud")).status_code == 404


def test_a_look_is_entered_before_it_is_shown_and_its_text_is_escaped(desk: Desk) -> None:
    web = desk.sign_in("aud")
    answer = desk.ask("POST", f"/sessions/{SESSION}/replay", web=web, data={"purpose": " incident  42 "}, headers=PAGE)
    assert answer.status_code == 200
    assert "select &#39;&lt;b&gt;secret&lt;/b&gt;&#39;" in answer.text
    (viewed,) = desk.entries("evidence.viewed")
    wanted = {"session": SESSION, "purpose": "incident 42", "form": "replay", "by": "gatebook:gate|aud"}
    assert {name: viewed[name] for name in wanted} == wanted


@pytest.mark.parametrize("purpose", ["", "  ", "x" * 501])
def test_a_look_needs_a_purpose(desk: Desk, purpose: str) -> None:
    answer = desk.ask("POST", f"/sessions/{SESSION}/replay", web=desk.sign_in("aud"), data={"purpose": purpose})
    assert (answer.status_code, answer.json()["code"]) == (422, "purpose")
    assert desk.entries("evidence.viewed") == []


def test_nothing_is_shown_where_the_look_cannot_be_entered(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_words: object, **_more: object) -> int:
        raise JournalUnwritable("evidence cannot be written: the disk is full")

    monkeypatch.setattr(JournalWriter, "append", full)
    answer = desk.ask("POST", f"/sessions/{SESSION}/replay", web=desk.sign_in("aud"), data={"purpose": "x"})
    assert (answer.status_code, answer.json()["code"]) == (503, "evidence.failed")
    assert "secret" not in answer.text


def test_a_person_does_not_replay_their_own_agents_sessions(desk: Desk) -> None:
    answer = desk.ask("POST", f"/api/v1/sessions/{SESSION}/replay", web=desk.sign_in("per"), json={"purpose": "x"})
    assert answer.status_code == 403


def test_a_look_shows_so_much_and_says_where_the_next_begins(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "POINTS", 1)
    web, path = desk.sign_in("aud"), f"/api/v1/sessions/{SESSION}/replay"
    first = desk.ask("POST", path, web=web, json={"purpose": "x"}).json()
    assert len(first["points"]) == 1
    assert first["more"] == "+00:01.000000"
    second = desk.ask("POST", path, web=web, json={"purpose": "x", "begin": first["more"]}).json()
    assert [point["number"] for point in second["points"]] == [2]
    assert len(desk.entries("evidence.viewed")) == 2
    assert desk.ask("POST", path, web=web, json={"purpose": "x", "begin": "soon"}).status_code == 422


def test_a_recording_that_is_gone_is_said_to_be(desk: Desk) -> None:
    path = desk.gate.settings.recordings_path
    for file in path.rglob("*.rec"):
        file.unlink()
    answer = desk.ask("POST", f"/api/v1/sessions/{SESSION}/replay", web=desk.sign_in("aud"), json={"purpose": "x"})
    assert answer.status_code == 410


def test_the_whole_book_is_verified_beside_all_else_with_its_findings(desk: Desk) -> None:
    web = desk.sign_in("aud")
    assert desk.ask("GET", "/api/v1/ledger/verification", web=web).json()["progress"] == "never"
    desk.ask("POST", "/api/v1/ledger/verification", web=web)
    deadline = time.monotonic() + 20
    while (told := desk.ask("GET", "/api/v1/ledger/verification", web=web).json())["progress"] == "running":
        assert time.monotonic() < deadline
    assert told["progress"] == "done"
    assert told["by"] == "gatebook:gate|aud"
    assert told["checked"]["journals"] >= 2
    page = desk.ask("GET", "/ledger/verification", web=web, headers=PAGE).text
    assert "hx-get" not in page


def test_a_ledger_that_nobody_has_sealed_is_said_to_be_none(desk: Desk) -> None:
    web = desk.sign_in("aud")
    assert desk.ask("GET", "/api/v1/ledger", web=web).status_code == 409
    assert "cannot be read" in desk.ask("GET", "/ledger", web=web, headers=PAGE).text
    assert "ledger.vkey" in desk.ask("GET", "/search?agent=bot", web=web, headers=PAGE).text


@pytest.mark.parametrize(
    "query", ["event=nothing", "from=soon", "decision=maybe", "object=a.b.c.d.e.f.g.h", "last=0", "agent=" + "x" * 301]
)
def test_a_question_that_is_none_is_the_clients_fault(desk: Desk, query: str) -> None:
    answer = desk.ask("GET", f"/api/v1/search?{query}", web=desk.sign_in("aud"))
    assert answer.status_code in {409, 422}
    assert answer.headers["content-type"] == "application/problem+json"
