# SPDX-License-Identifier: Apache-2.0
"""The picture of time: well-formed, within its frame, colour never alone."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from support.evidence import end, intent, moment, outcome, session_leaf

from gatebook.evidence.bundle_story import ToldSession, tell
from gatebook.evidence.bundle_timeline import LEFT, MAX_MARKS, MAX_ROWS, RIGHT, WIDTH, draw_timeline
from gatebook.evidence.entry import decode_leaf


def session(name: str = "s_1", operations: int = 3, at: float = 0) -> list[ToldSession]:
    entries = [session_leaf("session.start", 0, name, parameters={}, time=moment(at))]
    entries += [intent(number, number, name, time=moment(at + number)) for number in range(1, operations + 1)]
    if operations > 1:
        entries.append(outcome(1, 9, name, effect={"status": "error"}))
        entries.append(session_leaf("operation.refused", 10, name, operation=f"{name}.99", time=moment(at + 2)))
    entries.append(end(11, name).replace(moment().encode(), moment(at + 5).encode()))
    return list(tell(enumerate(map(decode_leaf, entries)), lambda *_: {}).sessions.values())


def shapes(picture: str) -> list[str]:
    root = ET.fromstring(picture)
    return [one.tag for one in root]


def test_each_kind_of_end_has_a_shape_of_its_own() -> None:
    picture = draw_timeline(session())
    assert shapes(picture).count("rect") == 1
    assert shapes(picture).count("circle") == 1
    assert picture.count('stroke="#9b1c1c"') == 1
    assert "cross: refused" in picture


def test_marks_stay_within_the_frame_also_when_clocks_went_back() -> None:
    picture = draw_timeline([*session("s_2", at=60), *session("s_1", at=-60)])
    places = [float(one.attrib["x"]) for one in ET.fromstring(picture) if one.tag == "rect"]
    assert places[1] == LEFT
    assert all(LEFT <= place <= WIDTH - RIGHT for place in places)


def test_a_moment_is_a_picture_too() -> None:
    (alone,) = session(operations=0)
    alone.summary.ended_at = alone.summary.started_at
    assert shapes(draw_timeline([alone])).count("rect") == 1
    assert draw_timeline([]) == ""


def test_is_bounded_and_escaped() -> None:
    many = draw_timeline(session(operations=MAX_MARKS + 50) * (MAX_ROWS + 3))
    assert "3 sessions more are below" in many
    assert shapes(many).count("rect") == MAX_ROWS
    assert len(many) < 4_000_000
    (odd,) = session()
    odd.summary.id = '<x>\x1b"'
    assert "&lt;x&gt;\\x1b&quot;" in draw_timeline([odd])


def test_an_operation_that_people_were_asked_about_has_a_dot() -> None:
    (one,) = session(operations=1)
    assert shapes(draw_timeline([one])).count("circle") == 0
    one.operations[0].approval = "apr_1"
    assert shapes(draw_timeline([one])).count("circle") == 1
    assert "dot: people were asked" in draw_timeline([one])
