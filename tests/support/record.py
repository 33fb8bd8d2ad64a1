# SPDX-License-Identifier: Apache-2.0
"""The entries of one approved operation, as gate and command line write them, with passkeys made in software."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from gatebook.evidence.approval import Ballot, digest_of, salted
from gatebook.evidence.approvals import Approvals
from gatebook.evidence.entry import Leaf
from gatebook.evidence.events import check_leaf
from gatebook.model.approval import Choice
from gatebook.model.principal import Subject
from support.evidence import NOW, moment
from support.passkeys import Authenticator

REQUEST, SESSION, SALT = "apr_1", "s_1", "ab" * 32
SHOWN = "sha256:" + "2" * 64
KEYS = {name: Authenticator() for name in ("ana", "bo", "cy", "robin")}
PRIVATE: dict[str, Any] = {"text": "UPDATE things SET price = $1", "params": [{"text": "7"}], "salt": SALT}
IDENTITY = {
    "agent": {"iss": "gatebook:gate", "sub": "bot"},
    "owner": {"iss": "gatebook:gate", "sub": "robin"},
    "act": [],
    "groups": ["agents"],
    "method": "api_key",
    "role": "writer",
}
WHERE = {"target": "shop", "database": "db", "account": "app"}
OBJECT = "relation:shop.db.public.things"
BINDING: dict[str, Any] = {
    "v": 1,
    "kind": "operation",
    "identity": IDENTITY,
    "where": WHERE,
    "policies": [["changes", "sha256:" + "9" * 64]],
    "hold": {"approvers": [["dba", 2]], "covers": "exact", "uses": 1, "signed": True, "unseen": False},
    "via": "bind",
    "accesses": [["update", OBJECT, "v1"]],
    "verbs": ["UPDATE"],
    "text": salted(SALT, b"UPDATE things SET price = $1"),
    "params": salted(SALT, b'[{"text":"7"}]'),
}


def who(name: str) -> dict[str, str]:
    return {"iss": "gatebook:gate", "sub": name}


def entry(event: str, seconds: float, writer: str = "cli", **members: object) -> Leaf:
    """A leaf, which has the form of its kind."""
    leaf = json.loads(json.dumps({"event": event, "time": moment(seconds), "v": 1, "writer": writer} | members))
    check_leaf(leaf, writer)
    return dict(leaf)


def person(name: str, *groups: str, seconds: float = 0, **members: object) -> list[Leaf]:
    """The entries by which somebody is there, with a key."""
    key = KEYS[name].passkey
    added = {"groups": list(groups)} if groups else {}
    return [
        entry("person.added", seconds, person=who(name), admin=False, by="root", **added, **members),
        entry("person.key.added", seconds, person=who(name), key=key.text, fingerprint=key.fingerprint, by="root"),
    ]


def people() -> list[Leaf]:
    """ana and bo of `dba`, cy of nothing, and robin of `dba`, who owns the agent."""
    return [*person("ana", "dba"), *person("bo", "dba"), *person("cy"), *person("robin", "dba")]


def requested(binding: dict[str, Any] = BINDING, seconds: float = 10, **members: object) -> Leaf:
    words = {"request": REQUEST, "digest": digest_of(binding), "binding": binding, "shown": SHOWN, "use_s": 60}
    words |= {"expires": moment(300), "policy_hash": "sha256:" + "8" * 64}
    return entry("approval.requested", seconds, "gate", **(words | members))


def voted(
    name: str,
    seconds: float,
    *,
    choice: Choice = Choice.APPROVE,
    made: float | None = None,
    signer: str = "",
    binding: dict[str, Any] = BINDING,
    gate: str = "gate",
    **members: object,
) -> Leaf:
    """A vote, signed by the person's passkey or another's."""
    ballot = Ballot(
        gate=gate,
        request=REQUEST,
        digest=digest_of(binding),
        shown=SHOWN,
        choice=choice,
        person=Subject("gatebook:gate", name),
        at=NOW + timedelta(seconds=seconds if made is None else made),
    )
    key = KEYS[signer or name]
    signature = base64.b64encode(key.sign(ballot.message())).decode()
    words = {"vote": ballot.to_value(), "method": "webauthn", "key": key.passkey.fingerprint, "signature": signature}
    return entry("approval.voted", seconds, request=REQUEST, channel="console", **(words | members))


def granted(seconds: float, until: float) -> Leaf:
    return entry("approval.granted", seconds, request=REQUEST, until=moment(until))


def used(
    seconds: float = 30, operation: str = f"{SESSION}.3", binding: dict[str, Any] = BINDING, **members: object
) -> Leaf:
    words = {"request": REQUEST, "operation": operation, "digest": digest_of(binding), "uses": 1}
    words |= {"policy_hash": "sha256:" + "8" * 64, "voters": [who("ana"), who("bo")]}
    return entry("approval.used", seconds, "gate", **(words | members))


def ended(seconds: float, result: str = "withdrawn", writer: str = "cli") -> Leaf:
    return entry("approval.ended", seconds, writer, request=REQUEST, result=result)


def operation(event: str = "operation.intent", seconds: float = 31, number: int = 3, **members: object) -> Leaf:
    words: dict[str, object] = {
        "session": SESSION,
        "seq": number,
        "identity": IDENTITY | {"credential": "k1"},
        "source": {},
        "where": WHERE | {"gateway": "gate"},
        "operation": f"{SESSION}.{number}",
        "via": "bind",
        "statement": {"count": 1, "index": 0},
        "recording": {},
        "action": {"verb": "UPDATE", "accesses": [["update", OBJECT]], "shape": "UPDATE things SET price = $1"},
        "decision": {"approval": REQUEST, "result": "allow", "policies": ["changes"]},
    }
    if event == "operation.refused":
        words["refusal"] = {}
    return entry(event, seconds, "gate", **(words | members))


def whole() -> dict[str, Leaf]:
    """All entries of an operation that two people approved, by name, in order."""
    named = {f"person {number}": leaf for number, leaf in enumerate(people())}
    return named | {
        "requested": requested(),
        "held": operation("operation.held", 11),
        "ana": voted("ana", 20),
        "bo": voted("bo", 22),
        "granted": granted(22, 82),
        "used": used(),
        "intent": operation(),
    }


def fold(leaves: Iterable[Leaf], private: Leaf | None = None) -> list[tuple[str, str]]:
    """What a verifier finds: names and subjects."""
    approvals = Approvals()
    for leaf in leaves:
        approvals.add(leaf, private if str(leaf["event"]).startswith("operation.") else None)
    return [(finding.name, finding.subject) for finding in approvals.finish()]
