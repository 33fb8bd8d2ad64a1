# SPDX-License-Identifier: Apache-2.0
"""A terminal that is taken for a while, its keys, and the promise that it is given back as it was, whatever happens.

The promise holds for the end of the block, for exceptions, for SIGINT, SIGTERM, SIGHUP and SIGQUIT, and while the
process is stopped by SIGTSTP. SIGKILL cannot be caught: `reset` helps there.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

MAX_READ = 4096
GONE = b"\x04"  # what is read of a terminal that is gone: the key ^D, which quits
# Another screen, so that what was on the terminal stays; no cursor; lines that are too long do not wrap.
ENTER = b"\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[H\x1b[2J"
LEAVE = b"\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
ESCAPE_WAIT_S = 0.05  # what follows an escape character within it is one key

_ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_SEQUENCES = {
    "[A": "up",
    "[B": "down",
    "[C": "right",
    "[D": "left",
    "[H": "home",
    "[F": "end",
    "[1~": "home",
    "[4~": "end",
    "[5~": "page up",
    "[6~": "page down",
    **{
        f"O{letter}": name
        for letter, name in zip("ABCDHF", ("up", "down", "right", "left", "home", "end"), strict=True)
    },
}
_CONTROLS = {"\r": "enter", "\n": "enter", "\x7f": "backspace", "\x08": "backspace", "\x04": "q"}


_Handler = Callable[[int, FrameType | None], None]


class Ended(BaseException):
    """A signal that ends the process came; it is raised again once the terminal is as it was."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Terminal:
    """A terminal of which `taken` gave the control."""

    def __init__(self, keys: int, screen: int) -> None:
        self._keys = keys
        self._screen = screen
        self._before = termios.tcgetattr(keys)
        self._rest = b""
        self.is_resized = True

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows; 80 and 24 where the terminal does not tell."""
        cols, rows = os.get_terminal_size(self._screen)
        return cols or 80, rows or 24

    def draw(self, data: bytes) -> None:
        """Write to the terminal, whole."""
        while data:
            data = data[os.write(self._screen, data) :]

    def read_keys(self, timeout_s: float) -> list[str]:
        """Return the keys that were pressed, after waiting for the first; empty when the time is over or a signal came.

        A character is itself; other keys have names such as `left`. `q` when the terminal is gone.
        """
        if not self._is_ready(timeout_s):
            return []
        data = self._rest + self._read()
        while data.endswith((b"\x1b", b"\x1b[", b"\x1bO")) and self._is_ready(ESCAPE_WAIT_S):
            data += self._read()
        whole = _whole_utf8(data)
        self._rest = data[whole:]
        return list(parse_keys(data[:whole].decode("utf-8", "replace")))

    def enter(self) -> None:
        """Take the terminal: keys come at once and unseen, ^C and ^Z stay signals."""
        tty.setcbreak(self._keys, termios.TCSADRAIN)
        self.draw(ENTER)
        self.is_resized = True

    def leave(self) -> None:
        """Give the terminal back as it was; may be called again."""
        with contextlib.suppress(OSError):  # of a terminal that is gone
            self.draw(LEAVE)
        with contextlib.suppress(termios.error):  # as above
            termios.tcsetattr(self._keys, termios.TCSADRAIN, self._before)

    def _read(self) -> bytes:
        try:
            return os.read(self._keys, MAX_READ) or GONE
        except OSError:
            return GONE

    def _is_ready(self, timeout_s: float) -> bool:
        ready, _, _ = select.select([self._keys], [], [], timeout_s)
        return bool(ready)


@contextmanager
def taken(keys: int, screen: int) -> Iterator[Terminal]:
    """Take the terminal of two descriptors, and give it back as the head of this module says. Main thread only."""
    terminal = Terminal(keys, screen)

    def end(number: int, _: FrameType | None) -> None:
        raise Ended(number)

    def stop(_number: int, _: FrameType | None) -> None:
        terminal.leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # stops here, until SIGCONT
        signal.signal(signal.SIGTSTP, stop)
        terminal.enter()

    def resize(_number: int, _: FrameType | None) -> None:
        terminal.is_resized = True

    handlers: dict[signal.Signals, _Handler] = dict.fromkeys(_ENDING, end)
    handlers |= {signal.SIGTSTP: stop, signal.SIGWINCH: resize}
    before = {number: signal.getsignal(number) for number in (*handlers, signal.SIGINT)}
    ended: Ended | None = None
    try:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        terminal.enter()
        yield terminal
    except Ended as caught:
        ended = caught
    finally:
        for number in before:
            signal.signal(number, signal.SIG_IGN)  # a second one is not to come between
        terminal.leave()
        for number, was in before.items():
            signal.signal(number, was)
    if ended is not None:
        signal.signal(ended.number, signal.SIG_DFL)
        os.kill(os.getpid(), ended.number)


def parse_keys(text: str) -> Iterator[str]:
    """Yield the keys in what a terminal sent. Sequences that are not known are passed over as a whole."""
    at = 0
    while at < len(text):
        ch = text[at]
        at += 1
        if ch != "\x1b":
            if ch in _CONTROLS or ch.isprintable():
                yield _CONTROLS.get(ch, ch)
            continue
        begin = at
        if text[at : at + 1] == "[":
            at += 1
            while at < len(text) and not "@" <= text[at] <= "~":
                at += 1
            at += 1
        elif text[at : at + 1] == "O":
            at += 2
        else:
            yield "escape"
            continue
        if name := _SEQUENCES.get(text[begin:at]):
            yield name


def _whole_utf8(data: bytes) -> int:
    """Return how many bytes hold no character that is cut at the end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            wanted = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if wanted > back else len(data)
        if byte < 0x80:
            break
    return len(data)
