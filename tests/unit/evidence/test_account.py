# SPDX-License-Identifier: Apache-2.0
"""The account of a writer: everything counted, and what nobody accounts for found."""

from __future__ import annotations

import json
from datetime import timedelta

from support.evidence import (
    NOW,
    canonical,
    chunk_leaf,
    end,
    held,
    intent,
    leaf,
    moment,
    outcome,
    sealed_leaf,
    session_leaf,
    start,
)

from gatebook.evidence.account import ALWAYS, Account, Period
from gatebook.evidence.entry import decode_leaf

REFUSED = session_leaf(
    "operation.refused", 2, operation="s_abcdef.2", via="query", statement={}, recording={}, refusal={}
)
SESSION = [start(), intent(1, 1), REFUSED, outcome(1, 3), end(4)]
GATE_START = leaf("gateway.start", version="0", policy="p", config="c")
GATE_STOP = leaf("gateway.stop", cause="told to stop", sessions=0)


def at(seconds: float, data: bytes) -> bytes:
    """The same leaf at another time."""
    return canonical(json.loads(data) | {"time": moment(seconds)})


def account(*leaves: bytes, period: Period = ALWAYS, lives: bool = False, seconds: float = 0) -> Account:
    made = Account("gate", 60, period)
    for data in leaves:
        made.add(decode_leaf(data))
    made.finish(NOW + timedelta(seconds=seconds), writer_lives=lives)
    return made


def told(made: Account) -> dict[str, int]:
    return {name: count for name, count in made.counts.items() if count}


def found(made: Account) -> list[tuple[str, bool]]:
    return [(one.name, one.accounted) for one in (*made.report.findings, *made.report.accounted)]


def login(result: str) -> bytes:
    return leaf("authn", result=result, checks=[], claimed={}, source={})


def test_counts_everything_of_a_whole_run() -> None:
    made = account(
        GATE_START,
        login("accepted"),
        *SESSION,
        sealed_leaf([], 0),
        login("refused"),
        login("refused"),
        leaf("authn.counted", source={}, failures=7, checks={}, seconds=60),
        leaf("heartbeat", sessions=0, journal=9, clock="synchronised"),
        leaf("failure", what="the disk", action="refused"),
        GATE_STOP,
    )
    assert told(made) == {
        "entries": 14,
        "starts": 1,
        "stops": 1,
        "heartbeats": 1,
        "sessions opened": 1,
        "sessions ended": 1,
        "operations intended": 1,
        "operations refused": 1,
        "outcomes": 1,
        "logins accepted": 1,
        "logins refused": 2,
        "logins counted": 7,
        "recordings sealed": 1,
        "failures": 1,
    }
    assert (found(made), made.is_running, made.first, made.last) == ([], False, NOW, NOW)
    assert list(made.failures) == [(NOW, "the disk", "refused")]


def test_what_is_held_is_counted_and_no_gap() -> None:
    made = account(GATE_START, start(), held(1, 1), intent(1, 2), outcome(1, 3), held(2, 4), end(5), sealed_leaf([], 0))
    assert (told(made)["operations held"], told(made)["operations intended"]) == (2, 1)
    assert [name for name, _ in found(made)] == ["run_without_stop"]


def test_what_is_open_in_a_gate_that_lives_is_no_gap() -> None:
    made = account(GATE_START, start(), intent(1, 1), intent(2, 2), outcome(1, 3), lives=True)
    assert (found(made), made.is_running) == ([], True)
    assert told(made)["sessions open"] == told(made)["operations open"] == told(made)["recordings open"] == 1
    assert not {"sessions without end", "operations without outcome", "recordings unsealed"} & told(made).keys()


def test_what_is_open_where_nobody_lives_is() -> None:
    made = account(GATE_START, start(), intent(1, 1), intent(2, 2), outcome(1, 3))
    assert found(made) == [
        ("session_without_end", False),
        ("intent_without_outcome", False),
        ("run_without_stop", False),
    ]
    assert "operations without outcome: 2" in made.report.findings[1].words
    counts = told(made)
    assert (counts["sessions without end"], counts["operations without outcome"], counts["runs without stop"]) == (
        1,
        1,
        1,
    )
    assert "sessions open" not in counts


