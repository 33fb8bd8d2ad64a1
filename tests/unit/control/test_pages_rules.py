# SPDX-License-Identifier: Apache-2.0
"""Targets, people, keys and policies as each may see them."""

from __future__ import annotations

from support.control import Desk, give_passkey

PAGE = {"accept": "text/html"}


def test_keys_are_listed_to_whose_they_are_and_never_the_key_itself(desk: Desk) -> None:
    for web, count in (("alice", 1), ("aud", 1), ("per", 0)):
        told = desk.ask("GET", "/api/v1/keys", web=desk.sign_in(web))
        assert len(told.json()) == count, web
        assert desk.bearer[4:20] not in told.text
    (own,) = desk.ask("GET", "/api/v1/keys", bearer=desk.bearer).json()
    assert (own["agent"], own["owner"], own["state"]) == ("bot", "alice", "good")


def test_people_are_listed_with_groups_and_public_keys(desk: Desk) -> None:
    key = give_passkey(desk, "ann")
    people = desk.ask("GET", "/api/v1/people", web=desk.sign_in("aud")).json()
    (ann,) = [one for one in people if one["subject"] == "ann"]
    assert ann["groups"] == ["dba"]
    assert ann["keys"] == [{"kind": "webauthn", "fingerprint": key.key.fingerprint}]


def test_an_agent_sees_the_targets_with_a_role_for_it_and_no_address(desk: Desk) -> None:
    (target,) = desk.ask("GET", "/api/v1/targets", bearer=desk.bearer).json()
    assert target["name"] == "shop"
    assert "host" not in target
    assert "127.0.0.1" not in desk.ask("GET", "/targets", web=desk.sign_in("per"), headers=PAGE).text
    assert "127.0.0.1" in desk.ask("GET", "/targets", web=desk.sign_in("aud"), headers=PAGE).text


def test_policies_are_shown_with_file_and_line_as_they_are_now(desk: Desk) -> None:
    web = desk.sign_in("aud")
    told = desk.ask("GET", "/api/v1/policies", web=web).json()
    assert [one["file"] for one in told["policies"]] == ["example.cedar"] * len(told["policies"])
    assert told["policies"][0]["line"] > 0
    (desk.gate.folder / "policies/example.cedar").write_text("permit (principal, action, resource")
    told = desk.ask("GET", "/api/v1/policies", web=web).json()
    assert told["policies"] == []
    assert "example.cedar:1" in told["problems"][0]
    assert "They do not load" in desk.ask("GET", "/policies", web=web, headers=PAGE).text


def test_what_cannot_be_explained_says_why_and_runs_nothing(desk: Desk) -> None:
    web = desk.sign_in("aud")
    wish = {"sql": "SELECT 1", "agent": "bot", "target": "nothing", "groups": ["shop-agents"]}
    answer = desk.ask("POST", "/api/v1/policies/explain", web=web, json=wish)
    assert (answer.status_code, answer.json()["code"]) == (422, "explain")
    assert "nothing" in answer.json()["detail"]
    odd = wish | {"agent": "--config=/etc/passwd", "target": "-"}
    assert desk.ask("POST", "/api/v1/policies/explain", web=web, json=odd).status_code == 422
    form = {"sql": "SELECT 1", "agent": "bot", "target": "nothing", "groups": "a, b"}
    page = desk.ask("POST", "/policies/explain", web=web, data=form, headers=PAGE)
    assert page.status_code == 200
    assert 'role="alert"' in page.text
