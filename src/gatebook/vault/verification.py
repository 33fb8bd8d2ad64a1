# SPDX-License-Identifier: Apache-2.0
"""The verification of a data folder: every journal, every recording, with keys where they are at hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gatebook.evidence.completeness import Finding
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import Header, Position
from gatebook.evidence.private import PrivateParts
from gatebook.evidence.recording import ChunkOpener
from gatebook.evidence.verify import ExpectedRecording, JournalCheck, Report, check_recording
from gatebook.vault.journal import JournalReader, list_journals, writer_lives
from gatebook.vault.recordings import Recordings

CACHED_KEYS = 256  # sessions whose private parts come interleaved


@dataclass(slots=True)
class _Watch:
    """Passes on to a check what a reader tells."""

    check: JournalCheck
    report: Report
    check_tail: bool = True

    def segment(self, header: Header, named: int, expected: Position | None) -> None:
        """See `Watcher`."""
        self.check.segment(header, named, expected)

    def fault(self, subject: str, fault: EvidenceFault) -> None:
        """See `Watcher`."""
        self.report.fault(subject, fault)


def verify_data(journals: Path, recordings: Recordings) -> Report:
    """Verify all journals and recordings below a data folder. Only reads; a gate may be running."""
    report = Report()
    keys = _Keys(recordings, report)
    known: set[str] = set()
    living = False
    for folder in list_journals(journals):
        lives = writer_lives(folder)
        living = living or lives
        check = JournalCheck(folder.name, report, keys.parts_of)
        for record in JournalReader(folder, _Watch(check, report)).read():
            sealed = check.record(record)
            if sealed is not None:
                known.add(sealed.session)
                _verify_recording(report, recordings, keys, sealed, lives=lives)
        for unsealed in check.finish(writer_lives=lives):
            known.add(unsealed.session)
            _verify_recording(report, recordings, keys, unsealed, lives=lives)
    for session in recordings.list_sessions():
        if session not in known and not living:  # a living gate may just have made it
            report.add([Finding("recording_unknown", session, "no journal knows of this recording")])
    return report


def _verify_recording(
    report: Report, recordings: Recordings, keys: _Keys, expected: ExpectedRecording, *, lives: bool
) -> None:
    chunks = recordings.chunks(expected.session)
    check_recording(report, expected, chunks, keys.opener_of(expected.session), writer_lives=lives)


class _Keys:
    """Openers by session; a key file that is not usable is reported once."""

    def __init__(self, recordings: Recordings, report: Report) -> None:
        self._recordings = recordings
        self._report = report
        self._parts: dict[str, PrivateParts | None] = {}
        self._reported: set[str] = set()

    def parts_of(self, session: str) -> PrivateParts | None:
        """Return the opener of private parts, if there is a key."""
        if session not in self._parts:
            if len(self._parts) >= CACHED_KEYS:
                del self._parts[next(iter(self._parts))]
            try:
                self._parts[session] = self._recordings.private_parts(session)
            except EvidenceFault as fault:
                self._report_once(session, fault)
                self._parts[session] = None
        return self._parts[session]

    def opener_of(self, session: str) -> ChunkOpener | None:
        """Return the opener of chunks, if there is a key."""
        try:
            return self._recordings.opener(session)
        except EvidenceFault as fault:
            self._report_once(session, fault)
            return None

    def _report_once(self, session: str, fault: EvidenceFault) -> None:
        if session not in self._reported:
            self._reported.add(session)
            self._report.fault(session, fault)
