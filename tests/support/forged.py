# SPDX-License-Identifier: Apache-2.0
"""Books made anew by somebody who owns everything: a real gate's entries, changed at will, sealed with another key."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from throwaway_gate import Gate

from gatebook.cli.common import load, recordings_of
from gatebook.evidence.bundle_check import verify_bundle
from gatebook.evidence.bundle_policies import PolicySet
from gatebook.evidence.bundle_selection import Selection
from gatebook.evidence.verify import Report
from gatebook.vault.bundles import Asked, BundleMaker
from gatebook.vault.journal import Faults, JournalReader, JournalWriter
from gatebook.vault.recordings import Recordings
from gatebook.vault.verification import verify_data
from support.bundle import KEY, finish
from support.evidence import canonical, derive
from support.notary import folders, seal


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it can be changed; `content` is the object of its private part, None where it has none."""

    leaf: dict[str, Any]
    content: dict[str, Any] | None = None
    salt: bytes = b""

    def changed(self, **members: object) -> Entry:
        """Return it with other members; of `where.gateway` and the like the name is `where__gateway`."""
        leaf = json.loads(json.dumps(self.leaf))
        for name, value in members.items():
            *outer, last = name.split("__")
            place = leaf
            for one in outer:
                place = place[one]
            place[last] = value
        return replace(self, leaf=leaf)


Change = Callable[[Entry], Entry | Sequence[Entry] | None]
"""What becomes of an entry: another, several, or nothing."""


class Book:
    """The entries of a gate's book, in the order of each journal."""

    def __init__(self, gate: Gate) -> None:
        self.recordings = recordings_of(load(gate.config), need_key=True)
        self._keys: dict[str, bytes] = {}
        self.entries = [entry for writer in ("cli", "gatebook") for entry in self._read(gate, writer)]

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the leaves of a kind."""
        return [entry.leaf for entry in self.entries if entry.leaf["event"] == event]

    def forge(self, root: Path, change: Change) -> Forged:
        """Write, seal, and return the book as it is after the change."""
        shutil.copytree(self.recordings.folder, root / "recordings")
        for writer in ("cli", "gatebook"):
            with JournalWriter.open(root / "journal", writer, sync="privileged") as journal:
                for entry in self.entries:
                    if entry.leaf["writer"] == writer:
                        for one in _listed(change(entry)):
                            journal.append(*self._encode(one), durable=False)
        seal(root)
        return Forged(root, Recordings(root / "recordings", self.recordings.key))

    def _read(self, gate: Gate, writer: str) -> Iterator[Entry]:
        for record in JournalReader(gate.data / "journal" / writer, Faults()).read():
            leaf = json.loads(record.leaf)
            if not record.private:
                yield Entry(leaf)
                continue
            blob = AESGCM(self._key(leaf["session"])).decrypt(
                record.private[:12], record.private[12:], leaf["session"].encode()
            )
            yield Entry(leaf, json.loads(blob[32:]), blob[:32])

    def _key(self, session: str) -> bytes:
        if session not in self._keys:
            key = self.recordings.recording_key(session)
            assert key is not None
            self._keys[session] = derive(key.reveal(), b"gatebook private v1")
        return self._keys[session]

    def _encode(self, entry: Entry) -> tuple[bytes, bytes]:
        """Return leaf and sealed private part, which fit each other again."""
        if entry.content is None:
            return canonical(entry.leaf), b""
        blob = entry.salt + canonical(entry.content)
        nonce = (1).to_bytes(4, "big") + entry.leaf["seq"].to_bytes(8, "big")
        sealed = AESGCM(self._key(entry.leaf["session"])).encrypt(nonce, blob, entry.leaf["session"].encode())
        leaf = entry.leaf | {"private": "sha256:" + hashlib.sha256(blob).hexdigest()}
        return canonical(leaf), nonce + sealed


@dataclass(frozen=True, slots=True)
class Forged:
    """A book whose signatures, hashes and links hold, whatever its entries say."""

    root: Path
    recordings: Recordings

    def verify(self) -> Report:
        """Verify the data folder with the recording keys."""
        return verify_data(folders(self.root), self.recordings)

    def bundle(self, selection: Selection, *, with_contents: bool = True) -> Report:
        """Make a bundle of it and verify that, with the key that sealed it."""
        asked = Asked(
            selection, datetime.now(UTC), "root", "audit", "0", PolicySet("sha256:" + "0" * 64, {}), with_contents
        )
        maker = BundleMaker(folders(self.root), self.recordings, asked)
        return verify_bundle(finish(self.root, maker, self.root / "bundle.zip"), KEY).report


def names(report: Report) -> set[str]:
    """Names of what was found."""
    return {finding.name for finding in report.findings}


def _listed(value: Entry | Sequence[Entry] | None) -> Sequence[Entry]:
    return [] if value is None else [value] if isinstance(value, Entry) else value
