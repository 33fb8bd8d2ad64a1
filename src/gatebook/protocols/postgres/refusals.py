# SPDX-License-Identifier: Apache-2.0
"""No, in PostgreSQL's words: the fields of an ErrorResponse. How it is answered in a pipeline: rust/wire `refusal.rs`.

Source: PostgreSQL documentation, "Error and Notice Message Fields", Appendix A for the codes.
"""

from __future__ import annotations

import json
from typing import Final

from gatebook.model.decision import Refused
from gatebook.native.pure import Refusal

# LIMIT: characters of a message; clients show it on one line.
MESSAGE_CHARACTERS: Final = 1000

_SQLSTATES: Final = {
    "authn.failed": "28P01",
    "authn.throttled": "53300",
    "admit.denied": "28000",
    "evidence.failed": "58030",
    "evidence.unwitnessed": "58030",
    "gate.ended": "57P01",
    "upstream.failed": "08001",
    "approval.held": "01000",  # of a notice, not of an error
    "approval.cancelled": "57014",
}
_DEFAULT: Final = "42501"  # insufficient_privilege


def render(refused: Refused) -> Refusal:
    """Return the native refusal; DETAIL is a JSON object for agents, in which the operation's id is filled in later."""
    members = {key: list(value) if isinstance(value, tuple) else value for key, value in refused.facts}
    members |= {"code": refused.code, "operation": "{operation}"}
    detail = json.dumps(members, sort_keys=True, ensure_ascii=False)
    return Refusal(
        sqlstate=_SQLSTATES.get(refused.code, _DEFAULT),
        message=_line(f"gatebook: {refused.message}"),
        detail=detail.replace("\x00", ""),
        hint=_line(refused.hint),
        code=refused.code,
    )


def _line(words: str) -> str:
    """One line without NUL, which would end the field on the wire."""
    flat = " ".join(words.replace("\x00", "").split())
    return flat[:MESSAGE_CHARACTERS]
