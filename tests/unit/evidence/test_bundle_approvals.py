# SPDX-License-Identifier: Apache-2.0
"""Which entries of approvals and people belong to sessions, and to requests that were asked for."""

from __future__ import annotations

from support.record import BINDING, IDENTITY, REQUEST, SESSION, entry, operation, person, requested, voted, who, whole

from gatebook.evidence.approvals import AT_BIND
from gatebook.evidence.bundle_approvals import ApprovalPart, request_of
from gatebook.evidence.entry import Leaf


def learned(*, is_asked: bool = False) -> ApprovalPart:
    part = ApprovalPart()
    for leaf in whole().values():
        part.learn(leaf, is_asked=is_asked)
    return part


def test_all_of_a_request_that_a_session_names_and_its_people_belong_to_it() -> None:
    wanted = learned().select({SESSION})
    leaves = whole()
    assert [name for name, leaf in leaves.items() if not wanted.wants(leaf)] == [
        "person 4",
        "person 5",  # cy did not vote
        "held",
        "intent",  # of the session itself
    ]
    preview = entry("approval.preview", 1, "gate", request=REQUEST, operation="s_1.3", action="preview")
    assert wanted.wants(preview)


def test_nothing_belongs_to_another_session() -> None:
    wanted = learned().select({"s_2"})
    assert not any(wanted.wants(leaf) for leaf in whole().values())


def test_a_request_asked_for_belongs_to_nobody() -> None:
    assert learned(is_asked=True).select(set()).wants(requested())
    assert not learned().select(set()).wants(requested())


def test_actors_between_and_keys_of_agents_belong_to_it() -> None:
    part = ApprovalPart()
    identity = IDENTITY | {"act": [who("middle")]}
    part.learn(requested(BINDING | {"identity": identity}), is_asked=True)
    wanted = part.select(set())
    for name in ("bot", "middle"):
        key = entry("key.created", 1, key="k", agent=who(name), owner=who("robin"), by="", expires="")
        assert wanted.wants(key)
    assert all(wanted.wants(leaf) for leaf in person("robin"))
    assert not any(wanted.wants(leaf) for leaf in person("ana"))


def test_odd_members_select_nobody() -> None:
    part = ApprovalPart()
    for leaf in (voted("ana", 1) | {"vote": "x"}, requested("x"), requested(BINDING | {"identity": {"act": "x"}})):  # type: ignore[arg-type]  # on purpose
        part.learn(leaf, is_asked=True)
    assert not any(part.select(set()).wants(leaf) for leaf in person("ana"))


def test_names_say_which_request() -> None:
    part = learned()
    assert part.names(SESSION, REQUEST)
    assert not part.names(SESSION, "apr_2")
    assert not part.names("s_2", REQUEST)


def test_a_request_is_named_by_operations_sessions_and_itself() -> None:
    start: Leaf = {"event": "session.start", "identity": {"grant": "apr_5"}}
    assert [request_of(leaf) for leaf in (requested(), operation(), start)] == [REQUEST, REQUEST, "apr_5"]
    for decision in ({}, {"approval": AT_BIND}, {"approval": 1}, "x"):
        assert request_of(operation(decision=decision)) == ""
    assert request_of({"event": "session.end", "identity": {"grant": "apr_5"}}) == ""
