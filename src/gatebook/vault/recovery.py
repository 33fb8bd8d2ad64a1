# SPDX-License-Identifier: Apache-2.0
"""After a crash: sessions without end are said to be lost, and their recordings are made complete as far as they go.

A gate calls `finish_lost` once, after it opened its journal and before it writes `gateway.start`: only what was written
since the last `gateway.start` can be unfinished, so only that is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.completeness import Completeness, OpenSession
from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.recording import HEADER_BYTES, Chunk, root_of
from gatebook.vault.journal import Faults, JournalReader, JournalWriter, list_segments
from gatebook.vault.recordings import SESSION, Recordings

_START = b'"event":"gateway.start"'
_EVENT = re.compile(rb'"event":"([a-z.]{1,32})"')
_SESSION = re.compile(rb'"session":"([A-Za-z0-9_]{1,64})"')
_BEGINS = frozenset({b"authn", b"session.start"})  # who was admitted has a session, also where it never began
_FOLLOWED = _BEGINS | frozenset({b"session.end", b"session.lost", b"recording.chunk", b"recording.sealed"})


@dataclass(slots=True)
class Unfinished:
    """What the last run left: sessions without end, and how many chunks were entered of recordings without seal."""

    sessions: list[OpenSession] = field(default_factory=list)
    recordings: dict[str, int] = field(default_factory=dict)


def finish_lost(writer: JournalWriter, recordings: Recordings, now: Callable[[], datetime]) -> Unfinished:
    """Enter what was lost with the last run, and return it.

    Of each recording without seal: whole chunks that authenticate and were not entered are entered, what is behind
    them is cut, and the recording is sealed. Then `session.lost` for each session without end. Safe to be repeated
    after a crash half way. JournalUnwritable if it cannot be entered.
    """
    unfinished = find_unfinished(writer.folder)
    for session, entered in unfinished.recordings.items():
        _finish_recording(writer, recordings, session, entered, now)
    for lost in unfinished.sessions:
        writer.append(
            builders.session_lost(
                Stamp(writer.folder.name, now()),
                session=lost.id,
                last_seq=lost.last_seq,
                open_operations=lost.open_operations,
            )
        )
    return unfinished


def find_unfinished(folder: Path) -> Unfinished:
    """Return what is unfinished in a journal since its last `gateway.start`. Damage is for the verification to name.

    Most entries belong to sessions that ended: they are passed over by their bytes alone, since a start after a long
    run must not take long. Only the entries of sessions without end are read.
    """
    first = _last_start(folder)
    open_sessions: set[bytes] = set()
    recordings: dict[str, int] = {}
    for record in JournalReader(folder, Faults(), from_segment=first).read():
        # What stands between bare quotes is a member: inside a string they would stand behind a backslash.
        event = _EVENT.search(record.leaf)
        if event is None or event[1] not in _FOLLOWED or not (session := _session_of(record.leaf, event[1])):
            continue
        _follow(recordings, event[1], session.decode())
        if event[1] in _BEGINS:
            open_sessions.add(session)
        elif event[1] in {b"session.end", b"session.lost"}:
            open_sessions.discard(session)
    return Unfinished(_read_open(folder, first, open_sessions), recordings)


def _read_open(folder: Path, first: int, sessions: set[bytes]) -> list[OpenSession]:
    completeness = Completeness()
    if not sessions:
        return []
    for record in JournalReader(folder, Faults(), from_segment=first).read():
        event = _EVENT.search(record.leaf)
        if event is None or _session_of(record.leaf, event[1]) not in sessions:
            continue
        try:
            for _ in completeness.add(decode_leaf(record.leaf)):
                pass
        except (EvidenceFault, KeyError):
            continue  # best effort: a damaged entry must not keep the gate from starting; `ledger verify` names it
    return completeness.open_sessions()


def _session_of(encoded: bytes, event: bytes) -> bytes:
    """Return the session that an entry is about, or that it admitted; empty where there is none.

    Where one begins, a start-up parameter of the client may be called `session` too: there the leaf is read.
    """
    if event not in _BEGINS:
        found = _SESSION.search(encoded)
        return found[1] if found is not None else b""
    try:
        leaf = decode_leaf(encoded)
    except EvidenceFault:
        return b""  # best effort, as below
    name = leaf.get("admitted" if event == b"authn" else "session")
    is_one = isinstance(name, str) and SESSION.fullmatch(name) is not None
    return str(name).encode() if is_one else b""


def _last_start(folder: Path) -> int:
    """Return the newest segment that holds a `gateway.start`, or the first there is."""
    segments = list_segments(folder)
    for first in reversed(segments):
        # A reader that begins here would go on to the end; of later segments it is known that they hold none.
        bound = next((other for other in segments if other > first), None)
        for record in JournalReader(folder, Faults(), from_segment=first).read():
            if bound is not None and record.number >= bound:
                break
            if _START in record.leaf:
                return first
    return segments[0] if segments else 0


def _follow(recordings: dict[str, int], event: bytes, session: str) -> None:
    match event:
        case b"session.start" | b"authn":
            recordings.setdefault(session, 0)
        case b"recording.chunk":
            recordings[session] = recordings.get(session, 0) + 1
        case b"recording.sealed":
            recordings.pop(session, None)
        case _:
            pass


def _finish_recording(
    writer: JournalWriter, recordings: Recordings, session: str, entered: int, now: Callable[[], datetime]
) -> None:
    chunks = _whole_chunks(recordings, session)
    for chunk in chunks[entered:]:
        writer.append(
            builders.recording_chunk(
                Stamp(writer.folder.name, now()),
                session=session,
                index=chunk.index,
                digest=f"sha256:{chunk.digest.hex()}",
                stored=chunk.size,
                plain=chunk.plain_bytes,
                frames=chunk.frames,
            ),
            durable=False,
        )
    recordings.drop_torn_key(session)
    if len(chunks) < entered:
        return  # chunks that were entered are gone: that is no crash, and the verification says so
    cut = recordings.cut(session, chunks[-1].end if chunks else HEADER_BYTES)
    if cut:
        words = f"recording of {session}: {cut} bytes behind the last whole chunk"
        writer.append(builders.failure(Stamp(writer.folder.name, now()), what=words, action="cut"))
    writer.append(
        builders.recording_sealed(
            Stamp(writer.folder.name, now()),
            session=session,
            chunks=len(chunks),
            frames=sum(chunk.frames for chunk in chunks),
            plain=sum(chunk.plain_bytes for chunk in chunks),
            root=root_of([chunk.digest for chunk in chunks]),
        )
    )


def _whole_chunks(recordings: Recordings, session: str) -> list[Chunk]:
    """Return the chunks up to the first that is not whole or, where there is a key, does not authenticate."""
    try:
        opener = recordings.opener(session)
    except EvidenceFault:
        opener = None  # a key that is not usable is no reason to cut anything
    whole: list[Chunk] = []
    try:
        for chunk in recordings.chunks(session):
            if opener is not None:
                opener.open(chunk)
            whole.append(_without_content(chunk))
    except EvidenceFault:
        return whole
    return whole


def _without_content(chunk: Chunk) -> Chunk:
    """Return the chunk without its bytes: a recording may be larger than memory."""
    return Chunk(chunk.index, chunk.plain_bytes, chunk.frames, chunk.header, b"", chunk.digest, chunk.end)
