# SPDX-License-Identifier: Apache-2.0
"""Attempts to log in, gathered from the leaves of a journal for people who look."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gatebook.evidence.entry import Leaf, Value, parse_time


@dataclass(frozen=True, slots=True)
class LoginSummary:
    """An attempt at a glance; or, with `times` above 1, several of a source that have no entry of their own.

    `failed` is the check that failed; of several, each with its number. `reason` says more of one in the handshake.
    """

    at: datetime
    source: str
    user: str
    target: str
    result: str
    failed: str
    credential: str
    session: str
    times: int = 1
    reason: str = ""


def summarise_login(leaf: Leaf) -> LoginSummary:
    """Return the attempt that an `authn` or `authn.counted` tells. EntryFault if its time has not its form."""
    at, source = parse_time(_text(leaf, "time")), _text(_object(leaf, "source"), "ip")
    if leaf.get("event") == "authn.counted":
        failures, checks = leaf.get("failures"), _object(leaf, "checks")
        told = ", ".join(f"{name} {count}" for name, count in sorted(checks.items()))
        times = failures if isinstance(failures, int) else 0
        return LoginSummary(at, source, "", "", "refused", told, "", "", times)
    claimed = _object(leaf, "claimed")
    return LoginSummary(
        at=at,
        source=source,
        user=_text(claimed, "user"),
        target=_text(claimed, "database"),
        result=_text(leaf, "result"),
        failed=_text(leaf, "failed") or ("policy" if leaf.get("refusal") == "admit.denied" else ""),
        credential=_text(leaf, "credential"),
        session=_text(leaf, "admitted"),
        reason=_text(leaf, "reason"),
    )


def _object(leaf: Leaf, name: str) -> dict[str, Value]:
    part = leaf.get(name)
    return part if isinstance(part, dict) else {}


def _text(leaf: Leaf, name: str) -> str:
    part = leaf.get(name)
    return part if isinstance(part, str) else ""
