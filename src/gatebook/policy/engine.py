# SPDX-License-Identifier: Apache-2.0
"""The engine: a policy set loaded strictly, and its answer to "may this subject do these accesses".

Deny is what one gets by doing nothing: no permit, no access, an error in any policy, a context that does not fit the
schema all mean no. `forbid` wins. Source: Cedar 4 authorisation semantics; the one trap in them is that a forbid
which errors is skipped, hence every error here refuses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec
from cedarpy import AuthzResult, Entities, PolicySet, is_authorized_batch, validate_policies

from gatebook.model.approval import Hold
from gatebook.model.decision import Decision, Result
from gatebook.model.ids import PolicyId
from gatebook.model.operation import Access, ObjectKind, ObjectRef
from gatebook.model.principal import Principal
from gatebook.policy.entities import KindOf, actors, object_entities, object_uid, parent_of, principal_entities
from gatebook.policy.evaluation import Evaluation, with_columns
from gatebook.policy.faults import PolicyFault, Problem
from gatebook.policy.obligations import hold_of, join_holds
from gatebook.policy.schema import SCHEMA
from gatebook.policy.scope import Reach, reach_of
from gatebook.policy.source import Policy, parse_policies
from gatebook.policy.words import needed, refusal_reason

Fact = bool | int | str | datetime
Policies: TypeAlias = tuple[PolicySet, Mapping[str, PolicyId]]
_Asked: TypeAlias = tuple[Principal, tuple[Access, ...], tuple[str, ...], frozenset[tuple[str, Fact]]]

# LIMIT: reasons of one policy shown by the validator; it repeats itself once per entity type.
_REASONS: Final = 3
# LIMIT: slices of entities kept; each has some kilobytes. A full memory is emptied.
_SLICES: Final = 512
# LIMIT: decisions kept; each has some hundreds of bytes beside its accesses. A full memory is emptied.
_DECISIONS: Final = 2048
# What no policy reads in a decision that is kept: two moments are one to all policies that could concern it.
_MOMENT: Final = "now"
# The worst wins: what the client is told when several accesses are denied for different reasons.
_CODES: Final = ("policy.error", "policy.opaque", "policy.denied", "policy.unknown")


@dataclass(frozen=True, slots=True)
class Explained:
    """One access with every policy that says anything about it, and what is missing if it is not permitted."""

    access: Access
    permitted: bool
    permits: tuple[PolicyId, ...]
    forbids: tuple[PolicyId, ...]
    reason: str
    needed: str


def load(texts: Mapping[str, str]) -> Engine:
    """Load policy files (name -> text).

    PolicyFault with every problem of every file: syntax, schema, ids, annotations that cannot be enforced.
    """
    policies, problems = parse_policies(texts)
    if not problems:
        problems.extend(_schema_problems(policies))
    if problems:
        raise PolicyFault(tuple(sorted(problems)))
    return Engine(policies, _hash(texts))


def _hash(texts: Mapping[str, str]) -> str:
    """SHA-256 over the sorted (name, text) pairs, each part preceded by its length in bytes."""
    digest = hashlib.sha256()
    for pair in sorted(texts.items()):
        for part in pair:
            data = part.encode()
            digest.update(f"{len(data)}:".encode())
            digest.update(data)
    return f"sha256:{digest.hexdigest()}"


def _schema_problems(policies: Sequence[Policy]) -> Iterator[Problem]:
    by_number: dict[str, list[str]] = {}
    for error in validate_policies(_joined(policies), SCHEMA).errors:
        number = error.policy_id or ""
        reason = " ".join(error.error.split()).removeprefix(f"for policy `{number}`, ")
        by_number.setdefault(number, []).append(reason)
    for number, reasons in by_number.items():
        index = int(number.removeprefix("policy") or 0)
        more = f" (and {len(reasons) - _REASONS} more)" if len(reasons) > _REASONS else ""
        policy = policies[index]
        yield Problem(policy.file, policy.line, "; ".join(reasons[:_REASONS]) + more, "see docs/reference/policy.md")


def _joined(policies: Sequence[Policy]) -> str:
    """All policies as one text; Cedar then numbers them `policy0`, `policy1`, ... in this order."""
    return "\n".join(policy.text for policy in policies)


class Engine:
    """A loaded policy set. Every method may be called at any time; what is kept between calls changes no answer."""

    def __init__(self, policies: Sequence[Policy], policy_hash: str) -> None:
        """Use `load`; this takes policies that were checked."""
        self.hash: Final = policy_hash
        self.policies: Final = tuple(policies)
        self._slices: dict[tuple[Principal, tuple[ObjectRef, ...], tuple[str, ...]], Entities] = {}
        self._decisions: dict[_Asked, Decision] = {}
        self._set = PolicySet.from_str(_joined(policies))
        self._ids = {f"policy{number}": policy.id for number, policy in enumerate(policies)}
        self._by_id = {policy.id: policy for policy in policies}
        holds = {policy.id: hold_of(policy.annotations) for policy in policies}
        self._holds: Mapping[PolicyId, Hold] = {name: hold for name, hold in holds.items() if hold is not None}
        # What is left once people have consented: the permits, and every forbid that nobody can lift.
        kept = [policy for policy in policies if not (policy.is_forbid and policy.id in self._holds)]
        self._lifted: Policies = self._set, self._ids
        if len(kept) < len(policies):
            ids = {f"policy{number}": policy.id for number, policy in enumerate(kept)}
            self._lifted = PolicySet.from_str(_joined(kept)), ids
        self._reaches: tuple[tuple[Policy, Reach], ...] = tuple((policy, reach_of(policy)) for policy in policies)
        self.mentions_columns: Final = any(reach.mentions_columns for _, reach in self._reaches)

    def policy_hash(self, policy: PolicyId) -> str:
        """Return the SHA-256 of the policy's text."""
        return "sha256:" + hashlib.sha256(self._by_id[policy].text.encode()).hexdigest()

    def message(self, policy: PolicyId) -> str:
        """Return the policy's `@message`, or empty."""
        return self._by_id[policy].annotations.get("message", "")

    def hint(self, policy: PolicyId) -> str:
        """Return the policy's `@hint`, or empty."""
        return self._by_id[policy].annotations.get("hint", "")

    def refuse(self, code: str, reason: str) -> Decision:
        """Return a no that no policy is asked about."""
        return Decision(Result.REFUSE, (), self.hash, reasons=(reason,), code=code)

    def decide(
        self,
        principal: Principal,
        accesses: Sequence[Access],
        context: Mapping[str, Fact],
        kind_of: KindOf = lambda _ref: "unknown",
    ) -> Decision:
        """Decide one statement: allowed only if every access is.

        `context` holds the members of `Operation` in the schema (`now` an aware datetime); `kind_of` tells the
        kind of a relation for `resource.kind`. Never raises for what a client sent.

        What is asked again is answered from memory, unless a policy that could apply reads the moment: another text
        that does the same to the same objects costs no evaluation.
        """
        is_time_dependent = self.is_time_dependent(principal, accesses)
        asked = None
        if not is_time_dependent:
            facts = frozenset((name, value) for name, value in context.items() if name != _MOMENT)
            asked = (principal, tuple(accesses), _kinds(accesses, kind_of), facts)
            if (kept := self._decisions.get(asked)) is not None:
                return kept
        decision = self._decide(principal, accesses, context, kind_of, time_dependent=is_time_dependent)
        if asked is not None:
            if len(self._decisions) >= _DECISIONS:
                self._decisions.clear()
            self._decisions[asked] = decision
        return decision

    def _decide(
        self,
        principal: Principal,
        accesses: Sequence[Access],
        context: Mapping[str, Fact],
        kind_of: KindOf,
        *,
        time_dependent: bool,
    ) -> Decision:
        results = self.evaluate(principal, accesses, context, kind_of)
        denied = [result for result in results if not result.permitted]
        lifted: tuple[PolicyId, ...] = ()
        if denied and all(self._can_be_lifted(result) for result in denied):
            # A forbid that approval lifts: no is the answer unless all else allows.
            again = self._evaluate(principal, accesses, context, kind_of, self._lifted)
            if all(result.permitted for result in again):
                lifted = tuple(policy for result in denied for policy in result.policies)
                results, denied = again, []
        determining = sorted({*lifted, *(policy for result in denied or results for policy in result.policies)})
        allowed = bool(results) and not denied
        hold = join_holds(self._holds[policy] for policy in determining if policy in self._holds) if allowed else None
        code = next((code for code in _CODES if any(result.code == code for result in denied)), "policy.denied")
        reasons = [result.reason for result in denied] or ([] if allowed else ["nothing to judge"])
        return Decision(
            result=Result.REFUSE if not allowed else Result.HOLD if hold else Result.ALLOW,
            policies=tuple(determining),
            policy_hash=self.hash,
            reasons=tuple(dict.fromkeys(reasons)),
            denied=tuple(result.access for result in denied),
            code="" if allowed else code,
            time_dependent=time_dependent,
            hold=hold,
        )

    def _can_be_lifted(self, result: Evaluation) -> bool:
        """Whether only forbids that people can lift stand in the way."""
        return result.code == "policy.denied" and bool(result.policies) and result.policies_ask(self._holds)

    def evaluate(
        self,
        principal: Principal,
        accesses: Sequence[Access],
        context: Mapping[str, Fact],
        kind_of: KindOf = lambda _ref: "unknown",
    ) -> list[Evaluation]:
        """Judge each access on its own, then let permitted columns stand for their relation; order as given."""
        return self._evaluate(principal, accesses, context, kind_of, (self._set, self._ids))

    def _evaluate(
        self,
        principal: Principal,
        accesses: Sequence[Access],
        context: Mapping[str, Fact],
        kind_of: KindOf,
        policies: Policies,
    ) -> list[Evaluation]:
        raw = self._raw(principal, accesses, context, kind_of, policies[0])
        ids = policies[1]
        results = [self._judge(principal, access, answers, ids) for access, answers in zip(accesses, raw, strict=True)]
        return with_columns(results)

    def is_time_dependent(self, principal: Principal, accesses: Sequence[Access]) -> bool:
        """Whether a policy that could apply reads what changes from message to message."""
        subjects = _closure(principal)
        actions = {access.action for access in accesses}
        return any(
            reach.reads_volatile and any(reach.could_concern(subjects, action) for action in actions)
            for _, reach in self._reaches
        )

    def explain(
        self,
        principal: Principal,
        accesses: Sequence[Access],
        context: Mapping[str, Fact],
        kind_of: KindOf = lambda _ref: "unknown",
    ) -> list[Explained]:
        """Tell per access every policy that permits or forbids it. Slow: each policy is asked alone."""
        permits: list[list[PolicyId]] = [[] for _ in accesses]
        forbids: list[list[PolicyId]] = [[] for _ in accesses]
        for policy in self.policies:
            alone = PolicySet.from_str(policy.text)
            kept = forbids if policy.is_forbid else permits
            for index, answers in enumerate(self._raw(principal, accesses, context, kind_of, alone)):
                if any(answer.diagnostics.reasons for answer in answers):
                    kept[index].append(policy.id)
        results = self.evaluate(principal, accesses, context, kind_of)
        return [
            Explained(
                access=result.access,
                permitted=result.permitted,
                permits=tuple(permits[index]),
                forbids=tuple(forbids[index]),
                reason=result.reason,
                needed="" if result.permitted else needed(result.access, tuple(forbids[index])),
            )
            for index, result in enumerate(results)
        ]

    def _raw(
        self,
        principal: Principal,
        accesses: Sequence[Access],
        context: Mapping[str, Fact],
        kind_of: KindOf,
        policies: PolicySet,
    ) -> list[list[AuthzResult]]:
        """Ask Cedar: per access, one answer per actor."""
        slice_ = self._slice(principal, accesses, kind_of)
        members = {name: _cedar(value) for name, value in context.items()}
        who = actors(principal)
        requests = [
            {
                "principal": actor,
                "action": {"type": "Action", "id": access.action},
                "resource": object_uid(access.object),
                "context": members,
            }
            for access in accesses
            for actor in who
        ]
        answers = is_authorized_batch(requests, policies, slice_, SCHEMA)
        return [answers[start : start + len(who)] for start in range(0, len(answers), len(who))]

    def _slice(self, principal: Principal, accesses: Sequence[Access], kind_of: KindOf) -> Entities:
        """The entities that a decision needs. Building one costs more than a decision, so that some are kept."""
        refs = tuple(access.object for access in accesses)
        key = (principal, refs, _kinds(accesses, kind_of))
        kept = self._slices.get(key)
        if kept is None:
            entities = principal_entities(principal) + object_entities(refs, kind_of)
            # With the schema, the handle holds the actions with their groups too; without it `action in` is never true.
            kept = Entities.from_json_str(msgspec.json.encode(entities).decode(), schema=SCHEMA)
            if len(self._slices) >= _SLICES:
                self._slices.clear()
            self._slices[key] = kept
        return kept

    def _judge(
        self, principal: Principal, access: Access, answers: Sequence[AuthzResult], ids: Mapping[str, PolicyId]
    ) -> Evaluation:
        """One access over all actors: every one must be permitted, and no policy may have failed."""
        refusing = [answer for answer in answers if not answer.allowed]
        errors = [error for answer in answers for error in answer.diagnostics.errors]
        names = {reason for answer in refusing or answers for reason in answer.diagnostics.reasons}
        policies = tuple(sorted(ids[name] for name in names))
        if errors:
            reason = f"a policy could not be evaluated: {' '.join(errors[0].split())[:300]}"
            return Evaluation(access, permitted=False, policies=policies, code="policy.error", reason=reason)
        if refusing:
            words = [(policy, self.message(policy)) for policy in policies]
            code = "policy.denied"
            if access.action == "opaque":
                code = "policy.opaque"
            elif access.object.kind is ObjectKind.UNKNOWN and not policies:
                code = "policy.unknown"
            return Evaluation(
                access, permitted=False, policies=policies, code=code, reason=refusal_reason(access, words)
            )
        if access.object.kind is ObjectKind.UNKNOWN and (guards := self._guards(principal, access)):
            shown = ", ".join(f"`{policy}`" for policy in guards)
            reason = f"`{access.object.path[-1]}` cannot be resolved, and might be what {shown} protects"
            return Evaluation(access, permitted=False, policies=guards, code="policy.unknown", reason=reason)
        return Evaluation(access, permitted=True, policies=policies)

    def _guards(self, principal: Principal, access: Access) -> tuple[PolicyId, ...]:
        """Forbids on something inside the database: an unresolved name might be just that."""
        subjects = _closure(principal)
        database = parent_of(access.object)
        return tuple(
            policy.id
            for policy, reach in self._reaches
            if policy.is_forbid
            and reach.could_concern(subjects, access.action)
            and database is not None
            and reach.could_protect(database)
        )


def _kinds(accesses: Sequence[Access], kind_of: KindOf) -> tuple[str, ...]:
    """The kinds of the relations that accesses are about, in their order."""
    refs = (access.object for access in accesses)
    relations = (parent_of(ref) if ref.kind is ObjectKind.COLUMN else ref for ref in refs)
    return tuple(kind_of(ref) for ref in relations if ref and ref.kind is ObjectKind.RELATION)


def _closure(principal: Principal) -> frozenset[tuple[str, str]]:
    """Everything that the scope of a policy could name to mean one of the actors."""
    uids = [*actors(principal), *({"type": "Group", "id": group} for group in principal.groups)]
    return frozenset((uid["type"], uid["id"]) for uid in uids)


def _cedar(value: Fact) -> bool | int | str | dict[str, dict[str, str]]:
    if isinstance(value, datetime):
        text = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
        return {"__extn": {"fn": "datetime", "arg": text}}
    return value
