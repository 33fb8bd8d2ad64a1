# SPDX-License-Identifier: Apache-2.0
"""Entries about approvals, member by member."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from support.asked import ANA, BO, DIGEST, NOW, REQUEST, SHOWN, vote

from gatebook.evidence import approval_entries
from gatebook.evidence.approval import ballot_for
from gatebook.evidence.builders import Stamp
from gatebook.evidence.entry import EntryFault, Leaf, decode_leaf
from gatebook.model.approval import Choice, State

STAMP = Stamp("gate", NOW)


def told(leaf: bytes) -> Leaf:
    """The members of a leaf beside those that every entry has."""
    found = decode_leaf(leaf)
    return {name: value for name, value in found.items() if name not in {"v", "time", "writer", "schema"}}


def test_a_request_tells_its_digest_and_binding_and_who_waits() -> None:
    found = told(approval_entries.requested(STAMP, REQUEST, policy_hash="sha256:p"))
    assert found == {
        "event": "approval.requested",
        "request": "apr_1",
        "digest": DIGEST,
        "binding": {"v": 1},
        "shown": SHOWN,
        "expires": "2026-11-25T12:05:00.000001Z",
        "use_s": 60,
        "policy_hash": "sha256:p",
        "session": "s_1",
        "operation": "s_1.3",
    }


def test_a_request_on_which_nobody_waits_names_no_session_and_tells_its_reason_cut() -> None:
    request = replace(REQUEST, session="", operation=0, reason="x" * 5000)
    found = told(approval_entries.requested(STAMP, request, policy_hash="sha256:p"))
    assert {"session", "operation"}.isdisjoint(found)
    assert set(str(found["reason"])) == {"x"}
    assert len(str(found["reason"])) < 5000


def test_a_binding_that_fits_into_no_entry_is_a_fault() -> None:
    with pytest.raises(EntryFault):
        approval_entries.requested(STAMP, replace(REQUEST, binding='{"a":"' + "x" * 70_000 + '"}'), policy_hash="")


def test_a_vote_tells_what_was_signed_and_by_which_key() -> None:
    ballot = ballot_for(REQUEST, "gate", choice=Choice.APPROVE, person=ANA, at=NOW)
    cast = replace(vote(), signature=b"\x00\x01", channel="cli")
    assert told(approval_entries.voted(STAMP, ballot, cast)) == {
        "event": "approval.voted",
        "request": "apr_1",
        "vote": ballot.to_value(),
        "method": "ssh",
        "channel": "cli",
        "key": "SHA256:k",
        "signature": "AAE=",
    }
    unsigned = replace(vote(method="session"), channel="console")
    assert {"key", "signature"}.isdisjoint(told(approval_entries.voted(STAMP, ballot, unsigned)))


def test_a_grant_tells_until_when() -> None:
    granted = replace(REQUEST, state=State.GRANTED, use_by=NOW + timedelta(seconds=60))
    assert told(approval_entries.granted(STAMP, granted)) == {
        "event": "approval.granted",
        "request": "apr_1",
        "until": "2026-11-25T12:01:00.000001Z",
    }


def test_a_use_tells_who_was_counted() -> None:
    used = replace(REQUEST, state=State.USED, used=1)
    leaf = approval_entries.used(STAMP, used, operation="s_1.3", policy_hash="sha256:p", voters=[ANA, BO])
    assert told(leaf) == {
        "event": "approval.used",
        "request": "apr_1",
        "operation": "s_1.3",
        "digest": DIGEST,
        "uses": 1,
        "policy_hash": "sha256:p",
        "voters": [{"iss": "gatebook:gate", "sub": "ana"}, {"iss": "gatebook:gate", "sub": "bo"}],
    }


def test_an_end_tells_which_and_why() -> None:
    denied = replace(REQUEST, state=State.DENIED, why="no")
    assert told(approval_entries.ended(STAMP, denied)) == {
        "event": "approval.ended",
        "request": "apr_1",
        "result": "denied",
        "reason": "no",
    }
    assert "reason" not in told(approval_entries.ended(STAMP, replace(denied, why="")))
