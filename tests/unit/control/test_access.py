# SPDX-License-Identifier: Apache-2.0
"""Each route as each kind of caller, and a console that does not start with a route that nobody thought about."""

from __future__ import annotations

import pytest
from support.control import Desk

from gatebook.control import api_approvals
from gatebook.control.access import ACCESS, Who, check_routes
from gatebook.model.errors import Bug

SOMEBODY = {"person": "per", "approver": "ann", "auditor": "aud", "admin": "adm"}
IS = {
    "nobody": {Who.ANYBODY},
    "agent": {Who.ANYBODY, Who.AGENT},
    "person": {Who.ANYBODY, Who.PERSON},
    "approver": {Who.ANYBODY, Who.PERSON, Who.APPROVER},
    "auditor": {Who.ANYBODY, Who.PERSON, Who.APPROVER, Who.AUDITOR},
    "admin": {Who.ANYBODY, Who.PERSON, Who.APPROVER, Who.ADMIN},
}
REFUSED = {401, 403}


@pytest.mark.parametrize("who", IS)
def test_each_route_lets_in_who_stands_in_its_row_and_nobody_else(
    desk: Desk, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_approvals, "STREAM_S", 0.0)
    wrong = []
    for route, access in ACCESS.items():
        method, path = route.split(" ")
        path = path.replace("{path:path}", "x").replace("{session}", "s_1").replace("{request_id}", "r_1")
        # each time anew: signing out is among the routes
        web = desk.sign_in(SOMEBODY[who]) if who in SOMEBODY else ""
        bearer = desk.bearer if who == "agent" else ""
        body: dict[str, str] | None = {} if method == "POST" else None
        answer = desk.ask(method, path.replace("{provider}", "idp"), web=web, bearer=bearer, json=body)
        told = answer.json().get("code") if "problem" in answer.headers.get("content-type", "") else ""
        is_let_in = not (answer.status_code in REFUSED and told in {"sign_in", "access"})
        is_page = not path.startswith("/api/") and Who.ANYBODY not in access
        may = not access.isdisjoint(IS[who]) and not (who == "agent" and is_page)
        if is_let_in != may or answer.status_code >= 500:
            wrong.append(f"{route}: {answer.status_code} {answer.text[:200]}")
        desk.clock.move(seconds=1)
    assert wrong == []


def test_ap_06_an_agent_neither_votes_nor_opens_a_page_whatever_the_request(desk: Desk) -> None:
    """AP-06: not with its key, not with its key and somebody's cookie."""
    web = desk.sign_in("ann")
    for route in ACCESS:
        method, path = route.split(" ")
        if "approvals" not in path or method == "GET":
            continue
        if not path.endswith("/cancel") or not path.startswith("/api/"):
            answer = desk.ask(method, path.replace("{request_id}", "r"), web=web, bearer=desk.bearer, json={})
            assert answer.status_code == 403, route


def test_ap_06_no_row_lets_an_agent_vote() -> None:
    votes = [access for route, access in ACCESS.items() if "/vote" in route or "/withdraw" in route]
    assert len(votes) == 6
    assert all(access == {Who.APPROVER} for access in votes)


def test_a_route_without_a_row_or_a_row_without_a_route_keeps_the_console_from_starting() -> None:
    check_routes(ACCESS)
    with pytest.raises(Bug, match="GET /more"):
        check_routes([*ACCESS, "GET /more"])
    with pytest.raises(Bug, match="rows without a route"):
        check_routes(list(ACCESS)[1:])
    with pytest.raises(Bug, match="twice"):
        check_routes([*ACCESS, next(iter(ACCESS))])
