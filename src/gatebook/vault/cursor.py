# SPDX-License-Identifier: Apache-2.0
"""The cursor of an export: how far a receiver has acknowledged the ledger, and which ledger that was.

SPEC: docs/spec/export.md, "Cursor". A canonical JSON object with a newline, at most 4 KiB. A cursor of another form
raises CursorFault, and is never begun anew by itself: entries would be sent twice, or never.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from gatebook.evidence.entry import EntryFault, Leaf, Value, decode_canonical, encode_canonical, format_time, parse_time
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import decode_base64
from gatebook.evidence.tree import HASH_BYTES
from gatebook.model.errors import OperatorFault, quoted
from gatebook.vault.ledger import SECRET_MODE, Disk, take_lock

MAX_BYTES = 4096
MAX_ERROR = 500  # LIMIT: characters of the last error
VERSION = 1
LOCK_WAIT_S = 1.0  # one that was killed is just ending, or `gatebook export show` just looks
LOCK_PAUSE_S = 0.05
_MEMBERS = frozenset({"v", "origin", "key", "next", "root", "since", "acknowledged"})


class CursorFault(EvidenceFault):
    """A cursor has not its form, or is of another ledger than the one that is there."""

    code = "export"

    def __init__(self, message: str) -> None:
        hint = "put back what it was; to send everything again, remove the file (docs/how-to/export.md)"
        super().__init__("export_cursor", message, hint)


class ExportBusy(OperatorFault):
    """Another process sends this export."""

    code = "export"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The ledger by origin and verifier key, the index of the next entry, and the root over all before it.

    `since` is when the export began, `acknowledged` when the receiver last acknowledged, None before it did.
    """

    origin: str
    key: str
    next: int
    root: bytes
    since: datetime
    acknowledged: datetime | None = None

    def encode(self) -> bytes:
        """Return the content of the file."""
        members: Leaf = {
            "v": VERSION,
            "origin": self.origin,
            "key": self.key,
            "next": self.next,
            "root": base64.b64encode(self.root).decode(),
            "since": format_time(self.since),
            "acknowledged": format_time(self.acknowledged) if self.acknowledged else "",
        }
        return encode_canonical(members) + b"\n"


@dataclass(frozen=True, slots=True)
class ExportState:
    """What is told of an export beside its cursor: the last error, empty once it is over, and whether the alarm is on.

    Nothing depends on it but what is shown, and that an alarm which a killed process entered is entered as over.
    """

    error: str = ""
    error_at: str = ""
    alarm: bool = False


class ExportFolder:
    """The files of one export in `data/export`: cursor, state and lock."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._cursor = folder / f"{name}.cursor"
        self._state = folder / f"{name}.state"
        self._lock = folder / f"{name}.lock"
        self._name = name

    def lock(self) -> BinaryIO:
        """Make the folder as needed and take the lock, until it is closed. ExportBusy, OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        until = time.monotonic() + LOCK_WAIT_S
        while True:
            try:
                return take_lock(self._lock)
            except BlockingIOError as fault:
                if time.monotonic() > until:
                    words = f"another process sends the export {quoted(self._name)}"
                    raise ExportBusy(words, "let it, or stop it") from fault
                time.sleep(LOCK_PAUSE_S)

    def is_locked(self) -> bool:
        """Whether a process sends it now."""
        if not self._lock.exists():
            return False
        try:
            take_lock(self._lock).close()
        except BlockingIOError:
            return True
        except OSError:
            return False  # another user's, who alone could tell
        return False

    def read_cursor(self) -> Cursor | None:
        """Return the cursor, None where nothing was begun. CursorFault."""
        try:
            with self._cursor.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as fault:
            words = (fault.strerror or "unknown error").lower()
            raise CursorFault(f"the cursor {quoted(str(self._cursor))} cannot be read: {words}") from fault
        try:
            return decode_cursor(data)
        except CursorFault as fault:
            raise CursorFault(f"{quoted(str(self._cursor))}: {fault.message}") from fault

    def write_cursor(self, disk: Disk, cursor: Cursor) -> None:
        """Put the cursor in place of the one before, on disk when this returns. OSError."""
        disk.replace(self._cursor, cursor.encode(), SECRET_MODE)

    def read_state(self) -> ExportState:
        """Return the state; one without anything where there is none that can be read."""
        try:
            with self._state.open("rb") as file:
                found = decode_canonical(file.read(MAX_BYTES).removesuffix(b"\n"))
        except (OSError, EntryFault):
            return ExportState()
        return ExportState(str(found.get("error", "")), str(found.get("error_at", "")), found.get("alarm") is True)

    def write_state(self, disk: Disk, state: ExportState) -> None:
        """Put the state in place of the one before. OSError."""
        members: Leaf = {"error": state.error[:MAX_ERROR], "error_at": state.error_at, "alarm": state.alarm}
        disk.replace(self._state, encode_canonical(members) + b"\n", SECRET_MODE)


def decode_cursor(data: bytes) -> Cursor:
    """Parse the content of a cursor file. CursorFault if it has not its form."""
    if len(data) > MAX_BYTES or not data.endswith(b"\n"):
        raise CursorFault("the cursor is cut or too long")
    try:
        found = decode_canonical(data[:-1])
        if found.keys() != _MEMBERS or found["v"] != VERSION or isinstance(found["v"], bool):
            raise CursorFault("the cursor is of another version")
        acknowledged = _text(found["acknowledged"])
        return Cursor(
            _text(found["origin"]),
            _text(found["key"]),
            _count(found["next"]),
            _root(_text(found["root"])),
            parse_time(_text(found["since"])),
            parse_time(acknowledged) if acknowledged else None,
        )
    except EntryFault as fault:
        raise CursorFault(f"the cursor has not its form: {fault.message}") from fault


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise CursorFault("a member of the cursor is no string")
    return value


def _count(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise CursorFault("the cursor's `next` is no count")
    return value


def _root(text: str) -> bytes:
    root = decode_base64(text)
    if root is None or len(root) != HASH_BYTES:
        raise CursorFault("the cursor's root has not 32 bytes in base64")
    return root
