# SPDX-License-Identifier: Apache-2.0
"""Whether policies ask people who are there: a gate whose approvals nobody could give must not look as if it worked.

Asked before policies are in force, with what is known of people then. Who leaves later is found at the vote.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from gatebook.approval.people import Crowd
from gatebook.model.approval import Requirement
from gatebook.model.credential import KeyRecord, Person, SigningKey
from gatebook.model.errors import OperatorFault, quoted
from gatebook.model.target import Target
from gatebook.policy.faults import PolicyFault, Problem
from gatebook.policy.obligations import hold_of
from gatebook.policy.source import Policy


class Known(Protocol):
    """What of the store is needed here; the duties are those of `gatebook.store.base`."""

    def list_people(self) -> tuple[Person, ...]:
        """Return everybody."""

    def list_keys(self) -> tuple[KeyRecord, ...]:
        """Return the API keys of agents."""

    def list_signing_keys(self) -> tuple[SigningKey, ...]:
        """Return the keys that people sign with."""


def check_quorum(policies: Iterable[Policy], known: Known, provider_groups: Collection[str]) -> None:
    """Let policies pass whose groups have enough people who could vote. PolicyFault with every one that has too few.

    Groups in `provider_groups` are let pass: an identity provider knows who is in them.
    """
    problems = tuple(sorted(_problems(policies, known, provider_groups)))
    if problems:
        raise PolicyFault(problems)


def check_roles(targets: Iterable[Target], known: Known, provider_groups: Collection[str]) -> None:
    """Let targets pass whose roles have enough people to give them. OperatorFault with the first that has not."""
    for target in targets:
        for role in target.roles:
            if not role.is_on_request or role.approvers in provider_groups:
                continue
            able = len(_able(role.approvers, known, signed=True))
            if able < role.approvers_needed:
                asked = f"{role.approvers_needed} of group {quoted(role.approvers)}"
                raise OperatorFault(
                    f"the role {quoted(role.name)} of target {quoted(target.name)} is given by {asked}, "
                    f"and {able or 'nobody'} there could",
                    f"add people with `gatebook person add NAME --group {role.approvers}`, each with a key of "
                    "`gatebook person key add`; or name the group in `approval.provider_groups`",
                )


def asks_people(policies: Iterable[Policy]) -> bool:
    """Whether any policy asks people at all."""
    return any(hold_of(policy.annotations) for policy in policies)


def _problems(policies: Iterable[Policy], known: Known, provider_groups: Collection[str]) -> Iterator[Problem]:
    for policy in policies:
        hold = hold_of(policy.annotations)
        if hold is None:
            continue
        for need in hold.requirements:
            able = len(_able(need.group, known, signed=hold.signed))
            if able < need.needed and need.group not in provider_groups:
                yield _problem(policy, need, able, signed=hold.signed)


def _able(group: str, known: Known, *, signed: bool) -> frozenset[str]:
    """The human beings of a group who could vote now, each once however many accounts they have."""
    people = {person.subject: person for person in known.list_people()}
    crowd = Crowd(people, frozenset(key.agent for key in known.list_keys()))
    signers = {key.person for key in known.list_signing_keys() if key.removed_at is None}
    return frozenset(
        crowd.human(subject)
        for subject, person in people.items()
        if person.disabled_at is None
        and subject not in crowd.agents
        and any(membership.group == group for membership in person.groups)
        and (subject in signers or not signed)
    )


def _problem(policy: Policy, need: Requirement, able: int, *, signed: bool) -> Problem:
    asked = f"{need.needed} of group {quoted(need.group)}"
    reason = f"the policy {quoted(policy.id)} asks for {asked}, and {able or 'nobody'} there could vote"
    key = ", each with a key of `gatebook person key add`" if signed else ""
    hint = f"add people with `gatebook person add NAME --group {need.group}`{key}"
    return Problem(policy.file, policy.line, reason, f"{hint}; or name the group in `approval.provider_groups`")
