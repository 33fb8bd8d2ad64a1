# SPDX-License-Identifier: Apache-2.0
"""Requests know whether they are open and when they end."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from support.asked import REQUEST

from gatebook.model.approval import OPEN, Hold, State


def test_a_request_is_open_until_it_is_over() -> None:
    assert [state.value for state in State if replace(REQUEST, state=state).is_open] == ["pending", "granted"]
    assert {"pending", "granted"} == OPEN


def test_a_request_ends_when_people_have_not_decided_or_when_it_was_not_used() -> None:
    assert REQUEST.ends_at() == datetime(2026, 11, 25, 12, 5, 0, 1, tzinfo=UTC)
    late = datetime(2026, 11, 25, 13, tzinfo=UTC)
    assert replace(REQUEST, use_by=late).ends_at() == late


def test_terms_are_the_strictest_by_doing_nothing() -> None:
    hold = Hold(())
    assert (hold.mode.value, hold.cover.value, hold.uses, hold.signed, hold.unseen) == ("wait", "exact", 1, True, False)
