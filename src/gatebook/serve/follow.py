# SPDX-License-Identifier: Apache-2.0
"""The book as it is written, line by line, for a person at a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gatebook.evidence.entry import Leaf, Value, decode_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.harmless import harmless
from gatebook.evidence.journal_format import Record
from gatebook.vault.journal import Faults, JournalReader
from gatebook.vault.recordings import Recordings

POLL_S: Final = 0.2
TEXT_CHARACTERS: Final = 160

_MARKS: Final = {
    "operation.intent": "allow ",
    "operation.held": "HELD  ",
    "operation.refused": "REFUSE",
    "operation.outcome": "  done",
}


async def follow(folder: Path, recordings: Recordings, tell: Callable[[str], None]) -> None:
    """Tell each entry of a journal from now on, until cancelled. What cannot be read is left to the verification."""
    reader = JournalReader(folder, Faults())
    for _ in reader.read():
        pass
    while True:
        for record in reader.read():
            if (line := describe(record, recordings)) is not None:
                tell(line)
        await asyncio.sleep(POLL_S)


def describe(record: Record, recordings: Recordings) -> str | None:
    """One line for an entry; None for kinds that tell a person nothing."""
    try:
        leaf = decode_leaf(record.leaf)
    except EvidenceFault:
        return None
    event, moment = str(leaf.get("event")), str(leaf.get("time"))[11:23]
    match event:
        case "operation.intent" | "operation.held" | "operation.refused":
            words = _decided(leaf, record, recordings)
        case "operation.outcome":
            words = _outcome(_object(leaf, "effect"))
        case "approval.requested":
            words = f"{leaf.get('request')} waits for people"
        case "approval.ended":
            words = f"{leaf.get('request')} {leaf.get('result')}: {leaf.get('reason', '')}"
        case "approval.used":
            words = f"{leaf.get('request')} lets {leaf.get('operation')} run"
        case "authn":
            claimed = _object(leaf, "claimed")
            failed = f", failed check: {leaf['failed']}" if "failed" in leaf else ""
            words = f"{leaf.get('result')} {claimed.get('user')} at {claimed.get('database')}{failed}"
        case "session.start":
            words = f"session {leaf.get('session')} begins"
        case "session.end" | "session.lost":
            words = f"session {leaf.get('session')} ends: {leaf.get('cause')}"
        case _:
            return None
    return harmless(f"{moment}  {_MARKS.get(event, event):13} {words}")


def _decided(leaf: Leaf, record: Record, recordings: Recordings) -> str:
    text = str(_object(leaf, "action").get("shape", ""))
    try:
        parts = recordings.private_parts(str(leaf.get("session")))
        seq, commitment = leaf.get("seq"), leaf.get("private")
        if parts is not None and record.private and isinstance(seq, int) and isinstance(commitment, str):
            text = str(parts.open(seq, record.private, commitment).get("text", text))
    except EvidenceFault:
        pass  # best effort: the shape stands for the text
    words = f"{leaf.get('operation', '').rpartition('.')[2]:>4} {' '.join(text.split())[:TEXT_CHARACTERS]}"  # type: ignore[union-attr]  # a string by the catalogue
    reasons = _object(leaf, "decision").get("reasons")
    if leaf["event"] == "operation.refused":
        words += (
            f"   -- {reasons[0] if isinstance(reasons, list) and reasons else _object(leaf, 'refusal').get('code')}"
        )
    return words


def _outcome(effect: Leaf) -> str:
    duration = effect.get("duration_us")
    millis = f"{duration / 1000:.1f} ms" if isinstance(duration, int) else ""
    status = effect.get("tag") or effect.get("status")
    return (
        f"     {status} {effect.get('sqlstate', '')} {effect.get('rows')} rows, {effect.get('bytes')} bytes, {millis}"
    )


def _object(leaf: Leaf, name: str) -> dict[str, Value]:
    part = leaf.get(name)
    return part if isinstance(part, dict) else {}
