# SPDX-License-Identifier: Apache-2.0
"""A session as a timeline: requests, and what the client saw of their answers."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import NOW, message

from gatebook.evidence.recording import Frame
from gatebook.evidence.replay import Item, replay


def client(*parts: bytes) -> Frame:
    return Frame(">", NOW, b"".join(parts))


def gateway(*parts: bytes) -> Frame:
    return Frame("<", NOW, b"".join(parts))


def query(text: str) -> bytes:
    return message("Q", text.encode() + b"\0")


def columns(*names: str, oid: int = 25, form: int = 0) -> bytes:
    parts = [name.encode() + b"\0" + struct.pack(">IhIhih", 0, 0, oid, -1, -1, form) for name in names]
    return message("T", struct.pack(">h", len(names)) + b"".join(parts))


def row(*values: bytes | None) -> bytes:
    parts = [struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value for value in values]
    return message("D", struct.pack(">h", len(values)) + b"".join(parts))


def done(tag: str) -> bytes:
    return message("C", tag.encode() + b"\0")


def parse(name: str, text: str, *types: int) -> bytes:
    head = f"{name}\0{text}\0".encode()
    return message("P", head + struct.pack(f">h{len(types)}I", len(types), *types))


def bind(name: str, *values: bytes | None, results: tuple[int, ...] = (), forms: tuple[int, ...] = ()) -> bytes:
    parts = [struct.pack(">i", -1) if value is None else struct.pack(">i", len(value)) + value for value in values]
    body = f"\0{name}\0".encode() + struct.pack(f">h{len(forms)}h", len(forms), *forms)
    body += struct.pack(">h", len(values)) + b"".join(parts) + struct.pack(f">h{len(results)}h", len(results), *results)
    return message("B", body)


def error(**fields: str) -> bytes:
    return message("E", b"".join(f"{key}{value}\0".encode() for key, value in fields.items()) + b"\0")


DESCRIBE, EXECUTE, SYNC = message("D", b"Ss\0"), message("E", b"\0\0\0\0\0"), message("S", b"")
PARSED, BOUND, READY = message("1", b""), message("2", b""), message("Z", b"I")


def kinds(*frames: Frame) -> list[str]:
    return [item.kind for item in replay(frames)]


def test_tells_a_simple_query_with_its_rows() -> None:
    timeline = list(
        replay([client(query("select 1")), gateway(columns("a", "b"), row(b"1", None), done("SELECT 1"), READY)])
    )
    assert timeline == [
        Item(NOW, ">", "query", {"text": "select 1"}),
        Item(NOW, "<", "rows", columns=("a", "b"), rows=(("1", None),), count=1),
        Item(NOW, "<", "done", {"tag": "SELECT 1"}),
    ]


def test_counts_rows_that_it_does_not_show() -> None:
    rows = [row(str(number).encode()) for number in range(5)]
    timeline = list(replay([client(query("x")), gateway(columns("a"), *rows, done("SELECT 5"), READY)], shown_rows=2))
    assert (timeline[1].count, timeline[1].rows) == (5, (("0",), ("1",)))


def test_names_columns_of_a_statement_described_before() -> None:
    prepared = [
        client(parse("s", "select $1", 23), DESCRIBE, SYNC),
        gateway(PARSED, message("t", b""), columns("n", oid=23), READY),
    ]
    executed = [
        client(bind("s", b"\0\0\0\7", None, forms=(1,), results=(1,)), EXECUTE, SYNC),
        gateway(BOUND, row(b"\0\0\0\7"), done("SELECT 1"), READY),
    ]
    timeline = list(replay([*prepared, *executed]))
    assert timeline == [
        Item(NOW, ">", "prepare", {"name": "s", "text": "select $1"}),
        Item(NOW, ">", "execute", {"name": "s", "text": "select $1"}, ("7", None)),
        Item(NOW, "<", "rows", columns=("n",), rows=(("7",),), count=1),
        Item(NOW, "<", "done", {"tag": "SELECT 1"}),
    ]


def test_keeps_answers_with_their_requests_in_a_pipeline_with_an_error() -> None:
    asked = client(parse("", "bad"), bind(""), EXECUTE, parse("s", "select 1"), DESCRIBE, SYNC)
    again = client(parse("s", "select 1"), DESCRIBE, bind("s"), EXECUTE, SYNC)
    timeline = list(
        replay(
            [
                asked,
                gateway(error(S="ERROR", C="42501", M="no", D="{}", H="ask", W="here", V="ERROR"), READY),
                again,
                gateway(PARSED, message("t", b""), columns("n"), BOUND, row(b"1"), done("SELECT 1"), READY),
            ]
        )
    )
    assert timeline[3] == Item(
        NOW,
        "<",
        "error",
        {"severity": "ERROR", "sqlstate": "42501", "message": "no", "detail": "{}", "hint": "ask", "where": "here"},
    )
    assert timeline[-2].columns == ("n",)


def test_tells_copies_in_both_directions() -> None:
    timeline = list(
        replay(
            [
                client(query("copy t to stdout")),
                gateway(message("H", b"\0\0\0"), message("d", b"1\n"), message("d", b"2\n"), message("c", b"")),
                gateway(done("COPY 2"), READY),
                client(query("copy t from stdin")),
                gateway(message("G", b"\0\0\0")),
                client(message("d", b"3\n"), message("c", b"")),
                gateway(done("COPY 1"), READY),
                client(message("d", b"4\n"), message("f", b"stop\0")),
            ]
        )
    )
    assert [(item.kind, item.words.get("data"), item.count) for item in timeline if item.kind.startswith("copy")] == [
        ("copy out", "1\n2\n", 4),
        ("copy in", "3\n", 2),
        ("copy in", "4\n", 2),
        ("copy failed", None, 0),
    ]


def test_keeps_only_the_beginning_of_a_copy() -> None:
    timeline = list(replay([gateway(message("d", b"x" * 10_000), done("COPY 1"))]))
    assert (len(timeline[0].words["data"]), timeline[0].count) == (4096, 10_000)


def test_tells_everything_else_by_name() -> None:
    startup = struct.pack(">II", 8 + 15, 196_608) + b"user\0u\0a\0b\0\0\0\0\0"
    assert kinds(
        client(startup, message("F", struct.pack(">I", 7)), message("X", b""), message("H", b"")),
        gateway(
            message("V", struct.pack(">i", -1)),
            message("N", b"SNOTICE\0\0"),
            message("A", b"\0\0\0\1ch\0pay\0"),
            message("s", b""),
            message("I", b""),
            message("n", b""),
            message("K", b""),
        ),
    ) == ["start", "function", "end", "done", "notice", "notification", "suspended", "done"]


def test_tells_the_gate_s_notice_of_a_hold_from_one_of_the_database() -> None:
    notice = b"SNOTICE\0Mwaits\0R%s\0\0"
    (held, other) = replay([gateway(message("N", notice % b"gatebook"), message("N", notice % b"exec_stmt"))])
    assert (held.kind, held.words) == ("held", {"severity": "NOTICE", "message": "waits"})
    assert other.kind == "notice"


def test_forgets_a_description_when_the_name_is_prepared_anew() -> None:
    timeline = list(
        replay(
            [
                client(parse("s", "a"), DESCRIBE, SYNC),
                gateway(PARSED, columns("old"), READY),
                client(parse("s", "b"), bind("s"), EXECUTE, message("C", b"Ss\0"), SYNC),
                gateway(PARSED, BOUND, row(b"1"), done("SELECT 1"), message("3", b""), READY),
            ]
        )
    )
    assert timeline[-2].columns == ()


def test_says_where_a_direction_cannot_be_read_and_goes_on_with_the_other() -> None:
    assert kinds(client(b"\x1b[2J12345"), client(query("x")), gateway(done("OK"))) == ["unreadable", "done"]


def test_says_that_a_message_was_too_large(monkeypatch: Any) -> None:  # noqa: ANN401  pytest's
    monkeypatch.setattr("gatebook.evidence.messages.MAX_MESSAGE_BYTES", 10)
    assert kinds(client(query("x" * 100))) == ["large"]


@given(st.lists(st.tuples(st.sampled_from("<>"), st.binary(max_size=60))))
def test_raises_nothing_on_garbage(pieces: list[tuple[str, bytes]]) -> None:
    assert isinstance(kinds(*(Frame(direction, NOW, data) for direction, data in pieces)), list)


@given(
    st.lists(st.tuples(st.sampled_from("<>"), st.sampled_from("QPBDECSFHdcfX12ntTDCsIVENAZ"), st.binary(max_size=40)))
)
def test_raises_nothing_on_messages_without_sense(pieces: list[tuple[str, str, bytes]]) -> None:
    frames = [Frame(direction, NOW, message(kind, payload)) for direction, kind, payload in pieces]
    assert isinstance(kinds(*frames), list)


def test_remembers_only_so_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook.evidence.replay.SHOWN_NAMES", 1)
    timeline = list(
        replay(
            [
                client(parse("a", "select 1"), DESCRIBE.replace(b"s\0", b"a\0"), SYNC),
                gateway(PARSED, columns("x"), READY),
                client(parse("b", "select 2"), message("D", b"Sb\0"), bind("b"), SYNC),
                gateway(PARSED, columns("y"), BOUND, READY),
                client(message("B", b"p\0b\0" + bytes(6)), message("E", b"p\0\0\0\0\0"), SYNC),
                gateway(BOUND, row(b"1", b"2"), done("SELECT 1"), READY),
            ]
        )
    )
    assert [item.words["text"] for item in timeline if item.kind == "execute"] == ["", ""]
    assert timeline[-2].rows == (("1", "2"),)


def test_ignores_an_answer_that_nobody_asked_for() -> None:
    assert kinds(gateway(PARSED, BOUND, message("3", b""), READY)) == []


def test_one_format_may_serve_all_values_or_fall_short() -> None:
    asked = [
        client(parse("", "x", 23, 23, 23), bind("", b"\0\0\0\1", b"\0\0\0\2", b"3", forms=(1, 1)), SYNC),
        client(bind("", b"\0\0\0\1", b"\0\0\0\2", forms=(1,)), SYNC),
    ]
    assert [item.parameters for item in replay(asked) if item.kind == "execute"] == [("1", "2", "3"), ("1", "2")]
