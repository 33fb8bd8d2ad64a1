# SPDX-License-Identifier: Apache-2.0
"""Digests and votes as bytes: what is written is read again, and nothing else."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.asked import ANA, DIGEST, NOW, REQUEST, SHOWN

from gatebook.evidence.approval import ApprovalFault, Ballot, ballot_for, digest_of, salted
from gatebook.evidence.entry import Value, decode_canonical, encode_canonical
from gatebook.model.approval import Choice

BALLOT = Ballot(
    gate="gate", request="apr_1", digest=DIGEST, shown=SHOWN, choice=Choice.DENY, person=ANA, at=NOW, reason="too much"
)
MESSAGE = (
    '{"choice":"deny","digest":"' + DIGEST + '","gate":"gate","person":{"iss":"gatebook:gate","sub":"ana"},'
    '"reason":"too much","request":"apr_1","shown":"' + SHOWN + '","time":"2026-11-25T12:00:00.000001Z","v":1}\n'
)


def test_a_vote_is_canonical_json_and_a_newline() -> None:
    assert BALLOT.message() == MESSAGE.encode()
    assert "reason" not in replace(BALLOT, reason="").to_value()


def test_a_vote_is_read_as_it_is_written() -> None:
    for ballot in (BALLOT, replace(BALLOT, reason="", choice=Choice.APPROVE), replace(BALLOT, reason="é\n" * 512)):
        assert Ballot.from_value(decode_canonical(ballot.message()[:-1])) == ballot


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": "1"},
        {"v": True},
        {"choice": "maybe"},
        {"digest": "1" * 64},
        {"digest": DIGEST.upper()},
        {"digest": DIGEST + "\n"},
        {"shown": ""},
        {"time": "2026-11-25"},
        {"time": 7},
        {"gate": 7},
        {"request": 7},
        {"person": "ana"},
        {"person": {"iss": "a"}},
        {"person": {"iss": "a", "sub": 7}},
        {"person": {"iss": "a", "sub": "b", "more": "c"}},
        {"reason": ""},
        {"reason": 7},
        {"reason": "x" * 1025},
        {"more": "x"},
    ],
)
def test_a_vote_of_another_form_is_refused(change: dict[str, Value]) -> None:
    with pytest.raises(ApprovalFault, match="a vote has not its form"):
        Ballot.from_value(BALLOT.to_value() | change)


@pytest.mark.parametrize("name", sorted(BALLOT.to_value().keys() - {"reason"}))
def test_a_vote_that_lacks_a_member_is_refused(name: str) -> None:
    value = {key: told for key, told in BALLOT.to_value().items() if key != name}
    with pytest.raises(ApprovalFault):
        Ballot.from_value(value)


@given(st.recursive(st.booleans() | st.integers(-9, 9) | st.text(max_size=3), st.lists, max_leaves=3))
def test_nothing_else_is_raised_for_any_value(value: Value) -> None:
    with pytest.raises(ApprovalFault):
        Ballot.from_value(value)
    for name in BALLOT.to_value().keys() - {"reason", "gate", "request"}:
        with pytest.raises(ApprovalFault):
            Ballot.from_value(BALLOT.to_value() | {name: [value]})


def test_a_ballot_is_about_what_its_request_is_about() -> None:
    ballot = ballot_for(REQUEST, "gate", choice=Choice.APPROVE, person=ANA, at=NOW, reason="x" * 2000)
    assert (ballot.request, ballot.digest, ballot.shown) == ("apr_1", DIGEST, SHOWN)
    assert ballot.reason == "x" * 1024


def test_a_salted_hash_is_over_the_salt_as_text_and_the_bytes() -> None:
    assert salted("ab", b"c") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_digest_is_over_canonical_json_whatever_the_order() -> None:
    assert digest_of({"b": 1, "a": [2]}) == digest_of({"a": [2], "b": 1})
    assert digest_of({"a": [2], "b": 1}) == "sha256:" + hashlib.sha256(b'{"a":[2],"b":1}').hexdigest()
    assert encode_canonical({"b": 1, "a": [2]}) == b'{"a":[2],"b":1}'
