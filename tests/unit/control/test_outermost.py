# SPDX-License-Identifier: Apache-2.0
"""What every answer has, and the address that is ours alone."""

from __future__ import annotations

import re

import pytest
from support.control import Desk
from support.control import desk as made_desk
from support.installation import Installation

from gatebook.control import pages_book
from gatebook.control.outermost import HEADERS
from gatebook.control.rendering import templates


@pytest.mark.parametrize("path", ["/sign-in", "/api/v1/me", "/nothing", "/static/x/y", "/api/openapi.json"])
def test_every_answer_tells_browsers_what_not_to_do(desk: Desk, path: str) -> None:
    headers = desk.ask("GET", path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "strict-transport-security" not in headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]


def test_behind_tls_browsers_come_back_by_tls_and_cookies_are_of_this_host_alone(gate: Installation) -> None:
    control = '\n[control]\nurl = "https://console.example"\ninsecure_behind_proxy = true\n'
    with made_desk(gate, control) as desk:
        answer = desk.ask("GET", "/sign-in", headers={"host": "console.example"})
        assert answer.headers["strict-transport-security"].startswith("max-age=31536000")


@pytest.mark.parametrize("host", ["evil.example", "localhost", "localhost:5481", "127.0.0.1:5480", ""])
def test_another_name_that_leads_here_is_refused(desk: Desk, host: str) -> None:
    assert desk.ask("GET", "/sign-in", headers={"host": host}).status_code == 421


def test_no_template_has_a_script_or_style_inside() -> None:
    made = templates()
    for name in made.list_templates():
        source = made.loader.get_source(made, name)[0] if made.loader is not None else ""
        assert re.findall(r"<style|style=|javascript:|\son[a-z]+=|hx-on|hx-vals=.js", source) == [], name
        assert [one for one in re.findall(r"<script[^>]*>", source) if " src=" not in one] == [], name
        assert "|safe" not in source, name


def test_a_fault_of_ours_ends_the_request_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*words: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(pages_book, "owner_filter", broken)
    answer = desk.ask("GET", "/sessions", web=desk.sign_in("aud"))
    assert answer.status_code == 500
    assert answer.json()["code"] == "bug"
    assert "ZeroDivision" not in answer.text
    assert answer.headers["content-security-policy"] == HEADERS["content-security-policy"]
    assert desk.ask("GET", "/targets", web=desk.sign_in("aud")).status_code == 200
