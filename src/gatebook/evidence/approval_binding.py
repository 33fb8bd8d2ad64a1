# SPDX-License-Identifier: Apache-2.0
"""What was asked, and what came because of it: a binding beside the entry of an operation or session, member by member.

SPEC: docs/spec/approval.md, "Binding" and "What a verifier must check". A request that cannot be read raises
ApprovalFault; of an operation, what is not there differs from what was approved.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gatebook.evidence.approval import ApprovalFault, digest_of, salted
from gatebook.evidence.approval_people import Moment
from gatebook.evidence.completeness import Finding
from gatebook.evidence.entry import EntryFault, Leaf, Value, encode_canonical, parse_time
from gatebook.evidence.parts import read_subject
from gatebook.model.approval import Kind
from gatebook.model.principal import Subject

ACCESS_CHARACTERS: Final = 300  # SPEC: entry.md, `action`: of an object in it, and 4,096 of a shape
SHAPE_CHARACTERS: Final = 4096
_MOST = 1 << 31
_DIGITS = 16  # of 2^53
ROLES: Final = frozenset({Kind.ROLE.value, Kind.BREAK_GLASS.value})
EXACT, SHAPE = "exact", "shape"
_EMPTY: Final[Mapping[str, Value]] = {}


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its entry says it. `approvers` are the groups with the number of people needed."""

    id: str
    moment: Moment
    digest: str
    shown: str
    expires: datetime
    use_s: int
    binding: Mapping[str, Value]
    approvers: tuple[tuple[str, int], ...]
    covers: str
    uses: int
    signed: bool

    @property
    def kind(self) -> str:
        """What is asked for; of no kind that is known, where it is none."""
        return str(self.binding.get("kind"))

    @property
    def groups(self) -> list[str]:
        """The groups that are asked."""
        return [group for group, _ in self.approvers]

    def askers(self) -> list[Subject]:
        """Return who asks, the person behind them, and the chain between."""
        identity = _object(self.binding, "identity")
        named = [identity[name] for name in ("agent", "person", "owner") if name in identity]
        return [read_subject(one) for one in [*named, *_list(identity, "act")]]


@dataclass(frozen=True, slots=True)
class Ran:
    """An operation that names an approval, or a session under a role that was given.

    `operation` is its id, and `first` the operation that its message begins with; of a session both are its own.

    `text` and `params` are salted hashes of what is disclosed; None where nothing is, empty where no salt is there.
    """

    event: str
    request: str
    operation: str
    first: str
    moment: Moment
    leaf: Mapping[str, Value]
    text: str | None
    params: str | None


def read_asked(moment: Moment, leaf: Leaf) -> Asked:
    """Return what an `approval.requested` says. ApprovalFault if it has not its form."""
    binding, use_s = leaf["binding"], leaf["use_s"]
    hold = _object(binding, "hold") if isinstance(binding, Mapping) else _EMPTY
    uses, lasts_s, signed = _count(hold.get("uses")), _count(use_s), hold.get("signed")
    approvers = [_need(one) for one in _list(hold, "approvers")]
    try:
        expires = parse_time(str(leaf["expires"]))
    except EntryFault as fault:
        raise ApprovalFault("approval_binding", "a request has not its form") from fault
    if not isinstance(binding, Mapping) or not isinstance(signed, bool) or not (approvers and uses and lasts_s):
        raise ApprovalFault("approval_binding", "a request has not its form")
    return Asked(
        id=str(leaf["request"]),
        moment=moment,
        digest=str(leaf["digest"]),
        shown=str(leaf["shown"]),
        expires=expires,
        use_s=lasts_s,
        binding=binding,
        approvers=tuple(approvers),
        covers=str(hold.get("covers")),
        uses=uses,
        signed=signed,
    )


def read_ran(moment: Moment, leaf: Leaf, request: str, private: Leaf | None) -> Ran:
    """Return what an entry of an operation says, with its private part if that is disclosed."""
    operation = str(leaf.get("operation", leaf.get("session")))
    session, _, number = operation.rpartition(".")
    index = _object(leaf, "statement").get("index", 0)
    is_number = number.isascii() and number.isdigit() and len(number) <= _DIGITS and isinstance(index, int)
    first = f"{session}.{int(number) - int(str(index))}" if is_number else operation
    text = params = None
    if private is not None:
        salt = private.get("salt")
        text = params = ""
        if isinstance(salt, str):
            told = private.get("params")
            text = salted(salt, _bytes(private.get("text", "")))
            params = salted(salt, encode_canonical({"": told if isinstance(told, list) else []})[4:-1])
    return Ran(str(leaf["event"]), request, operation, first, moment, leaf, text, params)


