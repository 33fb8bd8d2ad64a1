# SPDX-License-Identifier: Apache-2.0
"""Policies that ask more people than could vote do not pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from gatebook import policy
from gatebook.model.credential import KeyRecord, Membership, Person, SigningKey
from gatebook.model.errors import OperatorFault
from gatebook.model.ids import KeyId, RoleName, TargetName
from gatebook.model.principal import Subject
from gatebook.model.target import Account, Address, Role, Target, TlsMode
from gatebook.policy.faults import PolicyFault
from gatebook.session.quorum import asks_people, check_quorum, check_roles

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ANA, BO, TWIN = (Subject("gatebook:gate", name) for name in ("ana", "bo", "ana-2"))
TWO = """
@id("free") permit (principal, action in Action::"read", resource);

@id("both") @approval("dba") @approvers("2") permit (principal, action in Action::"write", resource);
"""


OPS = """

@id("x") @approval("ops") permit (principal, action in Action::"define", resource);
"""


def member(subject: Subject, *groups: str, human: str = "") -> Person:
    memberships = tuple(Membership(group, NOW) for group in groups)
    return Person(subject, admin=False, created_at=NOW, human=human, groups=memberships)


def signing(subject: Subject) -> SigningKey:
    return SigningKey(f"SHA256:{subject.subject}", "ssh-ed25519", "ssh-ed25519 AAAA", subject, NOW)


@dataclass(frozen=True)
class Known:
    """People with their keys."""

    people: Sequence[Person] = (member(ANA, "dba"), member(BO, "dba"))
    signing_keys: Sequence[SigningKey] = (signing(ANA), signing(BO))
    keys: Sequence[KeyRecord] = field(default=())

    def list_people(self) -> tuple[Person, ...]:
        return tuple(self.people)

    def list_keys(self) -> tuple[KeyRecord, ...]:
        return tuple(self.keys)

    def list_signing_keys(self) -> tuple[SigningKey, ...]:
        return tuple(self.signing_keys)


def test_ap_07_two_people_with_keys_are_enough_for_two() -> None:
    check_quorum(policy.load({"a.cedar": TWO}).policies, Known(), ())


BOT = KeyRecord(KeyId("1"), b"", BO, ANA, (), NOW, NOW)


@pytest.mark.parametrize(
    "known",
    [
        Known(people=[member(ANA, "dba"), replace(member(BO, "dba"), disabled_at=NOW)]),
        Known(people=[member(ANA, "dba"), member(BO, "ops")]),
        Known(signing_keys=[signing(ANA)]),
        Known(signing_keys=[signing(ANA), replace(signing(BO), removed_at=NOW)]),
        Known(
            people=[member(ANA, "dba"), member(TWIN, "dba", human=str(ANA))], signing_keys=[signing(ANA), signing(TWIN)]
        ),
        Known(keys=[BOT]),
    ],
    ids=["disabled", "another group", "no key", "key removed", "one human being twice", "a machine"],
)
def test_ap_07_who_could_not_vote_is_not_counted(known: Known) -> None:
    with pytest.raises(PolicyFault) as raised:
        check_quorum(policy.load({"a.cedar": TWO}).policies, known, ())
    assert raised.value.message == "a.cedar:4: the policy `both` asks for 2 of group `dba`, and 1 there could vote"
    assert raised.value.hint == (
        "add people with `gatebook person add NAME --group dba`, each with a key of `gatebook person key add`; "
        "or name the group in `approval.provider_groups`"
    )


def test_ap_07_a_vote_without_signature_needs_no_key() -> None:
    policies = policy.load({"a.cedar": TWO.replace('@approvers("2")', '@approvers("2") @vote("session")')}).policies
    check_quorum(policies, Known(signing_keys=()), ())
    with pytest.raises(PolicyFault) as raised:
        check_quorum(policies, Known(people=()), ())
    assert "and nobody there could vote" in raised.value.message
    assert "person key add" not in raised.value.hint


def test_ap_07_a_group_of_an_identity_provider_is_let_pass_and_no_other() -> None:
    policies = policy.load({"a.cedar": TWO, "b.cedar": OPS}).policies
    check_quorum(policies, Known(people=()), ("dba", "ops"))
    with pytest.raises(PolicyFault, match=r"^b\.cedar:3: the policy `x` asks for 1 of group `ops`, and nobody"):
        check_quorum(policies, Known(people=()), ("dba",))


def test_policies_that_ask_nobody_are_known() -> None:
    assert asks_people(policy.load({"a.cedar": TWO}).policies)
    assert not asks_people(policy.load({"a.cedar": TWO.split("\n\n", maxsplit=1)[0]}).policies)


def target(approvers: str = "dba", needed: int = 2) -> Target:
    role = Role(RoleName("repair"), Account("app", None), ("agents",), approvers=approvers, approvers_needed=needed)
    usual = Role(RoleName("reader"), Account("app", None), ("agents",))
    return Target(TargetName("shop"), "postgres", Address("h", 1), TlsMode.DISABLE, b"", "db", (usual, role))


def test_ap_07_a_role_that_nobody_could_give_is_a_fault() -> None:
    check_roles([target()], Known(), ())
    check_roles([target("ops")], Known(), ("ops",))
    with pytest.raises(OperatorFault) as raised:
        check_roles([target(), target("ops")], Known(), ())
    assert raised.value.message == (
        "the role `repair` of target `shop` is given by 2 of group `ops`, and nobody there could"
    )
    with pytest.raises(OperatorFault, match="2 of group `dba`, and 1 there could"):
        check_roles([target()], Known(signing_keys=[signing(ANA)]), ())
