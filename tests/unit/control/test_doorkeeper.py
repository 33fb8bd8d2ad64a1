# SPDX-License-Identifier: Apache-2.0
"""Web sessions: they end by both clocks and with their person, and what somebody is is looked up each time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.control import Desk

from gatebook.model.principal import Subject
from gatebook.store.console import WebSession


def is_in(desk: Desk, web: str) -> bool:
    return desk.ask("GET", "/api/v1/me", web=web).status_code == 200


def test_a_web_session_ends_after_its_time_however_busy(desk: Desk) -> None:
    web = desk.sign_in("per")
    for _ in range(23):
        desk.clock.move(minutes=31)
        assert is_in(desk, web)
    desk.clock.move(minutes=10)
    assert not is_in(desk, web)
    assert desk.console.find_session(web) is None


def test_a_web_session_ends_when_nobody_uses_it(desk: Desk) -> None:
    web = desk.sign_in("per")
    desk.clock.move(minutes=59)
    assert is_in(desk, web)
    desk.clock.move(minutes=61)
    assert not is_in(desk, web)


def test_a_clock_that_goes_back_lengthens_nothing(desk: Desk) -> None:
    web = desk.sign_in("per")
    desk.clock.move(hours=-1)
    assert not is_in(desk, web)


def test_who_is_disabled_is_signed_out_at_once(desk: Desk) -> None:
    web = desk.sign_in("ann")
    assert is_in(desk, web)
    desk.store.disable_person(desk.subject("ann"), desk.clock.now)
    assert not is_in(desk, web)


def test_who_is_put_into_a_group_is_what_the_group_is_from_the_next_request(desk: Desk) -> None:
    web = desk.sign_in("per")
    assert desk.ask("GET", "/search", web=web).status_code == 403
    desk.store.set_groups(desk.subject("per"), ["auditors"], desk.clock.now)
    assert desk.ask("GET", "/search", web=web).status_code == 200
    desk.store.set_groups(desk.subject("per"), [], desk.clock.now)
    assert desk.ask("GET", "/search", web=web).status_code == 403


def test_a_person_of_a_provider_has_the_groups_of_their_token(desk: Desk) -> None:
    at = desk.clock.now
    person = Subject("https://idp.example", "ann")
    session = WebSession(person, ("auditors",), "oidc", "abc", at, at, at + timedelta(hours=1))
    desk.console.add_session("of-idp", session)
    told = desk.ask("GET", "/api/v1/me", web="of-idp").json()
    assert (told["issuer"], told["groups"]) == ("https://idp.example", ["auditors"])
    assert told["is"] == ["anybody", "auditor", "person"]


def test_somebody_of_this_gate_who_is_not_known_any_more_is_nobody(desk: Desk) -> None:
    at = desk.clock.now
    session = WebSession(desk.subject("gone"), (), "passkey", "x", at, at, at + timedelta(hours=1))
    desk.console.add_session("gone", session)
    assert not is_in(desk, "gone")


@pytest.mark.parametrize("secret", ["", "x" * 65, "secret-of-nobody", "a=b"])
def test_a_cookie_that_is_none_is_nobodys(desk: Desk, secret: str) -> None:
    assert desk.ask("GET", "/api/v1/me", headers={"cookie": f"gatebook={secret}"}).status_code == 401


def test_an_agents_key_that_is_revoked_opens_nothing(desk: Desk) -> None:
    assert desk.ask("GET", "/api/v1/me", bearer=desk.bearer).json()["is"] == ["agent", "anybody"]
    key = desk.store.list_keys()[0]
    desk.store.revoke_key(key.id, desk.clock.now)
    assert desk.ask("GET", "/api/v1/me", bearer=desk.bearer).status_code == 401
