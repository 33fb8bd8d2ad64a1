# SPDX-License-Identifier: Apache-2.0
"""Attempts to log in, at a glance."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gatebook.evidence.entry import EntryFault, Leaf
from gatebook.evidence.logins import summarise_login

AT = "2026-11-25T10:00:00.000000Z"
MOMENT = datetime(2026, 11, 25, 10, tzinfo=UTC)


def attempt(**more: object) -> Leaf:
    usual: dict[str, object] = {
        "event": "authn",
        "time": AT,
        "source": {"ip": "192.0.2.1"},
        "claimed": {"user": "bot", "database": "shop"},
        "credential": "5db1b2b537fd",
    }
    return {**usual, **more}  # type: ignore[dict-item]  # a leaf's values


def test_an_accepted_login_names_its_session() -> None:
    told = summarise_login(attempt(result="accepted", admitted="s_1"))
    assert (told.at, told.source, told.user, told.target) == (MOMENT, "192.0.2.1", "bot", "shop")
    assert (told.result, told.failed, told.session, told.credential) == ("accepted", "", "s_1", "5db1b2b537fd")


def test_a_failed_login_names_its_check() -> None:
    assert summarise_login(attempt(result="refused", failed="expired")).failed == "expired"
    assert summarise_login(attempt(result="refused", refusal="admit.denied")).failed == "policy"


def test_a_login_that_failed_in_the_handshake_says_why() -> None:
    told = summarise_login(attempt(result="refused", failed="certificate", reason="expired", claimed={}))
    assert (told.failed, told.reason, told.user) == ("certificate", "expired", "")


def test_counted_logins_are_one_line_with_their_number() -> None:
    counted = attempt(event="authn.counted", failures=12, checks={"known": 10, "form": 2}, seconds=10)
    told = summarise_login(counted)
    assert (told.result, told.times, told.failed, told.source) == ("refused", 12, "form 2, known 10", "192.0.2.1")


def test_what_has_not_its_form_is_left_out_or_a_fault() -> None:
    assert summarise_login({"event": "authn.counted", "time": AT, "source": "x", "failures": "x"}).times == 0
    with pytest.raises(EntryFault):
        summarise_login({"event": "authn", "time": "now"})
