# SPDX-License-Identifier: Apache-2.0
"""A disk that fails under a real gate and its notary, at a step that a test chooses (failing_disk.c)."""

from __future__ import annotations

import mmap
import struct
import subprocess
from pathlib import Path

MODES = ("fails", "persists", "slow", "short", "dies")
SOURCE = Path(__file__).with_suffix(".c")
_NUMBERS = struct.Struct("<5Q")
_TEXTS = struct.Struct("<16s256s")


class FailingDisk:
    """The library, built, and the state that it shares with every process of a gate."""

    def __init__(self, folder: Path, data: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._library = folder / "failing_disk.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(self._library), str(SOURCE), "-ldl"], check=True)
        self._file = folder / "state"
        self._file.write_bytes(bytes(4096))
        self._data = data
        with self._file.open("r+b") as file:
            self._state = mmap.mmap(file.fileno(), 4096)

    @property
    def environment(self) -> dict[str, str]:
        """What a gate's process needs."""
        return {"LD_PRELOAD": str(self._library), "FAULT_STATE": str(self._file), "FAULT_DATA": str(self._data)}

    def arm(self, at: int, mode: str) -> None:
        """Let step number `at` from now on, counted from 1, fail so; 0 lets none fail, and counts."""
        self.disarm()
        self._state[_NUMBERS.size :] = bytes(4096 - _NUMBERS.size)
        self._state[: _NUMBERS.size] = _NUMBERS.pack(0, 0, at, 1 + MODES.index(mode), 0)
        self._state[:8] = (1).to_bytes(8, "little")

    def disarm(self) -> None:
        """Let nothing fail any more."""
        self._state[:8] = bytes(8)

    @property
    def steps(self) -> int:
        """Steps since it was armed."""
        return int(_NUMBERS.unpack_from(self._state)[1])

    @property
    def hit(self) -> str:
        """What failed first: the call and its file; empty if nothing did."""
        if not _NUMBERS.unpack_from(self._state)[4]:
            return ""
        name, path = (text.rstrip(b"\0").decode() for text in _TEXTS.unpack_from(self._state, _NUMBERS.size))
        return f"{name} {path}"
