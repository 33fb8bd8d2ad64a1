# SPDX-License-Identifier: Apache-2.0
"""The shared objects of entries."""

from __future__ import annotations

from dataclasses import replace

from gatebook.evidence import parts
from gatebook.model.principal import Check, Principal, PrincipalKind, Subject

AGENT = Principal(
    kind=PrincipalKind.AGENT,
    subject=Subject("gatebook:gate", "reporter"),
    groups=("b", "a"),
    owner=Subject("gatebook:gate", "alice"),
    chain=(Subject("gatebook:gate", "reporter"),),
    method="api_key",
    credential="0123456789ab",
)


def test_tells_an_agent_with_its_owner_chain_and_role() -> None:
    assert parts.identity_part(AGENT, "reader") == {
        "act": [{"iss": "gatebook:gate", "sub": "reporter"}],
        "agent": {"iss": "gatebook:gate", "sub": "reporter"},
        "credential": "0123456789ab",
        "groups": ["a", "b"],
        "method": "api_key",
        "owner": {"iss": "gatebook:gate", "sub": "alice"},
        "role": "reader",
    }


def test_says_that_nobody_stands_behind() -> None:
    person = replace(AGENT, kind=PrincipalKind.PERSON, owner=None, chain=())
    part = parts.identity_part(person)
    assert part["person"] == {"iss": "gatebook:gate", "sub": "reporter"}
    assert part["delegated_subject"] == "none"
    assert "agent" not in part
    assert "owner" not in part
    assert "role" not in part


def test_tells_the_facts_of_tls_where_it_is_spoken() -> None:
    assert parts.source_part("127.0.0.1", 7, None) == {"ip": "127.0.0.1", "port": 7}
    assert parts.source_part("::1", 7, ("TLSv1.3", "X", "")) == {
        "ip": "::1",
        "port": 7,
        "tls": {"cipher": "X", "version": "TLSv1.3"},
    }
    assert parts.source_part("::1", 7, ("TLSv1.3", "X", "ab"))["tls"] == {
        "cipher": "X",
        "peer": "sha256:ab",
        "version": "TLSv1.3",
    }


def test_tells_where() -> None:
    assert parts.where_part(gateway="g", target="t", database="d", account="a") == {
        "account": "a",
        "database": "d",
        "gateway": "g",
        "target": "t",
    }


def test_keeps_checks_in_order() -> None:
    checks = (Check("form", passed=True), Check("known", passed=False))
    assert parts.checks_part(checks) == [{"name": "form", "passed": True}, {"name": "known", "passed": False}]


def test_cuts_what_is_only_claimed() -> None:
    assert parts.claimed_part("u" * 200, "d") == {"database": "d", "user": "u" * 128}


def test_what_is_no_person_is_nobody() -> None:
    assert parts.read_subject({"iss": "i", "sub": "s"}) == Subject("i", "s")
    assert parts.read_subject("x") == parts.read_subject(None) == Subject("", "")
