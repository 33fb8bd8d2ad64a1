# SPDX-License-Identifier: Apache-2.0
"""Whether what is gone may be gone: tombstones, holds and consents against the files of a data folder.

SPEC: docs/spec/retention.md, "What a verifier must say". Part of the verification of a data folder; only reads.
"""

from __future__ import annotations

from pathlib import Path

from gatebook.evidence.completeness import Finding
from gatebook.evidence.consent import CONTENTS
from gatebook.evidence.custody import Custody
from gatebook.evidence.entry import decode_leaf
from gatebook.evidence.events import check_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import Record
from gatebook.evidence.sessions import SessionSummary, summarise_end, summarise_start
from gatebook.evidence.verify import Report
from gatebook.vault.journal import Faults
from gatebook.vault.purging import MARKS, WRITER, Requests, left_of
from gatebook.vault.reading import BookReader
from gatebook.vault.recordings import SESSION

_FACTS = (b'"event":"session.start"', b'"event":"session.end"', b'"event":"session.lost"')


class Tombstones:
    """What the journal of the command line says is gone. Damage of that journal is for its own check to name."""

    def __init__(self, reader: BookReader, requests: Path, report: Report) -> None:
        self._custody = Custody()
        self._recordings = reader.recordings
        self._requests = Requests(requests)
        self._report = report
        self._sessions: dict[str, SessionSummary] = {}
        for record in reader.read(reader.folders.journals / WRITER, Faults(), lambda _: False):
            if any(mark in record.leaf for mark in MARKS):
                self._follow(record)
        self._has_keys = next(self._recordings.folder.glob("*/*.key"), None) is not None
        if self._custody.tombstones:
            report.checked["tombstones"] += len(self._custody.tombstones)

    def learn(self, record: Record) -> None:
        """Take an entry of any journal: the facts of sessions with a tombstone are needed at the end."""
        if not self._custody.tombstones or not any(mark in record.leaf for mark in _FACTS):
            return
        try:
            leaf = decode_leaf(record.leaf)
            name = str(leaf.get("session"))
            if name not in self._custody.tombstones:
                return
            if leaf["event"] == "session.start":
                self._sessions[name] = summarise_start(leaf)
            elif name in self._sessions:
                summarise_end(self._sessions[name], leaf)
        except EvidenceFault:
            return  # the journal's check names it

    def check_recording(self, session: str) -> bool:
        """Say what is gone of a session, and return whether its recording is among that."""
        if SESSION.fullmatch(session) is None:
            return False  # no file is of it: the recording's own check names it
        erased = self._custody.erased(session)
        if not erased:
            path = self._recordings.path_of(session)
            if self._has_keys and path.exists() and not path.with_suffix(".key").exists():
                self._find("erased", session, "its key is gone, and no entry says who destroyed it")
            return False
        what = CONTENTS if CONTENTS in erased else min(erased)
        # What the notary moves there later is noise without the key.
        left = [path for path in left_of(self._recordings, session, what) if path.suffix != ".private"]
        if left:
            names = ", ".join(path.name for path in left)
            self._find("purge_unfinished", session, f"is said to be purged, but {names} is there")
            return False
        stone = self._custody.tombstones[session][-1]
        words = f"its {what} went with request {stone.request}, to which two people had consented"
        self._report.add([Finding("erased", session, words, accounted=True)])
        return True

    def finish(self) -> None:
        """Check holds, and the lists of requests that are there."""
        for session in self._sessions.values():
            self._report.add(self._custody.check_holds(session))
        named: dict[str, set[str]] = {}
        for name, stones in self._custody.tombstones.items():
            for stone in stones:
                named.setdefault(stone.request, set()).add(name)
        for request, sessions in named.items():
            self._check_list(request, sessions)

    def _check_list(self, request: str, sessions: set[str]) -> None:
        asked = self._custody.asked.get(request)
        if asked is None:
            return  # said already: there is no such request
        try:
            listed = self._requests.read_list(asked.request)
        except EvidenceFault as fault:
            self._report.fault(request, fault)
            return
        if listed is None:
            return
        self._report.checked["purge lists"] += 1
        for session in sorted(sessions - {one.session for one in listed}):
            self._find("purge_list", session, f"was purged, but is not in the list of request {request}")

    def _follow(self, record: Record) -> None:
        try:
            leaf = decode_leaf(record.leaf)
            check_leaf(leaf, WRITER)
        except EvidenceFault:
            return  # the journal's check names it
        self._report.add(self._custody.add(leaf))

    def _find(self, name: str, subject: str, words: str) -> None:
        self._report.add([Finding(name, subject, words)])
