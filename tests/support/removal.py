# SPDX-License-Identifier: Apache-2.0
"""A book of sessions with private parts and recordings in small segments, and a notary that removes what it may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gatebook.evidence import builders
from gatebook.evidence.builders import Stamp
from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.removal import MARK, Removal, parse_removal
from gatebook.evidence.rotation import WRITER as NOTARY
from gatebook.evidence.verify import Report
from gatebook.vault.cosigning import Witnesses
from gatebook.vault.journal import JournalWriter, list_segments
from gatebook.vault.ledger import Disk, LedgerFolder, SystemDisk
from gatebook.vault.notary import Notary
from gatebook.vault.reading import WriterEntries
from gatebook.vault.removal import Remover
from gatebook.vault.verification import verify_data
from support.data_folder import put_recording, recordings
from support.evidence import (
    canonical,
    chunk,
    chunk_leaf,
    end,
    frame,
    intent,
    leaf,
    outcome,
    recording_header,
    seal_private,
    sealed_leaf,
    start,
)
from support.notary import folders, open_notary

SEGMENT_BYTES = 4096
OPERATIONS = 6
LATER = datetime.now(UTC) + timedelta(days=2)  # segments bear the real time


def text_of(session: str, number: int) -> str:
    return f"select '{session} {number}'"


def session_entries(root: Path, session: str) -> list[tuple[bytes, bytes]]:
    """Entries of a session whose recording is written here: some statements with private parts, its end, its seal."""
    data = chunk(0, [frame(">", session.encode())], session)
    put_recording(root / "recordings", recording_header(session) + data, session)
    entries = [(start(session=session), b"")]
    for number in range(1, OPERATIONS + 1):
        seq = 2 * number - 1
        sealed, commitment = seal_private(seq, number, canonical({"text": text_of(session, number)}), session)
        entries += [
            (intent(number, seq, session, private=commitment), sealed),
            (outcome(number, seq + 1, session), b""),
        ]
    last = 2 * OPERATIONS + 1
    return [
        *entries,
        (end(last, session), b""),
        (chunk_leaf(0, data, 1, session), b""),
        (sealed_leaf([data], 1, session), b""),
    ]


def write(root: Path, entries: list[tuple[bytes, bytes]], writer: str = "gate") -> None:
    with JournalWriter.open(root / "journal", writer, sync="privileged", segment_bytes=SEGMENT_BYTES) as journal:
        for plain, sealed in entries:
            journal.append(plain, sealed, durable=False)


def write_sessions(root: Path, *sessions: str) -> None:
    """Write a `gateway.start`, then two and two sessions interleaved, then a heartbeat or two segments more."""
    write(root, [(leaf("gateway.start", version="0", policy="sha256:a", config="sha256:b"), b"")])
    for one, other in zip(sessions[::2], sessions[1::2], strict=True):
        both = zip(session_entries(root, one), session_entries(root, other), strict=True)
        write(root, [entry for pair in both for entry in pair])
    write(root, [(leaf("heartbeat", sessions=number, journal=0, clock="unknown"), b"") for number in range(20)])


class Entries:
    """See `Enter`."""

    def __init__(self, journal: JournalWriter) -> None:
        self.journal = journal
        self.failures: list[str] = []

    def removed(self, removal: Removal) -> int:
        return self.journal.append(builders.journal_removed(Stamp(NOTARY, datetime.now(UTC)), removal))

    def failed(self, what: str, action: str) -> None:
        self.failures.append(what)
        self.journal.append(builders.failure(Stamp(NOTARY, datetime.now(UTC)), what=what, action=action))


@dataclass(frozen=True)
class Removing:
    """A notary with its remover, until it is closed."""

    notary: Notary
    remover: Remover
    entries: Entries


@contextmanager
def removing(
    root: Path,
    disk: Disk | None = None,
    *,
    now: datetime = LATER,
    after_s: float = 86_400,
    witnesses: Witnesses | None = None,
) -> Iterator[Removing]:
    """Open a notary and seal what is there."""
    disk = disk or SystemDisk()
    with JournalWriter.open(root / "journal", NOTARY, sync="every") as journal:
        notary = open_notary(root, disk, witnesses)
        try:
            notary.seal()
            entries, opened = Entries(journal), recordings(root / "recordings")
            remover = Remover(
                notary, disk, folders(root).journals, opened, after_s=after_s, enter=entries, now=lambda: now
            )
            yield Removing(notary, remover, entries)
        finally:
            notary.close()


def remove(root: Path, disk: Disk | None = None, *, now: datetime = LATER, after_s: float = 86_400) -> list[str]:
    """Remove in one round all that may be removed, and read again what is left; what was told of failures."""
    with removing(root, disk, now=now, after_s=after_s) as at_work:
        for may_go_on in at_work.remover.round():
            if not may_go_on:
                at_work.notary.seal()
        at_work.notary.seal()
        for _ in at_work.notary.audit():
            pass
    return at_work.entries.failures


def removals(root: Path, writer: str = "gate") -> list[Removal]:
    """Removals of a journal's segments that are sealed and published, each once, by their first entry."""
    ledger = LedgerFolder(folders(root).ledger)
    found: dict[tuple[str, int], Removal] = {}
    for entry in WriterEntries(ledger, NOTARY).read(1, 1 << 40):
        if MARK in entry:
            removal = parse_removal(decode_leaf(entry))
            assert found.setdefault((removal.journal, removal.first), removal) == removal
    return [one for (journal, _), one in sorted(found.items()) if journal == writer]


def unaccounted(root: Path, writer: str = "gate") -> list[int]:
    """Entries before the first kept segment that no sealed removal covers."""
    covered = {number for one in removals(root, writer) for number in range(one.first, one.last + 1)}
    return [number for number in range(1, segments(root, writer)[0]) if number not in covered]


def segments(root: Path, writer: str = "gate") -> list[int]:
    return list_segments(root / "journal" / writer)


def verify(root: Path, *, with_key: bool = True) -> Report:
    opener = recordings(root / "recordings")
    return verify_data(folders(root), opener if with_key else type(opener)(opener.folder))
