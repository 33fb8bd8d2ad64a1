# SPDX-License-Identifier: Apache-2.0
"""Votes and ends: checked, in the book, then in force."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta

import pytest
from support.asked import ANA, BO, BOT, CY, DIGEST, NOW, PEOPLE, REQUEST, ROBIN, Kept, holding
from support.passkeys import Authenticator

from gatebook.approval.request import NotNow
from gatebook.evidence.approval import ApprovalFault, Ballot
from gatebook.evidence.entry import Leaf, decode_leaf
from gatebook.model.approval import Choice, Requirement, State
from gatebook.model.credential import KeyRecord, SigningKey
from gatebook.model.ids import KeyId
from gatebook.model.principal import Subject
from gatebook.session.voting import Booth

KEYS = {who: Authenticator() for who in (ANA, BO, CY, ROBIN)}
FAR = Subject("https://elsewhere", "ana")


class Desk:
    """A booth over a store in memory, with a book in memory and a clock that stands still."""

    def __init__(self) -> None:
        keys = tuple(
            SigningKey(key.passkey.fingerprint, "webauthn", key.passkey.text, who, NOW) for who, key in KEYS.items()
        )
        self.kept = Kept(signing_keys=keys)
        self.book: list[Leaf] = []
        self.moment = NOW
        self.booth = Booth("gate", "cli", self.kept, self.append, lambda: self.moment)

    def append(self, leaf: bytes) -> None:
        self.book.append(decode_leaf(leaf))

    def events(self) -> list[object]:
        return [leaf["event"] for leaf in self.book]

    def ballot(self, who: Subject = ANA, choice: Choice = Choice.APPROVE) -> Ballot:
        return self.booth.ballot(self.booth.find("apr_1"), who, choice, "my words")

    def cast(self, ballot: Ballot, by: Subject | None = None) -> State:
        signer = KEYS[by or ballot.person]
        signature = signer.sign(ballot.message())
        return self.booth.vote(
            ballot, method="webauthn", key=signer.passkey.fingerprint, signature=signature, channel="console"
        ).state

    def fails(self, ballot: Ballot, words: str, by: Subject | None = None) -> None:
        with pytest.raises(NotNow, match=words):
            self.cast(ballot, by)
        assert self.book == []
        assert self.kept.requests["apr_1"].votes == ()


def test_a_vote_is_in_the_book_with_its_signature_before_the_grant() -> None:
    desk = Desk()
    assert desk.cast(desk.ballot()) is State.GRANTED
    assert desk.events() == ["approval.voted", "approval.granted"]
    voted = desk.book[0]
    assert voted["vote"] == desk.ballot().to_value()
    assert (voted["method"], voted["channel"]) == ("webauthn", "console")
    assert voted["key"] == KEYS[ANA].passkey.fingerprint
    assert base64.b64decode(str(voted["signature"])) == desk.kept.requests["apr_1"].votes[0].signature
    assert desk.book[1]["until"] == "2026-11-25T12:01:00.000001Z"


def test_a_vote_that_decides_nothing_yet_is_an_entry_of_its_own() -> None:
    desk = Desk()
    desk.kept.requests["apr_1"] = holding(requirements=(Requirement("dba", 2),))
    assert desk.cast(desk.ballot()) is State.PENDING
    assert desk.cast(desk.ballot(BO)) is State.GRANTED
    assert desk.events() == ["approval.voted", "approval.voted", "approval.granted"]


def test_a_denial_ends_with_its_reason() -> None:
    desk = Desk()
    assert desk.cast(desk.ballot(choice=Choice.DENY)) is State.DENIED
    assert desk.events() == ["approval.voted", "approval.ended"]
    assert (desk.book[1]["result"], desk.book[1]["reason"]) == ("denied", "my words")


def test_ap_02_a_vote_about_anything_else_does_not_count() -> None:
    desk = Desk()
    for change in ({"gate": "other"}, {"digest": "sha256:" + "f" * 64}, {"shown": DIGEST}):
        desk.fails(replace(desk.ballot(), **change), "the vote is about something else")  # type: ignore[arg-type]  # names of fields
    desk.fails(replace(desk.ballot(), request="apr_2"), "no request `apr_2`")


def test_ap_03_a_vote_that_was_signed_long_ago_or_for_later_does_not_count() -> None:
    desk = Desk()
    ballot = desk.ballot()
    desk.fails(replace(ballot, at=NOW - timedelta(minutes=10, microseconds=1)), "was not made now")
    desk.fails(replace(ballot, at=NOW + timedelta(minutes=1, microseconds=1)), "was not made now")
    desk.kept.requests["apr_1"] = replace(REQUEST, decide_by=NOW + timedelta(seconds=1))
    desk.moment = NOW + timedelta(seconds=1)
    desk.fails(ballot, "the request has expired")
    desk.moment = NOW
    assert desk.cast(replace(ballot, at=NOW - timedelta(minutes=10))) is State.GRANTED


def test_ap_03_the_same_vote_again_does_not_count_again() -> None:
    desk = Desk()
    desk.kept.requests["apr_1"] = holding(requirements=(Requirement("dba", 2),))
    ballot = desk.ballot()
    desk.cast(ballot)
    with pytest.raises(NotNow, match="has voted already"):
        desk.cast(ballot)
    assert desk.events() == ["approval.voted"]


def test_ap_06_only_a_key_of_this_person_that_was_not_removed_signs() -> None:
    desk = Desk()
    desk.fails(desk.ballot(), "the key is not this person's", by=BO)
    desk.fails(replace(desk.ballot(), person=FAR), "the key is not this person's", by=ANA)
    gone = tuple(replace(key, removed_at=NOW) for key in desk.kept.signing_keys)
    desk.kept.signing_keys = gone
    desk.fails(desk.ballot(), "the key is not this person's")
    desk.kept.signing_keys = ()
    desk.fails(desk.ballot(), "the key is not this person's")


def test_ap_06_a_machine_that_has_a_key_does_not_vote() -> None:
    desk = Desk()
    desk.kept.keys = (KeyRecord(KeyId("k"), b"", ANA, ROBIN, (), NOW, NOW),)
    desk.fails(desk.ballot(), "not a person that the gate knows")
    assert BOT not in desk.booth.crowd().agents


def test_a_signature_over_something_else_does_not_count() -> None:
    desk = Desk()
    signature = KEYS[ANA].sign(desk.ballot(choice=Choice.DENY).message())
    with pytest.raises(ApprovalFault, match="made for something else"):
        desk.booth.vote(
            desk.ballot(), method="webauthn", key=KEYS[ANA].passkey.fingerprint, signature=signature, channel="cli"
        )
    assert desk.book == []


def test_a_vote_without_signature_counts_only_where_the_terms_say_so() -> None:
    desk = Desk()
    with pytest.raises(NotNow, match="the vote is not signed"):
        desk.booth.vote(desk.ballot(), method="session", channel="console")
    desk.kept.requests["apr_1"] = holding(signed=False)
    assert desk.booth.vote(desk.ballot(), method="session", channel="console").state is State.GRANTED
    assert {"key", "signature"}.isdisjoint(desk.book[0])


def test_ap_08_who_is_asked_is_looked_up_at_the_vote() -> None:
    desk = Desk()
    desk.kept.people = tuple(replace(one, disabled_at=NOW) for one in PEOPLE)
    desk.fails(desk.ballot(), "this person may not vote on it: disabled")


def test_consent_is_taken_back_before_it_is_used() -> None:
    desk = Desk()
    desk.cast(desk.ballot())
    assert desk.booth.withdraw("apr_1", ANA, "changed my mind").state is State.WITHDRAWN
    assert desk.events() == ["approval.voted", "approval.granted", "approval.ended"]
    assert desk.book[2]["reason"] == "changed my mind"
    with pytest.raises(NotNow, match="the request is withdrawn"):
        desk.booth.withdraw("apr_1", ANA, "again")


def test_a_request_is_cancelled_once() -> None:
    desk = Desk()
    assert desk.booth.cancel("apr_1", "no need").state is State.CANCELLED
    with pytest.raises(NotNow, match="the request is cancelled"):
        desk.booth.cancel("apr_1", "again")
    assert desk.events() == ["approval.ended"]
    with pytest.raises(NotNow, match="no request `apr_9`"):
        desk.booth.cancel("apr_9", "why")


def test_what_cannot_be_entered_does_not_count() -> None:
    def full(_: bytes) -> None:
        raise OSError("disk full")

    desk = Desk()
    booth = Booth("gate", "cli", desk.kept, full, lambda: NOW)
    with pytest.raises(OSError, match="disk full"):
        booth.cancel("apr_1", "why")
    with pytest.raises(OSError, match="disk full"):
        _cast(booth, desk.ballot())
    assert desk.kept.requests["apr_1"] == REQUEST


def _cast(booth: Booth, ballot: Ballot) -> object:
    key = KEYS[ballot.person]
    return booth.vote(
        ballot, method="webauthn", key=key.passkey.fingerprint, signature=key.sign(ballot.message()), channel="cli"
    )
