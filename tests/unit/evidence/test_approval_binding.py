# SPDX-License-Identifier: Apache-2.0
"""A binding beside an operation: each member another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.evidence import NOW
from support.record import BINDING, IDENTITY, OBJECT, PRIVATE, REQUEST, SALT, WHERE, operation, requested

from gatebook.evidence.approval import ApprovalFault, salted
from gatebook.evidence.approval_binding import Asked, check_digest, check_entered, check_ran, read_asked, read_ran
from gatebook.evidence.approval_people import Moment
from gatebook.model.principal import Subject

AT = Moment(NOW, "gate", 1)
HOLD: dict[str, Any] = BINDING["hold"]
DECISION = {"approval": REQUEST, "result": "allow"}


def asked(**members: Any) -> Asked:  # noqa: ANN401  JSON
    return read_asked(AT, requested(BINDING | members))


def names(request: Asked, private: dict[str, Any] | None = None, **members: object) -> list[str]:
    return [finding.name for finding in check_ran(request, read_ran(AT, operation(**members), REQUEST, private))]


def test_reads_terms_and_askers() -> None:
    one = asked(identity=IDENTITY | {"act": [{"iss": "i", "sub": "middle"}]})
    assert (one.approvers, one.groups, one.covers, one.uses, one.signed) == ((("dba", 2),), ["dba"], "exact", 1, True)
    assert one.askers() == [
        Subject("gatebook:gate", "bot"),
        Subject("gatebook:gate", "robin"),
        Subject("i", "middle"),
    ]
    assert list(check_digest(one)) == []


def test_a_digest_of_something_else_is_found() -> None:
    (finding,) = check_digest(replace(asked(), digest="sha256:" + "0" * 64))
    assert (finding.name, finding.subject) == ("approval_binding", REQUEST)


@pytest.mark.parametrize(
    "hold",
    [
        "none",
        HOLD | {"approvers": []},
        HOLD | {"approvers": [["dba"]]},
        HOLD | {"approvers": [["dba", 0]]},
        HOLD | {"approvers": [["dba", True]]},
        HOLD | {"approvers": [[1, 1]]},
        HOLD | {"uses": 0},
        HOLD | {"uses": True},
        HOLD | {"uses": 1 << 32},
        HOLD | {"signed": 1},
    ],
)
def test_terms_without_form_are_refused(hold: object) -> None:
    with pytest.raises(ApprovalFault, match="form"):
        asked(hold=hold)


@pytest.mark.parametrize("members", [{"expires": "soon"}, {"use_s": "60"}, {"use_s": 0}, {"binding": "x"}])
def test_requests_without_form_are_refused(members: dict[str, Any]) -> None:
    with pytest.raises(ApprovalFault, match="a request has not its form"):
        read_asked(AT, requested() | members)


def test_the_same_has_no_finding() -> None:
    assert names(asked()) == []
    assert names(asked(), PRIVATE) == []


@pytest.mark.parametrize(
    "members",
    [
        {"identity": IDENTITY | {"groups": []}},
        {"where": WHERE | {"gateway": "gate", "account": "root"}},
        {"via": "query"},
        {"decision": DECISION | {"policies": ["changes", "other"]}},
        {"identity": "nobody"},
    ],
)
def test_another_who_where_or_why_is_found(members: dict[str, Any]) -> None:
    assert names(asked(), **members) == ["approval_binding"]


def test_an_operation_by_an_approval_of_a_role_is_found() -> None:
    assert names(asked(kind="role")) == ["approval_binding"]


ACTION = {"verb": "UPDATE", "accesses": [["update", OBJECT]]}


@pytest.mark.parametrize(
    "members",
    [
        {"action": ACTION | {"verb": "DELETE"}},
        {"action": ACTION | {"accesses": [["update", OBJECT], ["select", OBJECT]]}},
        {"action": ACTION | {"accesses": ["update"]}},
        {"action": ACTION | {"accesses": [[["update"], OBJECT]]}},
        {"statement": {"count": 2, "index": 0}},
        {"statement": {"count": 1, "index": 1}},
        {"statement": {"count": 1, "index": "0"}},
    ],
)
def test_another_statement_is_found(members: dict[str, Any]) -> None:
    assert names(asked(), **members) == ["approval_statement"]


def test_a_shape_is_bound_where_shapes_are_covered() -> None:
    one = asked(hold=HOLD | {"covers": "shape"}, shapes=["UPDATE things SET price = $1"])
    assert names(one) == []
    assert names(one, PRIVATE | {"text": "x", "params": []}) == []
    assert names(one, action=ACTION | {"shape": "UPDATE things SET id = $1"}) == ["approval_statement"]
    assert names(replace(one, binding={**one.binding, "shapes": []})) == ["approval_statement"]


def test_text_and_parameters_disclosed_are_bound() -> None:
    assert names(asked(), PRIVATE | {"text": "UPDATE things SET id = $1"}) == ["approval_statement"]
    assert names(asked(), PRIVATE | {"params": []}) == ["approval_parameters"]
    assert names(asked(), {}) == ["approval_statement", "approval_parameters"]
    assert names(asked(), PRIVATE | {"salt": "cd" * 32}) == ["approval_statement", "approval_parameters"]


def test_text_that_is_not_utf8_is_bound_by_its_bytes() -> None:
    one = asked(text=salted(SALT, b"\xff"), params=salted(SALT, b"[]"))
    assert names(one, {"text": {"base64": "/w=="}, "salt": SALT}) == []
    assert names(one, {"text": {"base64": "/"}, "salt": SALT}) == ["approval_statement"]


@pytest.mark.parametrize(
    ("name", "index", "first"),
    [
        ("s.5", 2, "s.3"),
        ("s.x", 2, "s.x"),
        ("s." + "9" * 17, 0, "s." + "9" * 17),
        ("s.5", "2", "s.5"),
        ("s.²", 0, "s.²"),
    ],
)
def test_an_operation_has_the_number_that_its_message_begins_with(name: str, index: object, first: str) -> None:
    leaf = operation(operation=name, statement={"count": 3, "index": index})
    assert read_ran(AT, leaf, REQUEST, None).first == first


def test_a_session_is_bound_by_kind_who_and_target() -> None:
    one = asked(kind="role", where={"target": "shop"})
    leaf = operation(identity=IDENTITY | {"credential": "k", "grant": REQUEST})
    assert list(check_entered(one, read_ran(AT, leaf, REQUEST, None))) == []
    for other in (asked(where={"target": "shop"}), asked(kind="role"), asked(kind="role", identity={})):
        assert {finding.name for finding in check_entered(other, read_ran(AT, leaf, REQUEST, None))} == {
            "approval_binding"
        }
