# SPDX-License-Identifier: Apache-2.0
"""The verification of journals and recordings: fed with files, it says what is checked and what is wrong.

SPEC: docs/spec/journal.md, "What a verifier must reject"; docs/spec/entry.md, "Completeness"; docs/spec/recording.md.
The names of findings are listed in docs/reference/findings.md. Nothing here needs a key; where one is given, private
parts and chunks are opened too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from gatebook.evidence.approvals import Approvals
from gatebook.evidence.completeness import Completeness, Finding
from gatebook.evidence.entry import EntryFault, Leaf, decode_leaf
from gatebook.evidence.events import check_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import Header, Position, Record, start_of
from gatebook.evidence.private import PrivateParts
from gatebook.evidence.recording import Chunk, ChunkOpener, RecordingFault, root_of

MAX_FINDINGS = 1000  # LIMIT: a file of garbage has one per byte; the rest are counted


@dataclass(slots=True)
class Report:
    """What was checked, how much of it, and what was found. `ok` if nothing that the book does not account for.

    `proven` is the newest time that a stamp proves (aware), with the size of the ledger that was there by then.
    """

    checked: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    accounted: list[Finding] = field(default_factory=list)
    more: int = 0
    proven: tuple[datetime, int] | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def add(self, findings: Iterable[Finding]) -> None:
        """Take findings; beyond a bound they are only counted."""
        for finding in findings:
            into = self.accounted if finding.accounted else self.findings
            if len(into) < MAX_FINDINGS:
                into.append(finding)
            else:
                self.more += 1

    def fault(self, subject: str, fault: EvidenceFault) -> None:
        """Take what a parser refused."""
        self.add([Finding(fault.finding, subject, fault.message)])

    def add_approvals(self, approvals: Approvals, until: datetime | None = None) -> None:
        """Take what is wrong with approvals, of which every leaf was added; `until` as in `Approvals.finish`."""
        self.add(approvals.finish(until))
        self.checked.update(approvals.checked)


@dataclass(slots=True)
class ExpectedRecording:
    """What a journal says of a session's recording."""

    session: str
    digests: list[bytes] = field(default_factory=list)
    root: str = ""
    frames: int = 0

    @property
    def sealed(self) -> bool:
        """Whether the journal says that it is complete."""
        return bool(self.root)


PartsOf = Callable[[str], PrivateParts | None]
"""Gives the opener of a session's private parts; None where there is no key, or no key any more."""


