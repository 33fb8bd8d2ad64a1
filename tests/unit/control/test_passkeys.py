# SPDX-License-Identifier: Apache-2.0
"""Passkeys: made with leave and entered first, shown to sign in, each thing once."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from support.authenticator import PRESENT, SoftPasskey
from support.control import Desk

from gatebook.store.console import Enrolment


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def leave(desk: Desk, name: str = "ann", code: str = "code") -> str:
    ends = desk.clock.now + timedelta(minutes=15)
    desk.console.add_enrolment(code, Enrolment(desk.subject(name), "root", ends), desk.clock.now)
    return code


def begin(desk: Desk, path: str, **body: str) -> tuple[str, dict[str, Any]]:
    answer = desk.ask("POST", path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["challenge"], answer.json()["options"]


def enrol(desk: Desk, key: SoftPasskey, code: str) -> httpx2.Response:
    name, options = begin(desk, "/enrol/begin", code=code)
    credential = key.register(unb64(options["challenge"]))
    return desk.ask("POST", "/enrol/finish", json={"code": code, "challenge": name, "credential": credential})


def sign_in(desk: Desk, key: SoftPasskey, **client: object) -> httpx2.Response:
    name, options = begin(desk, "/sign-in/passkey/begin")
    credential = key.answer(unb64(options["challenge"]), **client)
    return desk.ask("POST", "/sign-in/passkey/finish", json={"challenge": name, "credential": credential})


def test_a_passkey_is_entered_before_it_is_anybodys_and_then_signs_in(desk: Desk) -> None:
    key = SoftPasskey()
    made = enrol(desk, key, leave(desk))
    assert made.status_code == 200
    (entry,) = desk.entries("person.key.added")
    assert entry["key"] == key.key.text
    assert (entry["person"], entry["by"]) == ({"iss": "gatebook:gate", "sub": "ann"}, "root")
    done = sign_in(desk, key)
    assert done.status_code == 200
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie, "on http://localhost"
    web = done.cookies["gatebook"]
    assert desk.ask("GET", "/api/v1/me", web=web).json()["subject"] == "ann"
    (authn,) = desk.entries("authn")
    assert (authn["result"], authn["identity"]) == ("accepted", authn["identity"])
    assert [one["name"] for one in authn["checks"]] == ["passkey", "signature", "person"]  # type: ignore[union-attr,call-overload,index]  # JSON


def test_a_code_serves_once(desk: Desk) -> None:
    code = leave(desk)
    assert enrol(desk, SoftPasskey(), code).status_code == 200
    assert desk.ask("POST", "/enrol/begin", json={"code": code}).status_code == 404


@pytest.mark.parametrize("minutes", [15, 16])
def test_a_code_that_is_too_old_serves_nobody(desk: Desk, minutes: int) -> None:
    code = leave(desk)
    name, options = begin(desk, "/enrol/begin", code=code)
    desk.clock.move(minutes=minutes)
    credential = SoftPasskey().register(unb64(options["challenge"]))
    told = desk.ask("POST", "/enrol/finish", json={"code": code, "challenge": name, "credential": credential})
    assert told.status_code == 404
    assert desk.store.list_signing_keys() == ()
    assert desk.entries("person.key.added") == []


def test_who_is_disabled_meanwhile_gets_no_passkey(desk: Desk) -> None:
    code = leave(desk)
    desk.store.disable_person(desk.subject("ann"), desk.clock.now)
    assert enrol(desk, SoftPasskey(), code).status_code == 404
    assert desk.entries("person.key.added") == []


@pytest.mark.parametrize(
    "key",
    [
        SoftPasskey(flags=PRESENT),
        SoftPasskey(origin="https://evil.example"),
        SoftPasskey(rp_id="evil.example"),
    ],
    ids=["not verified", "another page", "another site"],
)
def test_a_passkey_that_is_not_made_here_by_a_verified_person_is_refused(desk: Desk, key: SoftPasskey) -> None:
    assert enrol(desk, key, leave(desk)).status_code == 422
    assert desk.store.list_signing_keys() == ()


def test_a_passkey_is_of_one_person(desk: Desk) -> None:
    key = SoftPasskey()
    assert enrol(desk, key, leave(desk)).status_code == 200
    assert enrol(desk, key, leave(desk, "aud", "other")).status_code == 422
    assert len(desk.entries("person.key.added")) == 1


def failed(desk: Desk) -> str:
    return str(desk.entries("authn")[-1]["failed"])


def test_each_sign_in_that_fails_is_entered_with_the_check_and_told_nothing(desk: Desk) -> None:
    key = SoftPasskey(counter=5)
    assert enrol(desk, key, leave(desk)).status_code == 200
    key.counter = 6
    told = [sign_in(desk, SoftPasskey())]
    assert failed(desk) == "passkey"
    told.append(sign_in(desk, key, origin="https://evil.example"))
    assert failed(desk) == "signature"
    key.counter = 5
    told.append(sign_in(desk, key))
    assert failed(desk) == "signature", "a copy of the authenticator"
    key.counter = 7
    desk.store.disable_person(desk.subject("ann"), desk.clock.now)
    told.append(sign_in(desk, key))
    assert failed(desk) == "person"
    assert {(one.status_code, one.text) for one in told} == {(403, told[0].text)}


def test_a_challenge_serves_once(desk: Desk) -> None:
    key = SoftPasskey()
    enrol(desk, key, leave(desk))
    name, options = begin(desk, "/sign-in/passkey/begin")
    body = {"challenge": name, "credential": key.answer(unb64(options["challenge"]))}
    assert desk.ask("POST", "/sign-in/passkey/finish", json=body).status_code == 200
    assert desk.ask("POST", "/sign-in/passkey/finish", json=body).status_code == 403
    assert failed(desk) == "challenge"


def test_a_key_that_was_removed_signs_nobody_in(desk: Desk) -> None:
    key = SoftPasskey()
    enrol(desk, key, leave(desk))
    assert desk.gate.run("person", "key", "list", "--json").json[0]["fingerprint"] == key.key.fingerprint
    assert desk.gate.run("person", "key", "remove", key.key.fingerprint).status == 0
    assert sign_in(desk, key).status_code == 403
