# SPDX-License-Identifier: Apache-2.0
"""Files of a timeline; `gatebook sessions export` shows them whole in tests/unit/cli/test_export.py."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence import NOW, SESSION

from gatebook.evidence.replay import Item
from gatebook.evidence.timeline import number_points
from gatebook.evidence.transcript import FORMS, About, session_facts, write_asciicast, write_text

ABOUT = About(SESSION, {"agent": "a\x1b[2J"}, {1: 0, 2: 0, 3: 9}, 1.0)


def test_a_recording_of_nothing_is_a_head() -> None:
    assert b"".join(write_text(ABOUT, [])) == b"session  s_abcdef\nagent    a\\x1b[2J\n"
    assert len(list(write_asciicast(ABOUT, []))) == 1


def test_names_all_operations_of_a_message() -> None:
    items = [Item(NOW, ">", "query", {"text": "a; b"}), Item(NOW, "<", "done"), Item(NOW, ">", "end", offset=9)]
    text = b"".join(write_text(ABOUT, number_points(items))).decode()
    assert "> query  (operations 1 to 2)" in text
    assert "> says goodbye  (operation 3)" in text
    assert "< done\n" in text
    lines = [json.loads(line) for line in write_asciicast(ABOUT, number_points(items))]
    assert [line[2] for line in lines[1:] if line[1] == "m"] == ["operations 1 to 2: a; b", "operation 3: end"]


def test_cuts_the_label_of_a_marker() -> None:
    items = [Item(NOW, ">", "query", {"text": "x\n" * 500}, offset=5)]
    marker = json.loads(list(write_asciicast(ABOUT, number_points(items)))[2])
    assert marker[2] == "x " * 38 + "x..."


def test_gives_the_facts_that_are_known() -> None:
    assert session_facts(NOW, {"a": "", "b": "c"}) == {"started": "2026-01-01T12:00:00.000000Z", "b": "c"}


@pytest.mark.parametrize("form", sorted(FORMS))
@given(st.text())
def test_every_form_is_harmless_whatever_was_said(form: str, text: str) -> None:
    items = [
        Item(NOW, ">", "start", {text: text}),
        Item(NOW, ">", "query", {"text": text}),
        Item(NOW, "<", "rows", columns=(text,), rows=((text,),), count=1),
        Item(NOW, "<", "error", {"message": text, "detail": text}),
    ]
    for piece in FORMS[form](About(SESSION, {"agent": text}), number_points(items)):
        lines = piece.decode().removesuffix("\n").split("\n")
        assert all(line.isprintable() for line in lines)
