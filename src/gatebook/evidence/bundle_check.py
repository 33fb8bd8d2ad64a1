# SPDX-License-Identifier: Apache-2.0
"""The verification of a bundle, step by step, with nothing but its bytes and the notary's key.

SPEC: docs/spec/bundle.md, "What a verifier must reject". The steps, each of which is told and bears its number below:

1. form: archive and manifest       2. members: length and hash of each    3. signature of the checkpoint
4. seal of the manifest             5. inclusion of every entry            6. entries: form, sequence, completeness
7. selection and counts             8. purges, and recordings              9. contents that are disclosed
10. policies                        11. approvals

Findings have the names of docs/reference/findings.md; the place of an entry is `writer/index in the ledger`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gatebook.evidence import bundle
from gatebook.evidence.approvals import Approvals
from gatebook.evidence.bundle import Manifest
from gatebook.evidence.bundle_archive import parse_archive
from gatebook.evidence.bundle_entries import BundleFault, decode_entries, decode_keys, decode_private
from gatebook.evidence.bundle_policies import hash_of, hashes_in, member_name
from gatebook.evidence.bundle_proof import verify_proof
from gatebook.evidence.bundle_selection import Selector
from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint
from gatebook.evidence.completeness import Finding
from gatebook.evidence.consent import PEOPLE, request_of
from gatebook.evidence.custody import Custody
from gatebook.evidence.entry import EntryFault, Leaf, decode_leaf, format_hash
from gatebook.evidence.events import check_leaf
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.journal_format import Position, Record
from gatebook.evidence.note import Verifier
from gatebook.evidence.private import PrivateParts
from gatebook.evidence.receipt import Receipt
from gatebook.evidence.recording import HEADER_BYTES, Chunk, ChunkOpener, RecordingFault, parse_header, read_chunks
from gatebook.evidence.verify import ExpectedRecording, JournalCheck, Report, check_recording
from gatebook.model.secret import Secret

OPERATIONS = frozenset({"operation.intent", "operation.refused"})
_ENDS = frozenset({"session.end", "session.lost"})


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was done: its name, what was looked at, and whether nothing was found."""

    name: str
    words: str
    ok: bool


@dataclass(slots=True)
class Verified:
    """What a verification did and found. `key` is the text of the key; `is_own_key`: it came with the bundle."""

    report: Report = field(default_factory=Report)
    steps: list[Step] = field(default_factory=list)
    manifest: Manifest | None = None
    checkpoint: Checkpoint | None = None
    key: str = ""
    is_own_key: bool = False


def verify_bundle(data: bytes | memoryview, verifier: Verifier | None = None) -> Verified:
    """Verify a bundle with this key, or with its own where there is none. Nothing is raised for what is wrong in it."""
    check = _BundleCheck(Verified())
    try:
        check.run(data, verifier)
    except EvidenceFault as fault:  # of a step that the next ones need
        check.verified.report.fault("bundle", fault)
        check.step("stopped", "what comes behind cannot be looked at")
    return check.verified


