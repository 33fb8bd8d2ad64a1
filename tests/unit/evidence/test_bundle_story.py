# SPDX-License-Identifier: Apache-2.0
"""What a bundle tells: sessions with their operations, logins, the rest by kind."""

from __future__ import annotations

from typing import Any

from support.evidence import end, held, intent, leaf, outcome, session_leaf

from gatebook.evidence.bundle_story import tell
from gatebook.evidence.entry import Leaf, decode_leaf

START = session_leaf("session.start", 0, recording={}, upstream={}, parameters={"application_name": "x", "n": 7})
PRIVATE: dict[int, Leaf] = {
    11: {"text": "SELECT $1", "params": [{"text": "a"}, {"null": True}, {"base64": "eA=="}, 7]},
    12: {"error": {"message": "it failed"}},
    13: {"text": {"bytes": 9, "sha256": "sha256:ab"}},
}


def story(*entries: bytes) -> Any:  # noqa: ANN401  the story, asked for many things
    leaves = [(10 + number, decode_leaf(entry)) for number, entry in enumerate(entries)]
    return tell(leaves, lambda index, _: PRIVATE.get(index, {}))


def test_tells_sessions_with_statements_parameters_and_errors() -> None:
    told = story(START, intent(1, 1), outcome(1, 2), intent(2, 3), end(4))
    (session,) = told.sessions.values()
    assert (session.index, session.parameters) == (10, {"application_name": "x", "n": "7"})
    first, second = session.operations
    assert (first.index, first.text, first.params) == (11, "SELECT $1", ["a", "NULL", "eA==", "7"])
    assert (first.error, first.summary.status) == ("it failed", "done")
    assert (second.text, second.summary.status) == ("{'bytes': 9, 'sha256': 'sha256:ab'}", "")
    assert (told.operations, session.summary.cause) == (2, "client closed")


def test_an_operation_that_was_held_is_told_once() -> None:
    (session,) = story(START, held(1, 1), intent(1, 2), outcome(1, 3), held(2, 4), end(5)).sessions.values()
    assert [(one.index, one.summary.number, one.summary.status) for one in session.operations] == [
        (12, 1, "done"),
        (14, 2, ""),
    ]
    assert [one.summary.result for one in session.operations] == ["", "held"]


def test_tells_logins_and_counts_the_rest() -> None:
    odd = leaf("authn", time="noon")
    told = story(
        leaf("authn", result="refused", failed="key"), odd, leaf("heartbeat"), leaf("heartbeat"), outcome(9, 1)
    )
    assert [login.failed for login in told.logins] == ["key"]
    assert told.others == {"heartbeat": 2, "not in its form": 1, "operation.outcome": 1}


def test_what_has_no_session_or_another_form_is_told_as_the_rest() -> None:
    told = story(intent(1, 1), end(2), session_leaf("session.start", 0, parameters=7, time="noon"))
    assert told.sessions == {}
    assert told.others == {"operation.intent": 1, "session.end": 1, "not in its form": 1}