class JournalCheck:
    """Checks one journal: feed it headers and records in order, then `finish`.

    `approvals` is fed with every leaf of the right form; whoever gave it finishes it behind the last journal.
    """

    def __init__(
        self, writer: str, report: Report, parts_of: PartsOf | None = None, approvals: Approvals | None = None
    ) -> None:
        self._writer = writer
        self._report = report
        self._parts_of = parts_of
        self._approvals = approvals
        self._completeness = Completeness()
        self._recordings: dict[str, ExpectedRecording] = {}
        self._ended: set[str] = set()
        report.checked["journals"] += 1

    def segment(self, header: Header, named: int, expected: Position | None) -> None:
        """Check the head of a segment against its file's name and the end of the segment before.

        `expected` is None where that one could not be read to its end.
        """
        self._report.checked["segments"] += 1
        place = start_of(header)
        subject = f"{self._writer}/{named}"
        if header.writer != self._writer:
            self._find("journal_header", subject, "is of another writer than its folder says")
        if header.first != named:
            self._find("journal_header", subject, "begins with another entry than its name says")
        if expected is None:
            return
        if place.number != expected.number:
            self._find("segment_missing", subject, f"begins with entry {place.number} where {expected.number} is next")
        elif place.link != expected.link:
            self._find("journal_link", subject, "does not continue the segment before")

    def record(self, record: Record) -> ExpectedRecording | None:
        """Check an entry; return what is expected of a recording as soon as it is sealed."""
        self._report.checked["entries"] += 1
        subject = f"{self._writer}/{record.number}"
        if not record.link_holds:
            self._find("journal_link", subject, "the entry is not what its link says: it or a neighbour was changed")
        try:
            leaf = decode_leaf(record.leaf)
            check_leaf(leaf, self._writer)
        except EntryFault as fault:
            self._report.fault(subject, fault)
            return None
        private = None if record.lacks_private else self._check_private(subject, leaf, record.private)
        if self._approvals is not None:
            self._approvals.add(leaf, private)
        return self.leaf(leaf)

    def leaf(self, leaf: Leaf) -> ExpectedRecording | None:
        """Check what a leaf of the right form says, wherever it was read: sequence, outcomes, ends, recordings."""
        self._report.add(self._completeness.add(leaf))
        return self._follow_recording(leaf)

    def finish(self, *, writer_lives: bool) -> list[ExpectedRecording]:
        """Check what is open at the end; return what is expected of recordings that were not sealed."""
        self._report.checked["sessions"] += self._completeness.ended + len(self._completeness.open_sessions())
        self._report.add(self._completeness.finish(writer_lives=writer_lives))
        if not writer_lives:
            for session in sorted(self._ended & self._recordings.keys()):
                self._find("recording_unsealed", session, "the session is over, but its recording was not sealed")
        return list(self._recordings.values())

    def _check_private(self, subject: str, leaf: Leaf, sealed: bytes) -> Leaf | None:
        """Check the private part of an entry; return it where it could be opened."""
        commitment = leaf.get("private")
        if isinstance(commitment, str) != bool(sealed):
            self._find("private_part", subject, "leaf and private part do not come together")
            return None
        if not isinstance(commitment, str) or self._parts_of is None:
            return None
        parts = self._parts_of(str(leaf.get("session")))
        seq = leaf.get("seq")
        if parts is None or not isinstance(seq, int):
            return None
        try:
            private = parts.open(seq, sealed, commitment)
        except EvidenceFault as fault:
            self._report.fault(subject, fault)
            return None
        self._report.checked["private parts opened"] += 1
        return private

    def _follow_recording(self, leaf: Leaf) -> ExpectedRecording | None:
        session = str(leaf.get("session"))
        match leaf["event"]:
            case "session.start":
                self._recordings.setdefault(session, ExpectedRecording(session))
            case "session.end" | "session.lost":
                self._ended.add(session)
            case "recording.chunk":
                expected = self._recordings.setdefault(session, ExpectedRecording(session))
                if leaf["index"] != len(expected.digests):
                    self._find("recording_chunk", session, f"chunk {leaf['index']} was entered out of order")
                expected.digests.append(_digest_of(leaf["sha256"]))
                frames = leaf["frames"]
                expected.frames += frames if isinstance(frames, int) else 0
            case "recording.sealed":
                expected = self._recordings.pop(session, ExpectedRecording(session))
                self._ended.discard(session)
                expected.root = str(leaf["root"])
                self._check_seal(expected, leaf)
                return expected
            case _:
                pass
        return None

    def _check_seal(self, expected: ExpectedRecording, leaf: Leaf) -> None:
        told = (leaf["chunks"], leaf["frames"], leaf["root"])
        if told != (len(expected.digests), expected.frames, root_of(expected.digests)):
            self._find("recording_seal", expected.session, "`recording.sealed` is not the sum of the chunks entered")

    def _find(self, name: str, subject: str, words: str) -> None:
        self._report.add([Finding(name, subject, words)])


@dataclass(slots=True)
class JournalWatch:
    """Passes on to a check what a reader of its journal tells."""

    check: JournalCheck
    report: Report
    check_tail: bool = True

    def segment(self, header: Header, named: int, expected: Position | None) -> None:
        """See `vault.journal.Watcher`."""
        self.check.segment(header, named, expected)

    def fault(self, subject: str, fault: EvidenceFault) -> None:
        """See `vault.journal.Watcher`."""
        self.report.fault(subject, fault)


def check_recording(
    report: Report,
    expected: ExpectedRecording,
    chunks: Iterable[Chunk],
    opener: ChunkOpener | None,
    *,
    writer_lives: bool = False,
) -> None:
    """Check a recording's chunks against what the journal says, and open them where there is a key.

    A chunk more than was entered is no finding while the recording is not sealed: the entry follows the bytes. While
    its writer lives, what stands behind the chunks entered may be half a chunk.
    """
    report.checked["recordings"] += 1
    count = 0
    try:
        for chunk in chunks:
            count += 1
            report.checked["chunks"] += 1
            if chunk.index >= len(expected.digests):
                if expected.sealed:
                    raise RecordingFault("recording_chunk", f"chunk {chunk.index} was never entered")
            elif chunk.digest != expected.digests[chunk.index]:
                raise RecordingFault("recording_chunk", f"chunk {chunk.index} is not the one that was entered")
            if opener is not None:
                opener.open(chunk)
                report.checked["chunks opened"] += 1
    except EvidenceFault as fault:
        being_written = writer_lives and not expected.sealed and count >= len(expected.digests)
        never_begun = fault.finding == "recording_missing" and not expected.digests
        if not never_begun and not (being_written and fault.finding == "recording_torn"):
            report.fault(expected.session, fault)
        return
    if count < len(expected.digests):
        words = f"has {count} of {len(expected.digests)} chunks"
        report.add([Finding("recording_cut", expected.session, words)])


def _digest_of(value: object) -> bytes:
    """Return the bytes of `sha256:<hex>`; what no digest equals if it has not that form."""
    text = str(value).removeprefix("sha256:")
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
