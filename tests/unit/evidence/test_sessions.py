# SPDX-License-Identifier: Apache-2.0
"""Summaries of sessions and operations out of leaves, whole or not."""

from __future__ import annotations

from typing import Any

import pytest
from support.evidence import NOW, SESSION, held, intent, leaf, moment, outcome, refused, session_leaf, start

from gatebook.evidence import sessions
from gatebook.evidence.entry import EntryFault, decode_leaf


def test_tells_who_and_where() -> None:
    data = session_leaf(
        "session.start",
        0,
        identity={"person": {"sub": "alice"}, "role": "reader"},
        where={"target": "t", "database": "d", "account": "a"},
        source={"ip": "::1", "port": 7},
        recording={},
        upstream={},
        parameters={},
    )
    session = sessions.summarise_start(decode_leaf(data))
    assert (session.id, session.writer, session.started_at) == (SESSION, "gate", NOW)
    assert (session.principal, session.owner, session.role) == ("alice", "", "reader")
    assert (session.target, session.database, session.account, session.address) == ("t", "d", "a", "::1:7")
    sessions.summarise_end(session, decode_leaf(leaf("session.end", cause="x", counts={"rows": 7})))
    assert (session.ended_at, session.cause, session.counts) == (NOW, "x", {"rows": 7})


def test_tells_an_operation_and_its_executions() -> None:
    members: dict[str, Any] = {
        "action": {"verb": "SELECT", "shape": "s", "accesses": [["select", "t"], "odd"]},
        "decision": {"result": "allow", "policies": ["p"], "reasons": ["r"]},
    }
    operation = sessions.summarise_operation(decode_leaf(intent(12, 1, **members)))
    assert (operation.number, operation.verb, operation.accesses) == (12, "SELECT", [("select", "t")])
    assert (operation.result, operation.policies, operation.reasons) == ("allow", ["p"], ["r"])
    effect = {"status": "done", "rows": 5, "duration_us": 10, "tag": "SELECT 5"}
    for _ in range(2):
        sessions.summarise_outcome(operation, decode_leaf(outcome(12, 2, effect=effect)))
    assert (operation.status, operation.rows, operation.duration_us, operation.executions) == ("done", 10, 20, 2)


def test_tells_that_an_operation_is_held_and_how_long_it_was() -> None:
    waits = sessions.summarise_operation(decode_leaf(held(3, 1, decision={"result": "hold"})))
    assert (waits.result, waits.decided, waits.held_at) == ("held", "held", NOW)
    later = {"time": moment(90.4)}
    allowed = sessions.summarise_operation(decode_leaf(intent(3, 2, decision={"result": "allow"}, **later)), waits)
    assert (allowed.result, allowed.decided, allowed.held_at) == ("allow", "allow, held 90 s", NOW)
    no = sessions.summarise_operation(decode_leaf(refused(3, 2, **later)), waits)
    assert (no.result, no.decided) == ("refuse", "refuse, held 90 s")
    assert sessions.summarise_operation(decode_leaf(refused(4, 3))).decided == "refuse"


def test_takes_leaves_that_say_nothing() -> None:
    session = sessions.summarise_start(decode_leaf(start()))
    assert (session.principal, session.address) == ("", ":0")
    odd = decode_leaf(intent(1, 1, operation="x.y", action=7, decision="z"))
    operation = sessions.summarise_operation(odd)
    assert (operation.number, operation.verb, operation.result) == (0, "", "")


def test_refuses_a_time_that_is_none() -> None:
    with pytest.raises(EntryFault):
        sessions.summarise_start({})
