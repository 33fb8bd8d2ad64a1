# SPDX-License-Identifier: Apache-2.0
"""Requests as people and programs see them: what would run first, what its asker says last, nothing that acts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from support.asked import ANA, NOW, PRINCIPAL, REQUEST, vote

from gatebook.cli.approval_show import object_of, print_request, rows_of, shown_of
from gatebook.model.approval import Kind, Request, State


def printed(request: Request, capsys: pytest.CaptureFixture[str]) -> str:
    print_request(request)
    return capsys.readouterr().out


def showing(**shown: object) -> Request:
    return replace(REQUEST, shown=json.dumps(json.loads(REQUEST.shown) | shown))


def test_programs_get_names_and_times_and_the_whole_if_they_ask() -> None:
    found = object_of(replace(REQUEST, votes=(vote(),), reason="please"))
    assert found == {
        "request": "apr_1",
        "kind": "operation",
        "state": "pending",
        "who": {"iss": "gatebook:gate", "sub": "bot"},
        "target": "shop",
        "database": "db",
        "role": "writer",
        "approvers": [["dba", 1]],
        "digest": "sha256:" + "1" * 64,
        "made": "2026-11-25T12:00:00.000001Z",
        "expires": "2026-11-25T12:05:00.000001Z",
        "session": "s_1",
        "reason": "please",
        "why": "",
        "votes": [
            {
                "person": {"iss": "gatebook:gate", "sub": "ana"},
                "choice": "approve",
                "time": "2026-11-25T12:00:00.000001Z",
                "method": "ssh",
                "channel": "",
                "reason": "my words",
            }
        ],
    }
    whole = object_of(REQUEST, whole=True)
    assert whole["binding"] == {"v": 1}
    assert whole["shown"] == shown_of(REQUEST)


def test_a_line_of_a_table_says_what_who_and_until_when() -> None:
    (row,) = rows_of([replace(REQUEST, votes=(vote(),))])
    assert row[:6] == ("apr_1", "pending", "bot", "UPDATE things SET price = $1", "shop/db", "1 of dba")
    assert row[7] == "ana approve"
    long = showing(text="UPDATE   things\n SET " + "x" * 100)
    assert rows_of([long])[0][3] == "UPDATE things SET " + "x" * 39 + "..."
    role = replace(REQUEST, kind=Kind.ROLE, database="", role="repair")
    assert rows_of([role])[0][3:5] == ("role repair", "shop")


def test_the_operation_stands_first_with_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    out = printed(REQUEST, capsys)
    assert out.startswith("UPDATE things SET price = $1\n  $1 = 7\n  $2 = NULL\n")
    for words in ("gatebook:gate|bot", "gatebook:gate|robin", "shop/db as writer", "exact, 1 use", "sha256:111111"):
        assert words in out
    assert "changes" in out
    assert "updates are looked at" in out
    assert "Relation:shop.db.public.things" in out


def test_what_is_not_text_is_told_and_prepared_statements_too(capsys: pytest.CaptureFixture[str]) -> None:
    request = showing(
        text={"base64": "/w=="},
        params=[{"base64": "AA=="}],
        prepared=[["a", "DELETE FROM things"]],
        preview={"plan": ["Update on things"], "none": "too many were asked for at once"},
        policies=[],
        accesses=[],
    )
    out = printed(request, capsys)
    assert out.startswith('{"base64": "/w=="}\n  $1 = {"base64": "AA=="}\n  prepared a: DELETE FROM things\n')
    assert "Update on things" in out
    assert "no preview: too many were asked for at once" in out
    assert "held by policy" not in out
    assert "action" not in out


def test_au_11_nothing_that_a_client_says_acts_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    bad = "\x1b[2J\x07"
    request = replace(
        showing(text=bad, params=[{"text": bad}], prepared=[[bad, bad]], preview={"plan": [bad]}),
        reason=bad,
        database=bad,
        principal=replace(PRINCIPAL, subject=replace(ANA, subject=bad)),
    )
    out = printed(request, capsys)
    assert "\x1b" not in out
    assert "\x07" not in out


def test_votes_ends_and_words_of_who_asks_stand_last(capsys: pytest.CaptureFixture[str]) -> None:
    principal = replace(PRINCIPAL, owner=None, chain=(PRINCIPAL.subject, ANA))
    request = replace(
        REQUEST,
        votes=(vote(),),
        state=State.DENIED,
        why="too much",
        reason="please",
        principal=principal,
        hold=replace(REQUEST.hold, uses=3),
    )
    out = printed(request, capsys)
    assert "apr_1, denied: too much" in out
    assert "nobody" in out
    assert "exact, 3 uses" in out
    assert "gatebook:gate|ana" in out
    assert "my words" in out
    assert out.endswith("\nwho asks says (nobody has checked it): please\n")


def test_a_role_says_for_how_long(capsys: pytest.CaptureFixture[str]) -> None:
    role = replace(showing(verbs=[]), kind=Kind.ROLE, minutes=30, use_by=NOW + timedelta(minutes=30))
    out = printed(role, capsys)
    assert "role for 30 minutes" in out
    assert not out.startswith("UPDATE")
