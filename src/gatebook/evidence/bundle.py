# SPDX-License-Identifier: Apache-2.0
"""Bundles: which members one has, in which order, and the manifest that lists them.

SPEC: docs/spec/bundle.md, "Members" and "Manifest". Bounds: the manifest 16 MiB, other members as the table says. What
has another form raises BundleFault, and nothing else is raised.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from gatebook.evidence.bundle_archive import Member
from gatebook.evidence.bundle_entries import SESSION, BundleFault
from gatebook.evidence.bundle_policies import HASH, MAX_FILES, member_name
from gatebook.evidence.bundle_selection import Selection
from gatebook.evidence.entry import EntryFault, Leaf, Value, decode_canonical, encode_canonical, parse_time
from gatebook.evidence.tree import MAX_SIZE
from gatebook.model.errors import quoted

FORMAT = "gatebook bundle"
VERSION = 1
MANIFEST, RECEIPT, README, PAGE = "manifest.json", "manifest.tlog-proof", "README.txt", "index.html"
VKEY, CHECKPOINT, ENTRIES, HASHES = "ledger.vkey", "checkpoint", "entries", "hashes"
PRIVATE, KEYS = "private", "keys.json"
POLICIES, RECORDINGS = "policies/", "recordings/"
SEALED, DISCLOSED = "sealed", "disclosed"

_MIB = 1 << 20
LIMITS = {  # LIMIT: in order of the members; each is held in memory by a verifier
    MANIFEST: 16 * _MIB,
    RECEIPT: _MIB + (1 << 17),
    README: _MIB,
    PAGE: 64 * _MIB,
    VKEY: 4096,
    CHECKPOINT: _MIB,
    ENTRIES: 512 * _MIB,
    HASHES: 512 * _MIB,
    PRIVATE: 1024 * _MIB,
    KEYS: 16 * _MIB,
}
MAX_POLICY_BYTES = _MIB
UNLISTED = frozenset({MANIFEST, RECEIPT, CHECKPOINT, HASHES})  # of a moment after the manifest
_NEEDED = (MANIFEST, RECEIPT, README, PAGE, VKEY, CHECKPOINT, ENTRIES, HASHES)
_RANKS = {name: rank for rank, name in enumerate(LIMITS)}
_COUNTS = ("entries", "operations", "private", "recordings", "sessions")
_TEXTS = ("made", "by", "purpose", "version", "contents")


@dataclass(frozen=True, slots=True)
class Listed:
    """A member as the manifest lists it: name, length in bytes, `sha256:` and hex."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was asked for and what is here. `policies` are the sets that are here: hash and names of files in order."""

    made: str
    by: str
    purpose: str
    version: str
    origin: str
    size: int
    selection: Selection
    counts: Mapping[str, int]
    contents: str = SEALED
    not_sealed: Mapping[str, int] = field(default_factory=dict)
    undisclosed: tuple[str, ...] = ()
    policies: tuple[tuple[str, tuple[str, ...]], ...] = ()
    policies_missing: tuple[str, ...] = ()
    members: tuple[Listed, ...] = ()

    def encode(self) -> bytes:
        """Return the member `manifest.json`. EntryFault if a text cannot be written."""
        told: Leaf = {name: getattr(self, name) for name in _TEXTS}
        told |= {"format": FORMAT, "v": VERSION, "ledger": {"origin": self.origin, "size": self.size}}
        told |= {"selection": self.selection.to_value(), "counts": dict(self.counts)}
        told |= {"not_sealed": dict(self.not_sealed), "undisclosed": list(self.undisclosed)}
        told["policies"] = [{"hash": one, "files": list(files)} for one, files in self.policies]
        told["policies_missing"] = list(self.policies_missing)
        told["members"] = [{"name": one.name, "bytes": one.size, "sha256": one.digest} for one in self.members]
        return encode_canonical(told) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read what `encode` gives. BundleFault on any other form."""
        try:
            told = decode_canonical(data[:-1])
            found = cls._read(told)
            if found.encode() != data:
                raise BundleFault("bundle_manifest", "the manifest has not its form")
            parse_time(found.made)
        except (EntryFault, TypeError, ValueError, KeyError, AttributeError) as fault:
            raise BundleFault("bundle_manifest", "the manifest has not its form") from fault
        if found.contents not in {SEALED, DISCLOSED} or not 0 <= found.size <= MAX_SIZE:
            raise BundleFault("bundle_manifest", "the manifest says what none can say")
        if any(not HASH.fullmatch(one) or not 0 < len(files) <= MAX_FILES for one, files in found.policies):
            raise BundleFault("bundle_manifest", "a policy set of the manifest has not its form")
        return found

    @classmethod
    def _read(cls, told: Leaf) -> Manifest:
        """Take the members as they are; what has another type raises, or is not written the same again."""
        ledger, counts = cast("Leaf", told["ledger"]), cast("Mapping[str, int]", told["counts"])
        texts = {name: _text(told[name]) for name in _TEXTS}
        if sorted(counts) != list(_COUNTS):
            raise BundleFault("bundle_manifest", "the manifest counts other things")
        return cls(
            **texts,
            origin=_text(ledger["origin"]),
            size=_count(ledger["size"]),
            selection=Selection.from_value(told["selection"]),
            counts={name: _count(count) for name, count in counts.items()},
            not_sealed={name: _count(count) for name, count in cast("Leaf", told["not_sealed"]).items()},
            undisclosed=_texts(told["undisclosed"]),
            policies=tuple((_text(one["hash"]), _texts(one["files"])) for one in _objects(told["policies"])),
            policies_missing=_texts(told["policies_missing"]),
            members=tuple(
                Listed(_text(one["name"]), _count(one["bytes"]), _text(one["sha256"]))
                for one in _objects(told["members"])
            ),
        )


def recording_name(session: str) -> str:
    """Return the member of a session's recording."""
    return f"{RECORDINGS}{session}.rec"