def test_a_crash_that_the_gate_wrote_down_is_accounted_for() -> None:
    lost = leaf("session.lost", session="s_abcdef", cause="gateway lost", open=["s_abcdef.2"], last_seq=2)
    made = account(GATE_START, start(), intent(1, 1), intent(2, 2), sealed_leaf([], 0), lost, GATE_START, GATE_STOP)
    assert [name for name, accounted in found(made) if not accounted] == ["session_lost_differs"]
    lost = leaf("session.lost", session="s_abcdef", cause="gateway lost", open=["s_abcdef.1", "s_abcdef.2"], last_seq=2)
    made = account(GATE_START, start(), intent(1, 1), intent(2, 2), sealed_leaf([], 0), lost, GATE_START, GATE_STOP)
    assert found(made) == [("session_lost", True), ("intent_without_outcome", True), ("run_without_stop", True)]
    counts = told(made)
    assert (counts["sessions lost"], counts["operations without outcome"], counts["runs without stop"]) == (1, 2, 1)


def test_entries_that_are_gone_from_a_session_are_gaps() -> None:
    made = account(GATE_START, start(), outcome(1, 3), outcome(1, 3), end(4), sealed_leaf([], 0), GATE_STOP)
    assert (told(made)["seq gaps"], told(made)["seq twice"]) == (1, 1)
    assert {name for name, _ in found(made)} == {"seq_missing", "seq_twice", "outcome_without_intent"}


def test_a_portal_executed_again_is_one_operation() -> None:
    executed = [outcome(1, 2, execution=1), outcome(1, 3, execution=2)]
    made = account(start(), intent(1, 1), *executed, intent(2, 4), lives=True)
    assert (told(made)["operations open"], told(made)["outcomes"]) == (1, 2)


def test_a_recording_that_was_not_sealed_is_found_once_nobody_can() -> None:
    for lives, name in ((True, "recordings open"), (False, "recordings unsealed")):
        made = account(*SESSION, lives=lives)
        assert told(made)[name] == 1
        assert found(made) == ([] if lives else [("recording_unsealed", False)])


def test_a_recording_whose_seal_is_not_its_chunks_is_found() -> None:
    data = bytes(16)
    made = account(*SESSION, chunk_leaf(0, data, 1), sealed_leaf([data], 2))
    assert found(made) == [("recording_seal", False)]


def test_only_what_is_in_the_period_is_counted_and_found() -> None:
    period = Period(NOW + timedelta(seconds=100), NOW + timedelta(seconds=200))
    gap = [at(10, start(session="s_b")), at(20, outcome(1, 3, session="s_b")), at(30, end(4, session="s_b"))]
    leaves = [
        GATE_START,
        *gap,
        *(at(150, data) for data in SESSION),
        at(150, sealed_leaf([], 0)),
        at(300, login("refused")),
    ]
    made = account(*leaves, period=period, lives=True, seconds=400)
    assert (told(made)["entries"], told(made)["sessions opened"], told(made).get("logins refused")) == (6, 1, None)
    assert found(made) == []
    assert (made.first, made.last) == (NOW + timedelta(seconds=150),) * 2
    assert {name for name, _ in found(account(*leaves, lives=True))} == {"seq_missing", "outcome_without_intent"}


def test_a_session_that_began_behind_the_period_is_not_its_gap() -> None:
    early = Period(None, NOW + timedelta(seconds=50))
    leaves = [GATE_START, at(100, start())]
    assert found(account(*leaves, period=early)) == [("run_without_stop", False)]
    assert found(account(*leaves, period=early, lives=True, seconds=10**6)) == [], "of its silence now nothing is asked"
    later = account(*leaves, period=Period(NOW + timedelta(seconds=60), None))
    assert ("session_without_end", False) in found(later)
    assert "sessions without end" not in told(account(*leaves, period=early))


def test_outcomes_without_intents_do_not_count_against_others() -> None:
    made = account(GATE_START, start(), outcome(1, 1), outcome(2, 2), intent(3, 3), lives=True)
    assert told(made)["operations open"] == 1
