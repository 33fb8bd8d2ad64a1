# SPDX-License-Identifier: Apache-2.0
"""How long sessions are kept, and the lists of those to be purged.

SPEC: docs/spec/retention.md, "Classes" and "List". A list has at most 100,000 lines of at most 1 KiB; anything else
raises ListFault.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gatebook.evidence.consent import CONTENTS
from gatebook.evidence.entry import EntryFault, Leaf, decode_canonical, encode_canonical, format_time, parse_time
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.sessions import SessionSummary

MAX_LISTED = 100_000
MAX_LINE_BYTES = 1024


class ListFault(EvidenceFault):
    """A list of sessions is not in its form, or not the one that people consented to."""

    code = "retention"

    def __init__(self, message: str) -> None:
        super().__init__("purge_list", message)


@dataclass(frozen=True, slots=True)
class RetentionClass:
    """How many days recordings and contents are kept after a session's end; 0 is for ever. Empty fits all."""

    name: str
    targets: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    recording_days: int = 0
    contents_days: int = 0

    def fits(self, target: str, kind: str) -> bool:
        """Whether sessions at this target, of this kind, are of this class."""
        return (not self.targets or target in self.targets) and (not self.kinds or kind in self.kinds)

    def days(self, erase: str) -> int:
        """Return the days of what may be erased."""
        return self.contents_days if erase == CONTENTS else self.recording_days


@dataclass(frozen=True, slots=True)
class Listed:
    """A session to be purged. `retention` is the name of its class; `due` whether its time has come."""

    session: str
    retention: str
    ended_at: datetime
    due: bool


def class_of(classes: Sequence[RetentionClass], target: str, kind: str) -> RetentionClass | None:
    """Return the first class that fits."""
    return next((one for one in classes if one.fits(target, kind)), None)


def judge(session: SessionSummary, retention: RetentionClass | None, erase: str, now: datetime) -> Listed | None:
    """Return what a list says of a session; None while it is not over, when nothing of it may be purged."""
    if session.ended_at is None:
        return None
    days = retention.days(erase) if retention is not None else 0
    due = days > 0 and session.ended_at + timedelta(days=days) <= now
    return Listed(session.id, retention.name if retention is not None else "", session.ended_at, due)


def encode_list(sessions: Iterable[Listed]) -> bytes:
    """Return the content of a list's file. ListFault if it would be too long."""
    ordered = sorted(sessions, key=lambda one: one.session)
    if len(ordered) > MAX_LISTED:
        raise ListFault(f"{len(ordered):,} sessions are more than the {MAX_LISTED:,} of one request")
    return b"".join(_line(one) for one in ordered)


def decode_list(data: bytes) -> list[Listed]:
    """Parse a list. ListFault unless the bytes are what `encode_list` gives."""
    if len(data) > MAX_LISTED * MAX_LINE_BYTES:
        raise ListFault("it is too long")
    found = [_parse(line) for line in data.splitlines()]
    if len({one.session for one in found}) != len(found) or encode_list(found) != data:
        raise ListFault("it has not its form")
    return found


def _line(one: Listed) -> bytes:
    told: Leaf = {"session": one.session, "class": one.retention, "ended": format_time(one.ended_at), "due": one.due}
    return encode_canonical(told) + b"\n"


def _parse(line: bytes) -> Listed:
    try:
        told = decode_canonical(line)
        due = told.get("due")
        if told.keys() == {"session", "class", "ended", "due"} and isinstance(due, bool):
            return Listed(str(told["session"]), str(told["class"]), parse_time(str(told["ended"])), due)
    except EntryFault as fault:
        raise ListFault("it has not its form") from fault
    raise ListFault("it has not its form")