class _BundleCheck:
    """Carries what the steps hand on to each other."""

    def __init__(self, verified: Verified) -> None:
        self.verified = verified
        self._report = verified.report
        self._found = 0
        self._members: dict[str, memoryview] = {}
        self._keys: dict[str, Secret] = {}
        self._entries: dict[int, bytes] = {}
        self._leaves: dict[int, Leaf] = {}
        self._recordings: list[ExpectedRecording] = []
        self._custody = Custody()
        self._approvals = Approvals()

    def run(self, data: bytes | memoryview, verifier: Verifier | None) -> None:
        """Do all steps. EvidenceFault from one without which the next make no sense."""
        manifest = self._read_form(data)
        self._check_hashes(manifest)
        checkpoint = self._check_signature(manifest, verifier)
        self._entries = decode_entries(self._members[bundle.ENTRIES])
        if checkpoint is not None:
            self._check_seal(manifest, checkpoint)
            self._check_inclusion(checkpoint)
        self._read_keys()
        self._check_entries()
        self._check_selection(manifest)
        self._check_purges()
        self._check_recordings()
        self._check_contents(manifest)
        self._check_policies(manifest)
        self._check_approvals()

    def step(self, name: str, words: str) -> None:
        """Tell that a step is done; it is good if it found nothing."""
        found = len(self._report.findings) + self._report.more
        self.verified.steps.append(Step(name, words, found == self._found))
        self._found = found

    def _find(self, name: str, subject: str, words: str, *, accounted: bool = False) -> None:
        """Take a finding."""
        self._report.add([Finding(name, subject, words, accounted)])

    def _read_form(self, data: bytes | memoryview) -> Manifest:
        """1. Archive, members, manifest."""
        self._members = bundle.check_members(parse_archive(data))
        manifest = Manifest.parse(bytes(self._members[bundle.MANIFEST]))
        bundle.check_names(manifest, self._members)
        self.verified.manifest = manifest
        self.step("form", f"{len(self._members):,} members, {len(data):,} bytes")
        return manifest

    def _check_hashes(self, manifest: Manifest) -> None:
        """2. Each member that the manifest lists."""
        for listed in manifest.members:
            if not bundle.is_listed_so(listed, self._members[listed.name]):
                self._find("bundle_member", listed.name, "is not what the manifest says")
        self.step("members", f"{len(manifest.members):,} hashes of the manifest")

    def _check_signature(self, manifest: Manifest, verifier: Verifier | None) -> Checkpoint | None:
        """3. The checkpoint, by the key given, else by the bundle's own."""
        checkpoint = None
        try:
            own = Verifier.parse(bytes(self._members[bundle.VKEY]).decode("utf-8", "replace").removesuffix("\n"))
            used = verifier or own
            self.verified.key, self.verified.is_own_key = used.text(), verifier is None
            checkpoint = open_checkpoint(bytes(self._members[bundle.CHECKPOINT]), used)
            if used != own or checkpoint.origin != manifest.origin or checkpoint.size < manifest.size:
                self._find("bundle_manifest", bundle.CHECKPOINT, "key, origin or size are not those of the bundle")
        except EvidenceFault as fault:
            self._report.fault(bundle.CHECKPOINT, fault)
        self.verified.checkpoint = checkpoint
        whose = "the bundle's own key" if self.verified.is_own_key else "the key given"
        self.step("signature", f"checkpoint of {checkpoint.size:,} entries, by {whose}" if checkpoint else "none good")
        return checkpoint

    def _check_seal(self, manifest: Manifest, checkpoint: Checkpoint) -> None:
        """4. The manifest's hash in a sealed entry `evidence.exported`, under the same checkpoint."""
        try:
            receipt = Receipt.parse(bytes(self._members[bundle.RECEIPT]))
            receipt.verify(Verifier.parse(self.verified.key))
            leaf = decode_leaf(receipt.entry)
            check_leaf(leaf, str(leaf.get("writer")))
            wanted = {
                "event": "evidence.exported",
                "manifest": format_hash(bytes(self._members[bundle.MANIFEST])),
                "entries": len(self._entries),
                "contents": manifest.contents,
            }
            is_here = receipt.checkpoint_note == bytes(self._members[bundle.CHECKPOINT])
            if any(leaf.get(name) != value for name, value in wanted.items()):
                self._find("bundle_seal", bundle.MANIFEST, "the manifest is not the one that was sealed")
            elif not is_here or not manifest.size <= receipt.index < checkpoint.size:
                self._find("bundle_seal", bundle.RECEIPT, "the manifest was sealed at another place than behind it")
        except EvidenceFault as fault:
            self._find("bundle_seal", bundle.RECEIPT, f"the manifest is not shown to be sealed: {fault.message}")
        self.step("seal", "the manifest's hash in the ledger")

    def _check_inclusion(self, checkpoint: Checkpoint) -> None:
        """5. Every entry in the tree that was signed."""
        try:
            verify_proof(self._entries, checkpoint.size, checkpoint.root, self._members[bundle.HASHES])
        except EvidenceFault as fault:
            self._report.fault(bundle.ENTRIES, fault)
        self.step("inclusion", f"{len(self._entries):,} entries in the tree of {checkpoint.size:,}")

    def _read_keys(self) -> None:
        if bundle.KEYS in self._members:
            self._keys = decode_keys(bytes(self._members[bundle.KEYS]))

    def _check_entries(self) -> None:
        """6. Canonical leaves, the catalogue, sequence and completeness, private parts beside their leaves."""
        private = decode_private(self._members.get(bundle.PRIVATE, memoryview(b"")))
        openers = {session: PrivateParts(key, session) for session, key in self._keys.items()}
        checks: dict[str, JournalCheck] = {}
        for index, entry in self._entries.items():
            writer = self._read_leaf(index, entry)
            if writer not in checks:
                checks[writer] = JournalCheck(writer, self._report, openers.get, self._approvals)
            check = checks[writer]
            sealed = check.record(Record(index, entry, private.pop(index, b""), b"", True, Position(0, 0, b"")))  # noqa: FBT003  no link: the tree vouches
            if sealed is not None:
                self._recordings.append(sealed)
        for index in private:
            self._find("private_part", str(index), "a private part is of no entry")
        for check in checks.values():
            self._recordings += check.finish(writer_lives=True)
        self._check_ends()
        self.step("entries", f"{self._report.checked['sessions']:,} sessions, each entry, sequence, outcomes")

    def _read_leaf(self, index: int, entry: bytes) -> str:
        """Keep a leaf for the later steps; its writer. The journal's check names what is wrong with it."""
        try:
            leaf = decode_leaf(entry)
            writer = str(leaf.get("writer"))
            check_leaf(leaf, writer)
        except EntryFault:
            return ""
        self._leaves[index] = leaf
        return writer

    def _check_ends(self) -> None:
        started = {str(leaf["session"]) for leaf in self._leaves.values() if leaf["event"] == "session.start"}
        ended = {str(leaf["session"]) for leaf in self._leaves.values() if leaf["event"] in _ENDS}
        for session in sorted(started - ended):
            self._find("session_without_end", session, "is not over within this bundle", accounted=True)
        for expected in self._recordings:
            if not expected.sealed:
                words = "the recording is not sealed within this bundle"
                self._find("recording_unsealed", expected.session, words, accounted=expected.session not in ended)

    def _check_selection(self, manifest: Manifest) -> None:
        """7. Nothing that was not asked for, and as much as the manifest counts."""
        selector = Selector(manifest.selection)
        for leaf in self._leaves.values():
            selector.learn(leaf)
        for index, leaf in self._leaves.items():
            if index >= manifest.size or not selector.wants(leaf):
                self._find("bundle_selection", f"{leaf['writer']}/{index}", "was not asked for")
        if count(self._leaves, self._members) != dict(manifest.counts):
            self._find("bundle_selection", bundle.MANIFEST, "the manifest counts other things than are here")
        self.step("selection", f"{len(selector.sessions):,} sessions as asked for, counts as said")

    def _check_purges(self) -> None:
        """8. Tombstones against the consents that they name; what is gone by one is not missed."""
        purges = [leaf for leaf in self._leaves.values() if leaf["event"] == "evidence.purged"]
        requests = {str(leaf["request"]) for leaf in purges}
        for leaf in self._leaves.values():
            if leaf["event"] in PEOPLE or request_of(leaf) in requests:
                self._report.add(self._custody.add(leaf))
        for session, stones in self._custody.tombstones.items():
            if bundle.recording_name(session) not in self._members:
                words = f"its {stones[-1].erased} went with request {stones[-1].request}"
                self._find("erased", session, words, accounted=True)
        if purges:
            self.step("purges", f"{len(self._custody.tombstones):,} sessions that were purged, with their consents")

    def _check_recordings(self) -> None:
        """8. Chunks against the entries, seals against the chunks; opened where there is a key."""
        for expected in self._recordings:
            is_here = bundle.recording_name(expected.session) in self._members
            if self._custody.erased(expected.session) and not is_here:
                continue
            key = self._keys.get(expected.session)
            opener = ChunkOpener(key, expected.session) if key is not None else None
            check_recording(self._report, expected, self._chunks(expected), opener)
        known = {expected.session for expected in self._recordings}
        for name in self._members:
            session = bundle.session_of(name)
            if session is not None and session not in known:
                self._find("recording_unknown", session, "no entry here knows of this recording")
        self.step("recordings", f"{len(known):,} recordings, {self._report.checked['chunks']:,} chunks")

    def _chunks(self, expected: ExpectedRecording) -> Iterator[Chunk]:
        data = self._members.get(bundle.recording_name(expected.session))
        if data is None:
            raise RecordingFault("recording_missing", "the recording is not here")
        read = _Reader(data).read
        parse_header(read(HEADER_BYTES), expected.session)
        for chunk in read_chunks(read):
            if chunk.index >= len(expected.digests):
                raise RecordingFault("recording_chunk", f"chunk {chunk.index} was never entered")
            yield chunk

    def _check_contents(self, manifest: Manifest) -> None:
        """9. Keys are of the sessions that are here. That they open what they are for, steps 6 and 8 have seen."""
        here = {str(leaf["session"]) for leaf in self._leaves.values() if leaf["event"] == "session.start"}
        told = sorted([*self._keys, *manifest.undisclosed])
        if manifest.contents == bundle.DISCLOSED and told != sorted(here):
            self._find("bundle_contents", bundle.KEYS, "keys are not those of the sessions that are here")
        opened = self._report.checked["private parts opened"], self._report.checked["chunks opened"]
        words = f"disclosed: {opened[0]:,} private parts and {opened[1]:,} chunks opened"
        self.step("contents", words if self._keys else "sealed: not opened")

    def _check_policies(self, manifest: Manifest) -> None:
        """10. Policy sets against their hashes, and none unsaid that decided."""
        for set_hash, files in manifest.policies:
            names = [member_name(set_hash, number) for number in range(len(files))]
            texts = {file: bytes(self._members[name]) for file, name in zip(files, names, strict=True)}
            if hash_of(texts) != set_hash or list(files) != sorted(texts):
                self._find("bundle_policy", set_hash, "its files have another hash")
        told = {one for one, _ in manifest.policies} | set(manifest.policies_missing)
        for one in sorted(hashes_in(self._leaves.values()) - told):
            self._find("bundle_policy", one, "decided, and is neither here nor named as missing")
        self.step("policies", f"{len(manifest.policies):,} here, {len(manifest.policies_missing):,} named as missing")

    def _check_approvals(self) -> None:
        """11. What ran by an approval is what people consented to; told where there are any."""
        self._report.add_approvals(self._approvals)
        if asked := self._report.checked["approvals"]:
            self.step("approvals", f"{asked:,} requests, their votes and uses")


def count(leaves: dict[int, Leaf], members: dict[str, memoryview]) -> dict[str, int]:
    """Return the counts of a manifest for entries and members. BundleFault where `private` has not its form."""
    events = [leaf["event"] for leaf in leaves.values()]
    return {
        "entries": len(leaves),
        "sessions": events.count("session.start"),
        "operations": sum(event in OPERATIONS for event in events),
        "recordings": sum(bundle.session_of(name) is not None for name in members),
        "private": len(decode_private(members.get(bundle.PRIVATE, memoryview(b"")))),
    }


class _Reader:
    """Reads a view from its start, as a file is read."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._offset = 0

    def read(self, size: int) -> bytes:
        """Return the next so many bytes; fewer at the end."""
        data = bytes(self._view[self._offset : self._offset + size])
        self._offset += len(data)
        return data


__all__ = ["BundleFault", "Step", "Verified", "count", "verify_bundle"]
