# SPDX-License-Identifier: Apache-2.0
"""A no in PostgreSQL's words: fields without NUL or line break, DETAIL one JSON object for agents."""

from __future__ import annotations

import json

import pytest

from gatebook.model.decision import Refused
from gatebook.protocols.postgres import refusals


def _fields(refused: Refused) -> dict[str, str]:
    """The fields as they were given to the native refusal."""
    made: dict[str, str] = {}

    def note(**fields: str) -> None:
        made.update(fields)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(refusals, "Refusal", note)
        refusals.render(refused)
    return made


def test_a_policys_no_is_insufficient_privilege_with_an_object_for_agents() -> None:
    refused = Refused(
        "policy.denied", "no", "ask", facts=(("denied", ("drop shop.db.public.orders",)), ("policy_hash", "sha256:0"))
    )
    fields = _fields(refused)
    assert fields["sqlstate"] == "42501"
    assert fields["message"] == "gatebook: no"
    assert fields["hint"] == "ask"
    assert json.loads(fields["detail"]) == {
        "code": "policy.denied",
        "denied": ["drop shop.db.public.orders"],
        "operation": "{operation}",
        "policy_hash": "sha256:0",
    }


@pytest.mark.parametrize(
    ("code", "sqlstate"), [("authn.failed", "28P01"), ("admit.denied", "28000"), ("policy.opaque", "42501")]
)
def test_each_code_has_its_sqlstate(code: str, sqlstate: str) -> None:
    assert _fields(Refused(code, "no", ""))["sqlstate"] == sqlstate


def test_no_field_can_be_cut_by_a_nul_or_broken_by_a_line() -> None:
    fields = _fields(Refused("policy.denied", "a\x00b\nc", "d\r\n e", facts=(("denied", ("x\x00y",)),)))
    assert fields["message"] == "gatebook: ab c"
    assert fields["hint"] == "d e"
    assert "\x00" not in fields["detail"]
    assert "\n" not in fields["detail"]


def test_a_long_message_is_cut() -> None:
    assert len(_fields(Refused("policy.denied", "x" * 5000, ""))["message"]) == 1000
