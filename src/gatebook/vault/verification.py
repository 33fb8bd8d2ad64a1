# SPDX-License-Identifier: Apache-2.0
"""The verification of a data folder: every journal, every recording, with keys where they are at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from gatebook.evidence.approvals import Approvals
from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint
from gatebook.evidence.completeness import Finding
from gatebook.evidence.cosignature import CosignerKey, find_cosignatures
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Verifier, parse_note
from gatebook.evidence.private import PrivateParts
from gatebook.evidence.recording import ChunkOpener
from gatebook.evidence.rotation import KeyChain, is_signed
from gatebook.evidence.tree import consistency_proof, verify_consistency
from gatebook.evidence.verify import ExpectedRecording, JournalCheck, JournalWatch, Report, check_recording
from gatebook.evidence.verify_ledger import Chain, LedgerCheck, SealedJournal
from gatebook.vault.following import check_stamps, follow_keys
from gatebook.vault.journal import list_journals, writer_lives
from gatebook.vault.ledger import LedgerFault, LedgerFolder
from gatebook.vault.notary import STATE, Folders
from gatebook.vault.reading import BookReader, Removals
from gatebook.vault.recordings import Recordings
from gatebook.vault.tombstones import Tombstones
from gatebook.vault.transit import KeyStoreFault

T = TypeVar("T")

RETENTION = "retention"  # folder beside the journals
CACHED_KEYS = 256  # sessions whose private parts come interleaved


@dataclass(frozen=True, slots=True)
class Trust:
    """What a verifier brings along: a key of the notary, and an older checkpoint that must be in the ledger's past.

    `witnesses` are verifier keys, of which a quorum (0: all) must have cosigned, and not before `cosigned_after`
    (seconds since 1970). `stamp_roots` (PEM) are those of time-stamp authorities, of which all stamps must be.
    """

    key: str = ""
    since: bytes = b""
    witnesses: tuple[str, ...] = ()
    quorum: int = 0
    cosigned_after: int = 0
    stamp_roots: bytes = b""


NOTHING = Trust()


def verify_copy(folder: Path, report: Report, trust: Trust) -> None:
    """Verify a copy of a ledger alone, with its approvals. What is wrong is in the report."""
    approvals = Approvals()
    verify_ledger(folder, report, trust, approvals=approvals)
    report.add_approvals(approvals)


def verify_ledger(
    folder: Path,
    report: Report,
    trust: Trust,
    removals: Removals | None = None,
    approvals: Approvals | None = None,
) -> dict[str, Chain]:
    """Verify the files of a ledger; return what it has of each writer. What is wrong is in the report.

    `removals` are given what the ledger tells of removed segments, `approvals` what it tells of them.
    """
    ledger = LedgerFolder(folder)
    stamped = ledger.stamped_sizes()  # first: what is stamped is in the past of what is read afterwards
    try:
        known = Verifier.parse(trust.key or ledger.read_vkey())
        note = ledger.read_checkpoint()
        checkpoint, handovers = _open(ledger, note, known)
    except EvidenceFault as fault:
        report.fault("checkpoint", fault)
        return {}
    check = LedgerCheck(ledger, checkpoint, report, approvals)
    check.check()
    # The changes of the key stand in the tree: what signs it is known only now.
    keys = KeyChain(known, check.rotations)
    try:
        follow_keys(ledger, checkpoint, keys, [*handovers, note])
        keys.open(note)
    except EvidenceFault as fault:
        report.fault("checkpoint", fault)
        return {}
    report.checked["checkpoints"] += 1
    if removals is not None:
        removals.key = keys.links[-1].verifier.text()  # what signs now, also where an older key is trusted
        removals.take(check.removals, checkpoint.size)
    if check.rotations:
        report.checked["changes of the key"] += len(check.rotations)
    if trust.since:
        _check_past(ledger, keys, checkpoint, report, since=trust.since, name="the older checkpoint")
    if trust.witnesses:
        _check_witnesses(ledger, keys, checkpoint, report, note=note, trust=trust)
    if trust.stamp_roots:
        check_stamps(ledger, keys, checkpoint, report, roots=trust.stamp_roots, sizes=stamped)
    return check.chains


def _open(ledger: LedgerFolder, note: bytes, known: Verifier) -> tuple[Checkpoint, list[bytes]]:
    """Return a checkpoint that the known key has signed, or that may be of a key that came after it.

    In the second case there is a handover that the known key has signed, and nothing is proven yet. EvidenceFault.
    """
    handovers = ledger.read_handovers()
    try:
        return open_checkpoint(note, known), handovers
    except EvidenceFault as fault:
        if fault.finding != "note_unsigned" or not any(is_signed(one, known) for one in handovers):
            raise
    checkpoint = Checkpoint.parse(parse_note(note).text)
    if checkpoint.origin != known.name:
        raise LedgerFault("checkpoint_origin", "the checkpoint is of another ledger than the key")
    return checkpoint, handovers


def _check_past(
    ledger: LedgerFolder, keys: KeyChain, checkpoint: Checkpoint, report: Report, *, since: bytes, name: str
) -> None:
    try:
        older = keys.open(since)
        if older.size > checkpoint.size:
            words = f"{name} is of {older.size} entries, and this one of {checkpoint.size}"
            report.add([Finding("ledger_fork", "checkpoint", words)])
            return
        proof = consistency_proof(ledger, older.size, checkpoint.size)
        verify_consistency(older.size, older.root, checkpoint.size, checkpoint.root, proof)
        report.checked[f"{name.removeprefix('the ')}s"] += 1
    except EvidenceFault as fault:
        report.add([Finding("ledger_fork", "checkpoint", f"{name} is not its past: {fault.message}")])


def _check_witnesses(
    ledger: LedgerFolder, keys: KeyChain, checkpoint: Checkpoint, report: Report, *, note: bytes, trust: Trust
) -> None:
    """The checkpoint must be cosigned by a quorum, or else an older one that is in its past."""
    try:
        cosigners = [CosignerKey.parse(text) for text in trust.witnesses]
        quorum = trust.quorum or len({key.public_key for key in cosigners})
        found, size = find_cosignatures(note, cosigners), checkpoint.size
        older = ledger.read_cosigned()
        if len(found) < quorum and older is not None:
            found, size = find_cosignatures(older, cosigners), keys.open(older).size
            _check_past(ledger, keys, checkpoint, report, since=older, name="the cosigned checkpoint")
    except EvidenceFault as fault:
        report.fault("cosignatures", fault)
        return
    report.checked["cosignatures"] += len(found)
    recent = [one for one in found if one.time >= trust.cosigned_after]
    if len(found) < quorum:
        words = f"{len(found)} of the {quorum} witnesses that are needed have cosigned"
        report.add([Finding("witness_quorum", "cosignatures", words)])
    elif len(recent) < quorum:
        words = f"{len(recent)} of the {quorum} witnesses that are needed have cosigned lately"
        report.add([Finding("witness_old", "cosignatures", words)])
    else:
        report.checked["entries witnessed"] += size


def verify_data(
    folders: Folders, recordings: Recordings, trust: Trust = NOTHING, report: Report | None = None
) -> Report:
    """Verify ledger, journals and recordings of a data folder. Only reads; a gate may be running.

    A `report` that is given grows meanwhile, for whoever watches.
    """
    report = Report() if report is None else report
    began, approvals = datetime.now(UTC), Approvals()
    # First: what is sealed now is in the journals that are read afterwards.
    is_sealed = LedgerFolder(folders.ledger).exists() or (folders.notary / STATE).exists() or trust != NOTHING
    removals = Removals(LedgerFolder(folders.ledger), trust.key)
    chains = verify_ledger(folders.ledger, report, trust, removals) if is_sealed else {}
    reader = BookReader(folders, recordings, removals.key)
    tombstones = Tombstones(reader, folders.journals.parent / RETENTION, report)
    keys = _Keys(recordings, report)
    known: set[str] = set()
    living = False
    for folder in list_journals(folders.journals):
        lives = writer_lives(folder)
        living = living or lives
        check = JournalCheck(folder.name, report, keys.parts_of, approvals)
        sealed_part = SealedJournal(folder.name, chains.pop(folder.name, None), report) if is_sealed else None
        for record in reader.verify(folder, JournalWatch(check, report), removals):
            if sealed_part is not None:
                sealed_part.add(record.leaf)
            tombstones.learn(record)
            sealed = check.record(record)
            if sealed is not None:
                known.add(sealed.session)
                _verify_recording(report, recordings, keys, sealed, lives=lives, tombstones=tombstones)
        if sealed_part is not None:
            sealed_part.finish()
        for unsealed in check.finish(writer_lives=lives):
            known.add(unsealed.session)
            _verify_recording(report, recordings, keys, unsealed, lives=lives, tombstones=tombstones)
    tombstones.finish()
    # Journals are read one after another: of what came meanwhile one may tell, and another not.
    report.add_approvals(approvals, began if living else None)
    for writer in sorted(chains):
        report.add([Finding("journal_missing", writer, "the ledger has entries of it, but the journal is gone")])
    if removals.met:
        report.checked["removed segments"] += removals.met
    for subject, fault in removals.faults:
        report.fault(subject, fault)
    for session in sorted({*recordings.list_sessions(), *recordings.list_private()}):
        if session not in known and not living:  # a living gate may just have made it
            report.add([Finding("recording_unknown", session, "no journal knows of this recording")])
    return report


def _verify_recording(
    report: Report,
    recordings: Recordings,
    keys: _Keys,
    expected: ExpectedRecording,
    *,
    lives: bool,
    tombstones: Tombstones,
) -> None:
    if tombstones.check_recording(expected.session):
        return
    chunks = recordings.chunks(expected.session)
    check_recording(report, expected, chunks, keys.opener_of(expected.session), writer_lives=lives)


class _Keys:
    """Openers by session; a key file that is not usable is reported once, and so is a key store that does not answer.

    Such a store is not asked again: chunks and private parts are then verified as without a key.
    """

    def __init__(self, recordings: Recordings, report: Report) -> None:
        self._recordings = recordings
        self._report = report
        self._parts: dict[str, PrivateParts | None] = {}
        self._reported: set[str] = set()
        self._is_asked = True

    def parts_of(self, session: str) -> PrivateParts | None:
        """Return the opener of private parts, if there is a key."""
        if session not in self._parts:
            if len(self._parts) >= CACHED_KEYS:
                del self._parts[next(iter(self._parts))]
            self._parts[session] = self._ask(session, self._recordings.private_parts)
        return self._parts[session]

    def opener_of(self, session: str) -> ChunkOpener | None:
        """Return the opener of chunks, if there is a key."""
        return self._ask(session, self._recordings.opener)

    def _ask(self, session: str, opener: Callable[[str], T | None]) -> T | None:
        try:
            return opener(session) if self._is_asked else None
        except KeyStoreFault as fault:
            self._is_asked = False
            self._report.fault("key store", fault)
        except EvidenceFault as fault:
            self._report_once(session, fault)
        return None

    def _report_once(self, session: str, fault: EvidenceFault) -> None:
        if session not in self._reported:
            self._reported.add(session)
            self._report.fault(session, fault)
