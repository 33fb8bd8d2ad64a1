# SPDX-License-Identifier: Apache-2.0
"""Requests as objects for programs, and what people are shown of one."""

from __future__ import annotations

from dataclasses import replace

from support.asked import HOLD, REQUEST, vote

from gatebook.model.approval import Requirement
from gatebook.views.approvals import approvers_of, object_of, shown_of, words_of


def test_a_request_is_told_with_its_votes() -> None:
    told = object_of(replace(REQUEST, votes=(vote(),), reason="INC-1"))
    assert (told["request"], told["kind"], told["state"]) == ("apr_1", "operation", "pending")
    assert told["who"] == {"iss": "gatebook:gate", "sub": "bot"}
    assert told["approvers"] == [["dba", 1]]
    assert told["expires"] == "2026-11-25T12:05:00.000001Z"
    assert told["votes"] == [
        {
            "person": {"iss": "gatebook:gate", "sub": "ana"},
            "choice": "approve",
            "time": "2026-11-25T12:00:00.000001Z",
            "method": "ssh",
            "channel": "",
            "reason": "my words",
        }
    ]
    assert "shown" not in told


def test_all_that_people_are_shown_is_told_where_it_is_asked_for() -> None:
    told = object_of(REQUEST, whole=True)
    assert told["binding"] == {"v": 1}
    assert told["shown"] == shown_of(REQUEST)
    assert shown_of(REQUEST)["verbs"] == ["UPDATE"]


def test_approvers_and_parameters_are_words() -> None:
    both = replace(REQUEST, hold=replace(HOLD, requirements=(Requirement("dba", 2), Requirement("ops", 1))))
    assert approvers_of(both) == "2 of dba and 1 of ops"
    assert [words_of(value) for value in ("a", {"null": True}, {"text": "7"}, {"base64": "AA=="})] == [
        "a",
        "NULL",
        "7",
        '{"base64": "AA=="}',
    ]