def session_of(name: str) -> str | None:
    """Return whose recording a member is; None if it is none."""
    session = name.removeprefix(RECORDINGS).removesuffix(".rec")
    return session if SESSION.fullmatch(session) and recording_name(session) == name else None


def place_of(name: str) -> tuple[int, str]:
    """Return what members are sorted by. BundleFault if a bundle has no such member."""
    if name in _RANKS:
        return _RANKS[name], ""
    if name.startswith(POLICIES):
        return len(_RANKS), name
    if session_of(name) is not None:
        return len(_RANKS) + 1, name
    raise BundleFault("bundle_form", f"a bundle has no member {quoted(name)}")


def check_members(members: Sequence[Member]) -> dict[str, memoryview]:
    """Return the members by name. BundleFault if one is missing, out of order, too long, or none of a bundle."""
    places = [place_of(member.name) for member in members]
    if any(first >= second for first, second in pairwise(places)):
        raise BundleFault("bundle_form", "members are out of order")
    for member in members:
        policy = MAX_POLICY_BYTES if member.name.startswith(POLICIES) else len(member.data)
        if len(member.data) > LIMITS.get(member.name, policy):
            raise BundleFault("bundle_form", f"{quoted(member.name)} is longer than it may be")
    found = {member.name: member.data for member in members}
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise BundleFault("bundle_form", f"{quoted(missing[0])} is missing")
    return found


def check_names(manifest: Manifest, members: Mapping[str, memoryview]) -> None:
    """Check that the manifest lists what is here, and what it says of policies. BundleFault if not."""
    listed = [one.name for one in manifest.members]
    here = [name for name in members if name not in UNLISTED]
    if listed != here:
        odd = sorted(set(listed) ^ set(here)) or ["their order"]
        raise BundleFault("bundle_manifest", f"the manifest does not list the members that are here: {quoted(odd[0])}")
    told = [member_name(one, number) for one, files in manifest.policies for number in range(len(files))]
    if told != [name for name in here if name.startswith(POLICIES)]:
        raise BundleFault("bundle_manifest", "the manifest tells of other policies than are here")
    if (KEYS in members) != (manifest.contents == DISCLOSED):
        raise BundleFault("bundle_contents", "keys are here and the manifest does not say so, or the other way round")


def is_listed_so(listed: Listed, data: memoryview) -> bool:
    """Return whether a member is what the manifest says."""
    return listed.size == len(data) and listed.digest == "sha256:" + hashlib.sha256(data).hexdigest()


def _text(value: Value) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _count(value: Value) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError(value)
    return value


def _texts(value: Value) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(value)
    return tuple(_text(one) for one in value)


def _objects(value: Value) -> list[Leaf]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise TypeError(value)
    return value
