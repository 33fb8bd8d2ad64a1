# SPDX-License-Identifier: Apache-2.0
"""A terminal for a command: a pseudo terminal whose keys a test presses, and whose output and modes it sees."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

COLS, ROWS = 100, 30


@dataclass(slots=True)
class OnTerminal:
    """A command on a terminal."""

    process: subprocess.Popen[bytes]
    master: int
    slave: int
    seen: bytes = b""
    before: list[object] = field(default_factory=list)

    def press(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def wait_for(self, words: bytes, within_s: float = 20) -> bytes:
        """Return what came up to the words, from where the last wait ended."""
        until = time.monotonic() + within_s
        while words not in self.seen:
            assert time.monotonic() < until, f"{words!r} did not come: {self.seen[-2000:]!r}"
            self._read(0.1)
        begin, _, self.seen = self.seen.partition(words)
        return begin + words

    def wait_for_end(self, within_s: float = 20) -> tuple[int, bytes]:
        """Return the exit status and what came last."""
        until = time.monotonic() + within_s
        while self.process.poll() is None:
            assert time.monotonic() < until, f"it does not end: {self.seen[-2000:]!r}"
            self._read(0.05)
        while self._read(0):
            pass
        return self.process.returncode, self.seen

    @property
    def is_as_before(self) -> bool:
        """Whether the modes of the terminal are what they were before the command ran."""
        return termios.tcgetattr(self.slave) == self.before

    def _read(self, timeout_s: float) -> bytes:
        ready, _, _ = select.select([self.master], [], [], timeout_s)
        data = os.read(self.master, 65_536) if ready else b""
        self.seen += data
        return data


def _take_terminal() -> None:
    """Make the terminal that of the process; a shell that runs the tests in the background has SIGINT ignored."""
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def on_terminal(
    command: Sequence[str], environment: Mapping[str, str] | None = None, size: tuple[int, int] = (COLS, ROWS)
) -> Iterator[OnTerminal]:
    """Run a command in a session of its own on a pseudo terminal; it is killed at the end."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    before: list[object] = list(termios.tcgetattr(slave))
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=os.environ | {"TERM": "xterm-256color"} | dict(environment or {}),
        start_new_session=True,
        preexec_fn=_take_terminal,  # noqa: PLW1509  tests have no threads here
    )
    try:
        yield OnTerminal(process, master, slave, before=before)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        os.close(master)
        os.close(slave)
