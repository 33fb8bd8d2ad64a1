# SPDX-License-Identifier: Apache-2.0
"""What an approval of an operation would cover, as far as every protocol has it.

SPEC: docs/spec/approval.md, "Binding".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gatebook.evidence.approval import digest_of, salted
from gatebook.evidence.entry import Leaf, Value, encode_canonical
from gatebook.evidence.parts import identity_part
from gatebook.model.approval import Hold
from gatebook.model.decision import Verdict
from gatebook.model.ids import PolicyId
from gatebook.session.gate import Rules, Session

# LIMIT: what a person can be asked to look at, and a leaf can hold.
PARTS: Final = 100
BYTES: Final = 65_536
_VERSION: Final = 1

__all__ = [
    "BYTES",
    "PARTS",
    "Bound",
    "Leaf",
    "Matter",
    "Value",
    "canonical",
    "common_part",
    "hold_part",
    "policies_part",
]


@dataclass(frozen=True, slots=True)
class Bound:
    """A binding with its salt: the JSON and digest of both the binding and what is shown."""

    binding: str
    digest: str
    shown: str
    shown_digest: str


@dataclass(frozen=True, slots=True)
class Matter:
    """What is put to people. `hidden` values enter the binding by salted hash; `shown` is what people see of it all.

    `unfit` says why it cannot be put to anybody, or is empty.
    """

    public: Leaf
    hidden: Mapping[str, bytes]
    shown: Leaf
    unfit: str = ""

    def also(self, **more: Value) -> Matter:
        """Return it with more members that are bound."""
        return replace(self, public=self.public | more)

    def lookup(self) -> str:
        """Return what finds a request for the same again; it must not leave the store."""
        return self.bind("").digest

    def bind(self, salt: str) -> Bound:
        """Return the binding under a salt (64 hex digits)."""
        hashes: Leaf = {name: salted(salt, value) for name, value in self.hidden.items()}
        binding: Leaf = self.public | hashes
        shown: Leaf = self.shown | {"salt": salt}
        return Bound(
            binding=encode_canonical(binding).decode(),
            digest=digest_of(binding),
            shown=encode_canonical(shown).decode(),
            shown_digest=digest_of(shown),
        )


def common_part(session: Session, verdict: Verdict, rules: Rules) -> Leaf:
    """Return the members that a binding has in every protocol. `verdict` is held."""
    assert verdict.held is not None
    identity = identity_part(session.principal, session.role.name)
    del identity["credential"]
    policies: list[Value] = [[policy, rules.engine.policy_hash(policy)] for policy in _determining(verdict)]
    return {
        "v": _VERSION,
        "kind": "operation",
        "identity": identity,
        "where": {
            "target": session.target.name,
            "database": session.database,
            "account": session.role.account.name,
        },
        "policies": policies,
        "hold": hold_part(verdict.held),
    }


def policies_part(verdict: Verdict, rules: Rules) -> list[Value]:
    """Return what people are told of the policies that hold an operation."""
    told = [(policy, rules.engine.message(policy), rules.engine.hint(policy)) for policy in _determining(verdict)]
    return [{"id": policy, "message": message, "hint": hint} for policy, message, hint in told]


def _determining(verdict: Verdict) -> list[PolicyId]:
    return sorted({policy for decision in verdict.decisions for policy in decision.policies})


def hold_part(hold: Hold) -> Leaf:
    """Return the terms of consent."""
    return {
        "approvers": [[need.group, need.needed] for need in hold.requirements],
        "covers": hold.cover.value,
        "uses": hold.uses,
        "signed": hold.signed,
        "unseen": hold.unseen,
    }


def canonical(value: Sequence[Value]) -> bytes:
    """Return the canonical JSON of an array."""
    return encode_canonical({"": value})[4:-1]
