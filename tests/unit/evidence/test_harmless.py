# SPDX-License-Identifier: Apache-2.0
"""Nothing that a peer sent acts on the terminal of who reads it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.evidence.harmless import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
        ("a\r\n\tb", "a\\r\\n\\tb"),
        ("\u202eevil", "\\u202eevil"),
        ("\x9b2J", "\\x9b2J"),
        ("\U000e0041", "\\U000e0041"),
        ("plain é 日", "plain é 日"),
    ],
)
def test_makes_everything_visible_that_a_terminal_could_act_on(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text())
def test_gives_printable_text_whatever_comes(text: str) -> None:
    assert harmless(text).isprintable()
