# SPDX-License-Identifier: Apache-2.0
"""Sessions that are inside, and what a gate says to those that cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gatebook.model.decision import Refused
from gatebook.serve.catalogues import DatabaseCatalogue
from gatebook.session.gate import Session

NO_EVIDENCE: Final = Refused(
    "evidence.failed", "evidence cannot be written, so nothing runs", "tell the operator of the gate"
)
CHANGED: Final = Refused("gate.ended", "the rules of the gate changed during this login", "log in again")
THROTTLED: Final = Refused(
    "authn.throttled",
    "too many failed logins: this one was not looked at",
    "wait a minute, and mend what keeps failing",
)


@dataclass(frozen=True, slots=True)
class Live:
    """A session that is inside."""

    session: Session
    database: DatabaseCatalogue