def check_digest(asked: Asked) -> Iterator[Finding]:
    """Yield what is wrong with a request by itself."""
    if digest_of(asked.binding) != asked.digest:
        yield Finding("approval_binding", asked.id, "the digest is not that of what was asked")


def check_entered(asked: Asked, ran: Ran) -> Iterator[Finding]:
    """Yield where a session is under another role than was asked for."""
    bound = asked.binding
    same = {
        "the kind": asked.kind in ROLES,
        "who": _who(ran) == bound.get("identity"),
        "where": {"target": _object(ran.leaf, "where").get("target")} == bound.get("where"),
    }
    for what, is_same in same.items():
        if not is_same:
            yield Finding("approval_binding", ran.operation, f"{what} is another than {asked.id} is for")


def check_ran(asked: Asked, ran: Ran) -> Iterator[Finding]:
    """Yield where an operation is another than what was asked."""
    bound, leaf = asked.binding, ran.leaf
    decision = _object(leaf, "decision")
    asked_for = {str(policy[0]) for policy in _list(bound, "policies") if isinstance(policy, list) and policy}
    same = {
        "the kind": asked.kind == Kind.OPERATION,
        "who": _who(ran) == bound.get("identity"),
        "where": _without(_object(leaf, "where"), "gateway") == bound.get("where"),
        "how it came": leaf.get("via") == bound.get("via"),
        "a policy": {str(policy) for policy in _list(decision, "policies")} <= asked_for,
    }
    for what, is_same in same.items():
        if not is_same:
            yield Finding("approval_binding", ran.operation, f"{what} is another than {asked.id} is for")
    if not _is_statement(asked, leaf):
        yield Finding("approval_statement", ran.operation, f"the statement is another than {asked.id} is for")
    if asked.covers == EXACT and ran.text is not None and ran.text != bound.get("text"):
        yield Finding("approval_statement", ran.operation, f"the text disclosed is not that of {asked.id}")
    if asked.covers == EXACT and ran.params is not None and ran.params != bound.get("params"):
        yield Finding("approval_parameters", ran.operation, f"the parameters disclosed are not those of {asked.id}")


def _is_statement(asked: Asked, leaf: Mapping[str, Value]) -> bool:
    """Whether command word, accesses and shape are those that were asked about."""
    statement, action, verbs = _object(leaf, "statement"), _object(leaf, "action"), _list(asked.binding, "verbs")
    index, count = statement.get("index"), statement.get("count")
    if count != len(verbs) or not isinstance(index, int) or not 0 <= index < len(verbs):
        return False
    bound = {
        (str(access[0]), str(access[1])[:ACCESS_CHARACTERS])
        for access in _list(asked.binding, "accesses")
        if isinstance(access, list) and len(access) == 3
    }
    told = [tuple(map(str, access)) if isinstance(access, list) else () for access in _list(action, "accesses")]
    if action.get("verb") != verbs[index] or not all(access in bound for access in told):
        return False
    shapes = _list(asked.binding, "shapes")
    return asked.covers != SHAPE or (
        len(shapes) == count and action.get("shape") == str(shapes[index])[:SHAPE_CHARACTERS]
    )


def _need(value: Value) -> tuple[str, int]:
    match value:
        case [str(group), int(needed)] if not isinstance(needed, bool) and needed > 0:
            return group, needed
    raise ApprovalFault("approval_binding", "the approvers of a request have not their form")


def _count(value: Value | None) -> int:
    """Return a number from 1 on that a time can be; 0 if it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST else 0


def _who(ran: Ran) -> Mapping[str, Value]:
    """Return the identity that is bound: a renewed credential, and a role that was given, make nobody another."""
    return _without(_object(ran.leaf, "identity"), "credential", "grant")


def _without(told: Mapping[str, Value], *names: str) -> Mapping[str, Value]:
    return {key: value for key, value in told.items() if key not in names}


def _bytes(value: Value) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(str(_object({"": value}, "").get("base64", "")), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _object(told: Mapping[str, Value], name: str) -> Mapping[str, Value]:
    value = told.get(name)
    return value if isinstance(value, Mapping) else _EMPTY


def _list(told: Mapping[str, Value], name: str) -> list[Value]:
    value = told.get(name)
    return value if isinstance(value, list) else []
