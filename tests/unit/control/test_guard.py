# SPDX-License-Identifier: Apache-2.0
"""What stands before every route: bodies, sites, tokens of forms, credentials and rates."""

from __future__ import annotations

import pytest
from support.control import CONTROL, Desk
from support.control import desk as made_desk
from support.installation import Installation

from gatebook.control import guard
from gatebook.control.guard import form_of
from gatebook.control.problems import Problem


def code(answer: object) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]  # type: ignore[attr-defined]  # httpx2's


def test_a_form_needs_the_token_of_its_web_session(desk: Desk) -> None:
    web, other = desk.sign_in("per"), desk.sign_in("aud")
    assert code(desk.ask("POST", "/sign-out", web=web, csrf=False)) == (403, "csrf")
    foreign = {"x-csrf-token": guard_token(other)}
    assert code(desk.ask("POST", "/sign-out", web=web, csrf=False, headers=foreign)) == (403, "csrf")
    done = desk.ask("POST", "/sign-out", web=web, csrf=False, data={"csrf": guard_token(web)})
    assert done.status_code == 303
    assert desk.console.find_session(web) is None


def guard_token(web: str) -> str:
    from gatebook.control.doorkeeper import csrf_of

    return csrf_of(web)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_what_another_sites_page_sends_is_refused_whatever_cookies_came_with_it(
    desk: Desk, headers: dict[str, str]
) -> None:
    web = desk.sign_in("per")
    assert code(desk.ask("POST", "/sign-out", web=web, headers=headers)) == (403, "site")
    assert code(desk.ask("POST", "/sign-in/passkey/begin", headers=headers, json={})) == (403, "site")
    assert desk.console.find_session(web) is not None


def test_a_bearer_credential_is_judged_alone_and_needs_no_form(desk: Desk) -> None:
    web = desk.sign_in("aud")
    assert desk.ask("GET", "/api/v1/me", web=web, bearer=desk.bearer).json()["subject"] == "bot"
    assert code(desk.ask("GET", "/api/v1/me", web=web, bearer="gbk_wrong")) == (401, "credential")
    assert code(desk.ask("GET", "/api/v1/me", headers={"authorization": "Basic YTpi"})) == (401, "credential")


def test_a_body_beyond_its_bound_is_refused(desk: Desk) -> None:
    answer = desk.ask("POST", "/sign-in/passkey/finish", content=b"x" * (guard.MAX_BODY_BYTES + 1))
    assert code(answer) == (413, "body")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b'{"challenge": 7}', b"\xff", b"[" * 100_000])
def test_a_body_that_is_none_is_the_clients_fault(desk: Desk, body: bytes) -> None:
    answer = desk.ask("POST", "/sign-in/passkey/finish", content=body)
    assert answer.status_code == 422


def test_forms_are_bounded() -> None:
    assert form_of(b"a=1&a=2&b=") == {"a": "2", "b": ""}
    with pytest.raises(Problem):
        form_of(b"&".join(b"%d=1" % one for one in range(100)))


def test_who_asks_too_often_waits_and_nobody_else_does(gate: Installation) -> None:
    with made_desk(gate, CONTROL + "requests_per_minute = 10\n") as desk:
        web, other = desk.sign_in("per"), desk.sign_in("aud")
        answers = [desk.ask("GET", "/api/v1/me", web=web) for _ in range(11)]
        assert [answer.status_code for answer in answers] == [200] * 10 + [429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert desk.ask("GET", "/api/v1/me", web=other).status_code == 200


def test_credentials_that_fail_are_counted_by_address(gate: Installation) -> None:
    with made_desk(gate, CONTROL + "sign_ins_per_minute = 3\n") as desk:
        found = [desk.ask("GET", "/api/v1/me", bearer="gbk_wrong").status_code for _ in range(5)]
        assert found == [401, 401, 401, 429, 429]
        assert desk.ask("GET", "/api/v1/me", web=desk.sign_in("per")).status_code == 200


def test_an_address_that_asks_too_often_waits(gate: Installation) -> None:
    with made_desk(gate, CONTROL + "address_requests_per_minute = 10\n") as desk:
        assert [desk.ask("GET", "/healthz").status_code for _ in range(11)] == [200] * 10 + [429]
