# SPDX-License-Identifier: Apache-2.0
"""What clients are told of what is held."""

from __future__ import annotations

from unit.serve.test_grants import request

from gatebook.model.approval import OPEN, State
from gatebook.serve.approval_words import ENDS, people, refused


def test_every_end_of_a_request_that_refuses_has_a_code() -> None:
    assert set(State) - OPEN - ENDS.keys() == {State.USED, State.REVIEWED}


def test_names_who_has_to_consent() -> None:
    assert people(request()) == "1 of `dba`"


def test_facts_are_for_programs_and_the_link_only_where_there_is_one() -> None:
    found = request()
    told = refused("approval.held", "words", "hint", found, link="https://console/approvals/apr_1")
    assert told.facts == (
        ("code", "approval.held"),
        ("request", "apr_1"),
        ("expires", found.ends_at().isoformat()),
        ("link", "https://console/approvals/apr_1"),
    )
    assert refused("approval.unfit", "words").facts == (("code", "approval.unfit"),)
