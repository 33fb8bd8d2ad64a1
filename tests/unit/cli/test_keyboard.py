# SPDX-License-Identifier: Apache-2.0
"""Keys as terminals send them; what is given back is tested with the player, on a terminal."""

from __future__ import annotations

import os
import pty

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.cli.keyboard import Terminal, parse_keys


@pytest.mark.parametrize(
    ("sent", "keys"),
    [
        ("q +", ["q", " ", "+"]),
        ("\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
        ("\x1bOA\x1bOD\x1bOH", ["up", "left", "home"]),
        ("\x1b[5~\x1b[6~\x1b[1~\x1b[4~\x1b[H\x1b[F", ["page up", "page down", "home", "end", "home", "end"]),
        ("\r\n\x7f\x08", ["enter", "enter", "backspace", "backspace"]),
        ("\x04", ["q"]),
        ("\x1b", ["escape"]),
        ("\x1bx", ["escape", "x"]),
        ("\x1b[1;5C\x1b[200~n", ["n"]),
        ("\x1b[", []),
        ("\x07\x9b\u202eé日", ["é", "日"]),
    ],
)
def test_reads_keys(sent: str, keys: list[str]) -> None:
    assert list(parse_keys(sent)) == keys


@given(st.text())
def test_gives_printable_keys_whatever_comes(sent: str) -> None:
    assert all(key.isprintable() for key in parse_keys(sent))


def test_waits_for_the_rest_of_a_character_and_of_a_sequence() -> None:
    master, slave = pty.openpty()
    try:
        terminal = Terminal(slave, slave)
        terminal.enter()
        assert terminal.read_keys(0) == []
        os.write(master, "é".encode()[:1])
        assert terminal.read_keys(1) == []
        os.write(master, "é".encode()[1:] + b"\x1b[C")
        assert terminal.read_keys(1) == ["é", "right"]
        assert terminal.size == (80, 24)
        terminal.leave()
    finally:
        os.close(master)
        os.close(slave)


def test_quits_where_the_terminal_is_gone() -> None:
    master, slave = pty.openpty()
    terminal = Terminal(slave, slave)
    os.close(master)
    assert terminal.read_keys(1) == ["q"]
    terminal.leave()
    os.close(slave)
