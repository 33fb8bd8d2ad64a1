# SPDX-License-Identifier: Apache-2.0
"""asciicast version 3, line by line; asciinema itself judges it in tests/judges."""

from __future__ import annotations

import json
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from support.evidence import NOW

from gatebook.evidence.asciicast import AsciicastWriter, Header


def later(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def test_writes_the_header() -> None:
    header = Header(80, 24, NOW + later(0.7), "t" * 300, 1.5, ("a", "b"))
    assert json.loads(AsciicastWriter(header).header()) == {
        "version": 3,
        "term": {"cols": 80, "rows": 24},
        "timestamp": 1767268800,
        "idle_time_limit": 1.5,
        "title": "t" * 200,
        "tags": ["a", "b"],
    }
    assert AsciicastWriter(Header(1, 2, NOW)).header() == (
        b'{"version":3,"term":{"cols":1,"rows":2},"timestamp":1767268800}\n'
    )


def test_writes_events_with_the_time_since_the_one_before() -> None:
    writer = AsciicastWriter(Header(80, 24, NOW))
    assert writer.output(NOW + later(1.5), "a\r\n") == b'[1.5,"o","a\\r\\n"]\n'
    assert writer.input(NOW + later(1.5), "\x03") == b'[0.0,"i","\\u0003"]\n'
    assert writer.marker(NOW + later(2), "é") == b'[0.5,"m","\\u00e9"]\n'
    assert writer.resize(NOW + later(1), 100, 50) == b'[0.0,"r","100x50"]\n'
    assert writer.exit(NOW + later(2.000001), 3) == b'[1e-06,"x","3"]\n'


@given(st.lists(st.integers(-(10**9), 10**12), max_size=30))
def test_times_add_up_and_never_go_back(moments: list[int]) -> None:
    writer = AsciicastWriter(Header(80, 24, NOW))
    events = [json.loads(writer.output(NOW + timedelta(microseconds=moment), "")) for moment in moments]
    assert all(event[0] >= 0 for event in events)
    total = sum(round(event[0] * 1_000_000) for event in events)
    assert total == max([0, *moments])


@given(st.text())
def test_a_line_is_ascii_on_one_line(text: str) -> None:
    line = AsciicastWriter(Header(80, 24, NOW)).output(NOW, text)
    assert line.endswith(b"\n")
    assert line[:-1].decode("ascii").isprintable()
    assert json.loads(line)[2] == text
