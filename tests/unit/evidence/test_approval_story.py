# SPDX-License-Identifier: Apache-2.0
"""What people are told of approvals."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.evidence import NOW
from support.record import BINDING, IDENTITY, KEYS, REQUEST, SESSION, ended, entry, granted, requested, used, voted

from gatebook.evidence.approval_story import ToldApproval, tell_approval
from gatebook.evidence.entry import EntryFault, Leaf
from gatebook.model.approval import Choice


def tell(*leaves: Leaf) -> ToldApproval:
    told: dict[str, ToldApproval] = {}
    for index, leaf in enumerate(leaves):
        tell_approval(told, index, leaf)
    (one,) = told.values()
    return one


def test_says_who_asked_what_of_whom_and_until_when() -> None:
    one = tell(granted(22, 82), requested())
    assert (one.id, one.index, one.asker, one.needs, one.what) == (
        REQUEST,
        1,
        "bot, owned by robin",
        "2 of dba",
        "UPDATE",
    )
    assert (one.asked_at, one.expires_at) == (NOW + timedelta(seconds=10), NOW + timedelta(seconds=300))
    assert one.until == NOW + timedelta(seconds=82)


def test_says_who_voted_how_and_why() -> None:
    one = tell(voted("ana", 20), voted("bo", 21, choice=Choice.DENY))
    assert one.consenting == ["ana"]
    first, second = one.votes
    assert (first.person, first.choice, first.how, first.at) == (
        "ana",
        "approve",
        "passkey",
        NOW + timedelta(seconds=20),
    )
    assert first.key == KEYS["ana"].passkey.fingerprint
    assert (second.choice, second.reason) == ("deny", "")
    odd = voted("ana", 20) | {"method": "by hand"}
    assert tell(odd).votes[0].how == "by hand"


def test_says_what_came_of_it() -> None:
    one = tell(used(), ended(40) | {"reason": "enough"})
    assert one.uses == [(f"{SESSION}.3", NOW + timedelta(seconds=30))]
    assert one.end == "withdrawn: enough"
    assert tell(ended(40)).end == "withdrawn"


def test_says_which_role_and_that_glass_was_broken() -> None:
    role = BINDING | {"kind": "role", "minutes": 5, "identity": IDENTITY | {"role": "fix"}}
    assert tell(requested(role)).what == "role fix for 5 min"
    assert tell(requested(role | {"kind": "break_glass"})).what == "broken glass, role fix for 5 min"


def test_passes_over_what_tells_nothing() -> None:
    told: dict[str, ToldApproval] = {}
    preview = entry("approval.preview", 1, "gate", request=REQUEST, operation="s.1", action="preview")
    tell_approval(told, 1, preview)
    assert told == {}
    assert tell(requested(BINDING | {"identity": "x", "hold": {"approvers": ["x"]}, "verbs": 1})).needs == ""
    assert tell(requested(BINDING | {"hold": "x"})).needs == ""


def test_a_time_in_another_form_is_refused() -> None:
    with pytest.raises(EntryFault):
        tell(requested(expires="soon"))
