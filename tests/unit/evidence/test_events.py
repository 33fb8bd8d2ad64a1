# SPDX-License-Identifier: Apache-2.0
"""The catalogue of events: the same in code and specification, and checked on every leaf."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from gatebook.evidence.entry import EntryFault
from gatebook.evidence.events import EVENTS, check_leaf

SPEC = Path(__file__).parents[3] / "docs" / "spec" / "entry.md"
STOP: dict[str, Any] = {
    "event": "gateway.stop",
    "time": "2026-01-01T00:00:00.000000Z",
    "v": 1,
    "writer": "gate",
    "cause": "signal",
    "sessions": 0,
}
END: dict[str, Any] = STOP | {
    "event": "session.end",
    "session": "s_1",
    "seq": 3,
    "identity": {},
    "source": {},
    "where": {},
    "counts": {},
}


def rows() -> dict[str, tuple[str, str]]:
    """Return the table `Kinds`: event to writer and members."""
    found: dict[str, tuple[str, str]] = {}
    table = SPEC.read_text().split("## Kinds")[1].split("\n\n")[1]
    for line in table.splitlines()[2:]:
        names, writer, members = (cell.strip() for cell in line.strip("|").split(" | "))
        for name in re.findall(r"`([a-z.]+)`", names):
            found[name] = (writer, members)
    return found


def test_specification_lists_the_same_events_and_writers() -> None:
    assert {name: writer for name, (writer, _) in rows().items()} == {kind.name: kind.writer for kind in EVENTS}


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.name)
def test_specification_names_every_member(kind: Any) -> None:  # noqa: ANN401  an EventKind
    members = rows()[kind.name][1]
    if members.startswith("as intent"):
        members += rows()["operation.intent"][1]
    assert kind.members - set(re.findall(r"`([a-z0-9_]+)`", members)) == set()


def test_knows_a_leaf_that_is_right() -> None:
    assert check_leaf(STOP, "gate").name == "gateway.stop"
    assert check_leaf(END, "gate").in_session


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (STOP | {"event": "gateway.pause"}, "its event is not in the catalogue"),
        ({}, "its event is not in the catalogue"),
        ({key: value for key, value in STOP.items() if key != "cause"}, "gateway.stop lacks `cause`"),
        ({key: value for key, value in END.items() if key != "seq"}, "session.end lacks `seq`"),
        (STOP | {"v": 2}, "its version is not 1"),
        (STOP | {"v": True}, "its version is not 1"),
        (STOP | {"writer": "other"}, "its writer is another than its journal's"),
        (STOP | {"time": "today"}, "a time is not RFC 3339"),
        (STOP | {"time": 7}, "a time is not RFC 3339"),
        (END | {"seq": -1}, "its seq is no count"),
        (END | {"seq": True}, "its seq is no count"),
        (END | {"seq": "1"}, "its seq is no count"),
        (END | {"session": 7}, "its session is no string"),
    ],
)
def test_names_what_is_wrong_with_a_leaf(leaf: dict[str, Any], message: str) -> None:
    with pytest.raises(EntryFault, match=message):
        check_leaf(leaf, "gate")


def test_lets_pass_a_member_that_a_later_version_may_add() -> None:
    assert check_leaf(STOP | {"later": 1}, "gate").name == "gateway.stop"
