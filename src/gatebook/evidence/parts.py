# SPDX-License-Identifier: Apache-2.0
"""The objects that many entries share: who, from where, to what. Python fixes them once per session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatebook.evidence.entry import Leaf, Value
from gatebook.model.principal import Check, Principal, PrincipalKind, Subject

CLAIM_CHARACTERS = 128  # SPEC: entry.md, `claimed`


def subject_part(subject: Subject) -> Leaf:
    """Return `{"iss","sub"}`."""
    return {"iss": subject.issuer, "sub": subject.subject}


def read_subject(value: Value | None) -> Subject:
    """Return whom an object with `iss` and `sub` means; nobody, where it is none."""
    told: Mapping[str, Value] = value if isinstance(value, Mapping) else {}
    return Subject(str(told.get("iss", "")), str(told.get("sub", "")))


def identity_part(principal: Principal, role: str = "", grant: str = "") -> Leaf:
    """Return the `identity` object; `role` at the target, if one is taken already, by the `grant` of a request."""
    part: Leaf = {
        "act": [subject_part(actor) for actor in principal.chain],
        "credential": principal.credential,
        "groups": sorted(principal.groups),
        "method": principal.method,
    }
    if principal.kind is PrincipalKind.PERSON:
        part["person"] = subject_part(principal.subject)
    else:
        part["agent"] = subject_part(principal.subject)
    if principal.owner is not None:
        part["owner"] = subject_part(principal.owner)
    else:
        part["delegated_subject"] = "none"
    if role:
        part["role"] = role
    if grant:
        part["grant"] = grant
    return part


def source_part(ip: str, port: int, tls: tuple[str, str, str] | None) -> Leaf:
    """Return the `source` object; `tls` is version, cipher, and SHA-256 of the peer's certificate in hex or empty."""
    part: Leaf = {"ip": ip, "port": port}
    if tls is not None:
        version, cipher, peer = tls
        facts: Leaf = {"cipher": cipher, "version": version}
        if peer:
            facts["peer"] = f"sha256:{peer}"
        part["tls"] = facts
    return part


def where_part(*, gateway: str, target: str, database: str, account: str) -> Leaf:
    """Return the `where` object."""
    return {"account": account, "database": database, "gateway": gateway, "target": target}


def checks_part(checks: Iterable[Check]) -> list[Value]:
    """Return the `checks` array, in the order in which they were made."""
    return [{"name": check.name, "passed": check.passed} for check in checks]


def claimed_part(user: str, database: str) -> Leaf:
    """Return the `claimed` object: what a client said before anything was proved, cut."""
    return {"database": database[:CLAIM_CHARACTERS], "user": user[:CLAIM_CHARACTERS]}
