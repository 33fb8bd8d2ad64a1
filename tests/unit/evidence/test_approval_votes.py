# SPDX-License-Identifier: Apache-2.0
"""Whether a vote in the book counts: each reason why not, by votes whose signatures are good where nothing else is."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from support.evidence import moment
from support.people import make_key
from support.record import BINDING, KEYS, entry, people, requested, voted, who

from gatebook.evidence.approval import ApprovalFault
from gatebook.evidence.approval_binding import read_asked
from gatebook.evidence.approval_people import PEOPLE, Moment, People
from gatebook.evidence.approval_votes import check_cast, read_cast
from gatebook.evidence.entry import Leaf, parse_time
from gatebook.evidence.ssh_signature import parse_public_key, unarmored
from gatebook.model.approval import Choice

UNSIGNED = BINDING | {"hold": BINDING["hold"] | {"signed": False}}


def at(leaf: Leaf, number: int = 1) -> Moment:
    return Moment(parse_time(str(leaf["time"])), str(leaf["writer"]), number)


def found(vote: Leaf, request: Leaf | None = None, more: Iterable[Leaf] = ()) -> list[str]:
    """What is wrong with a vote on a request, where `more` is told of people beside the usual."""
    known = People()
    number = 0
    for number, leaf in enumerate([*people(), *more]):
        assert leaf["event"] in PEOPLE
        known.add(at(leaf, number), leaf)
    known.settle()
    asked = requested() if request is None else request
    cast = read_cast(at(vote, number + 1), vote)
    return [finding.name for finding in check_cast(read_asked(at(asked), asked), cast, known)]


def test_a_good_vote_is_read_and_counts() -> None:
    vote = voted("ana", 20)
    cast = read_cast(at(vote), vote)
    assert (cast.consents, cast.denies, cast.ballot.person.subject) == (True, False, "ana")
    assert found(vote) == []
    assert read_cast(at(vote), voted("ana", 20, choice=Choice.DENY)).denies


@pytest.mark.parametrize(
    ("members", "finding"),
    [
        ({"vote": "x"}, "approval_vote"),
        ({"request": "apr_2"}, "approval_vote"),
        ({"signature": "*"}, "approval_signature"),
    ],
)
def test_a_vote_without_form_is_refused(members: dict[str, Any], finding: str) -> None:
    vote = voted("ana", 20) | members
    with pytest.raises(ApprovalFault) as caught:
        read_cast(at(vote), vote)
    assert caught.value.finding == finding


def test_a_vote_about_something_else_is_found() -> None:
    assert found(voted("ana", 20, binding=UNSIGNED)) == ["approval_vote"]
    assert found(voted("ana", 20), requested(shown="sha256:" + "7" * 64)) == ["approval_vote"]


@pytest.mark.parametrize(
    ("entered", "made"),
    [(320, 320), (302, 299), (300.5, 300), (8, 8), (20, 82), (700, 20)],
)
def test_a_vote_at_another_time_is_found(entered: float, made: float) -> None:
    assert found(voted("ana", entered, made=made)) == ["approval_time"]


def test_a_vote_made_days_before_or_by_a_clock_ahead_is_found() -> None:
    asked = requested(expires=moment(100_000))
    assert found(voted("ana", 620, made=20), asked) == []
    assert found(voted("ana", 622, made=20), asked) == ["approval_time"]
    assert found(voted("ana", 20, made=80), asked) == []
    assert found(voted("ana", 20, made=82), asked) == ["approval_time"]


def test_a_key_of_somebody_else_of_nobody_or_that_was_removed_is_found() -> None:
    key = KEYS["ana"].passkey
    gone = entry("person.key.removed", 15, person=who("ana"), key=key.text, fingerprint=key.fingerprint, by="root")
    assert found(voted("ana", 20, signer="bo")) == ["approval_signature"]
    assert found(voted("ana", 20, key="SHA256:none")) == ["approval_signature"]
    assert found(voted("ana", 20), more=[gone]) == ["approval_signature"]


def test_a_signature_over_something_else_is_found() -> None:
    vote = voted("ana", 20)
    assert found(vote | {"signature": voted("ana", 21)["signature"]}) == ["approval_signature"]
    assert found(vote | {"method": "ssh"}) == ["approval_signature"]
    assert found(vote | {"method": "word of honour"}) == ["approval_signature"]


def test_a_key_whose_entry_says_another_fingerprint_is_found() -> None:
    key = KEYS["bo"].passkey
    other = entry("person.key.added", 5, person=who("ana"), key=key.text, fingerprint="SHA256:other", by="root")
    vote = voted("ana", 20, signer="bo", key="SHA256:other")
    assert found(vote, more=[other]) == ["approval_signature"]


def test_no_signature_counts_only_where_none_is_asked_for() -> None:
    vote = voted("ana", 20)
    bare = {name: value for name, value in vote.items() if name not in {"key", "signature"}} | {"method": "session"}
    assert found(bare) == ["approval_signature"]
    bare = {name: value for name, value in voted("ana", 20, binding=UNSIGNED).items() if name != "signature"}
    assert found(bare | {"method": "session"}, requested(UNSIGNED)) == []


@pytest.mark.parametrize("name", ["cy", "robin"])
def test_who_could_not_vote_is_found(name: str) -> None:
    assert found(voted(name, 20)) == ["approval_approver"]


def test_who_came_into_the_group_behind_the_request_is_found() -> None:
    later = entry("person.groups", 15, person=who("cy"), groups=["dba"], by="root")
    assert found(voted("cy", 20), more=[later]) == ["approval_approver"]


def test_a_review_is_of_broken_glass_and_not_bound_by_the_time_to_vote() -> None:
    broken = BINDING | {"kind": "break_glass"}
    assert found(voted("ana", 900, choice=Choice.REVIEW, binding=broken), requested(broken)) == []
    assert found(voted("ana", 900, choice=Choice.REVIEW)) == ["approval_vote"]


def test_an_ssh_signature_counts(tmp_path: Path) -> None:
    key = make_key(tmp_path / "keys", "ana")
    public = parse_public_key(key.public.read_text())
    added = entry("person.key.added", 1, person=who("ana"), key=public.text, fingerprint=public.fingerprint, by="root")
    vote = voted("ana", 20)
    file = tmp_path / "ballot"
    file.write_bytes(read_cast(at(vote), vote).ballot.message())
    signature = unarmored(key.sign(file, "gatebook-approval").read_text())
    members = {"method": "ssh", "key": public.fingerprint, "signature": base64.b64encode(signature).decode()}
    assert found(vote | members, more=[added]) == []
