# SPDX-License-Identifier: Apache-2.0
"""Bundles for tests: a data folder with sessions, statements and recordings, a bundle of it, and ways to change one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatebook.evidence.bundle import UNLISTED
from gatebook.evidence.bundle_archive import encode_archive, parse_archive
from gatebook.evidence.bundle_check import verify_bundle
from gatebook.evidence.bundle_policies import PolicySet, hash_of
from gatebook.evidence.bundle_selection import Selection
from gatebook.evidence.note import Signer, Verifier
from gatebook.evidence.verify import Report
from gatebook.vault.bundles import Asked, BundleMaker
from gatebook.vault.journal import JournalWriter
from support.data_folder import put_recording, recordings
from support.evidence import (
    SESSION,
    canonical,
    chunk,
    chunk_leaf,
    frame,
    leaf,
    recording_header,
    seal_private,
    sealed_leaf,
    session_leaf,
)
from support.notary import ORIGIN, SEED, folders, seal

OTHER = "s_other1"
POLICIES = {"a.cedar": b"permit(principal, action, resource);\n", "b c.cedar": b"// nothing\n"}
POLICY_HASH = hash_of(POLICIES)
KEY = Signer.make(ORIGIN, SEED).verifier
MADE = datetime(2026, 1, 2, tzinfo=UTC)
NASTY = "\x1b[31m<script>alert(1)</script>\n\u202e\x9b2J\"'&"


def write_session(
    root: Path,
    session: str = SESSION,
    *,
    agent: str = "helper",
    target: str = "shop",
    text: str = "SELECT 'deep'",
    ends: bool = True,
) -> None:
    """Append a session of one allowed and one refused operation, with a recording of two chunks."""
    who: dict[str, Any] = {
        "identity": {"agent": {"iss": "gatebook:gate", "sub": agent}, "role": "reader"},
        "where": {"target": target, "database": "d", "account": "a", "gateway": "gate"},
        "source": {"ip": "10.0.0.1", "port": 7},
    }
    said = {"application_name": text, "user": agent}
    decision = {"result": "allow", "policies": ["p"], "policy_hash": POLICY_HASH, "reasons": []}
    operation = {
        "via": "query",
        "statement": {"count": 1, "index": 0},
        "recording": {"offset": 0},
        "decision": decision,
    }
    action = {"verb": "SELECT", "shape": text, "accesses": [["select", "public.t"]]}
    private, commitment = seal_private(1, 1, canonical({"params": [{"text": text}], "text": text}), session)
    second, second_commitment = seal_private(3, 2, canonical({"text": "DROP TABLE t"}), session)
    refused = operation | {"decision": decision | {"result": "refuse"}, "refusal": {"code": "policy.denied"}}
    chunks = [chunk(number, [frame(">", f"{text} {number}".encode(), number)], session) for number in range(2)]
    entries: list[tuple[bytes, bytes]] = [
        (
            leaf(
                "authn",
                result="accepted",
                checks=[],
                claimed={"user": text, "database": target},
                admitted=session,
                **who,
            ),
            b"",
        ),
        (
            session_leaf("session.start", 0, session, recording={"id": session}, upstream={}, parameters=said, **who),
            b"",
        ),
        (
            session_leaf(
                "operation.intent",
                1,
                session,
                operation=f"{session}.1",
                private=commitment,
                action=action,
                **operation,
                **who,
            ),
            private,
        ),
        (chunk_leaf(0, chunks[0], 1, session), b""),
        (
            session_leaf(
                "operation.outcome", 2, session, operation=f"{session}.1", effect={"status": "done", "rows": 1}, **who
            ),
            b"",
        ),
        (
            session_leaf(
                "operation.refused",
                3,
                session,
                operation=f"{session}.2",
                private=second_commitment,
                action=action,
                **refused,
                **who,
            ),
            second,
        ),
        (chunk_leaf(1, chunks[1], 1, session), b""),
    ]
    if ends:
        entries.append((session_leaf("session.end", 4, session, cause="client closed", counts={"rows": 1}, **who), b""))
        entries.append((sealed_leaf(chunks, 2, session), b""))
    put_recording(root / "recordings", recording_header(session) + b"".join(chunks), session)
    with JournalWriter.open(root / "journal", "gate", sync="privileged") as journal:
        for plain, sealed in entries:
            journal.append(plain, sealed, durable=False)


def write_book(root: Path, **members: Any) -> None:  # noqa: ANN401  of `write_session`
    """Two sessions between entries of no session, sealed."""
    with JournalWriter.open(root / "journal", "gate", sync="privileged") as journal:
        for number in range(300):
            journal.append(leaf("heartbeat", sessions=number, journal=0, clock="unknown"), durable=False)
    write_session(root, **members)
    write_session(root, OTHER, agent="other", target="work")
    seal(root)


def maker_of(root: Path, selection: Selection, *, with_contents: bool = False) -> BundleMaker:
    """Gather a bundle; it is not sealed yet."""
    policies = PolicySet(POLICY_HASH, POLICIES)
    asked = Asked(selection, MADE, "root", f"audit {NASTY}", "0.1.0", policies, with_contents=with_contents)
    return BundleMaker(folders(root), recordings(root / "recordings"), asked)


def finish(root: Path, maker: BundleMaker, path: Path) -> bytes:
    """Enter, seal and write a bundle; its bytes."""
    contents, entries = maker.manifest.contents, maker.manifest.counts["entries"]
    words: dict[str, object] = {"by": "root", "purpose": "audit", "contents": contents, "entries": entries}
    with JournalWriter.open(root / "journal", "cli", sync="privileged") as journal:
        journal.append(leaf("evidence.exported", "cli", manifest=maker.manifest_hash, **words), durable=False)
    seal(root)
    assert maker.seal()
    maker.write(path)
    return path.read_bytes()


def make_bundle(root: Path, selection: Selection | None = None, *, with_contents: bool = False) -> bytes:
    """Make a bundle of a book; of its session `SESSION` where nothing else is asked for."""
    maker = maker_of(root, selection or Selection(sessions=(SESSION,)), with_contents=with_contents)
    return finish(root, maker, root / "bundle.zip")


def members_of(data: bytes) -> dict[str, bytes]:
    return {member.name: bytes(member.data) for member in parse_archive(data)}


def changed(data: bytes, name: str, change: Callable[[bytes], bytes], *, list_anew: bool = False) -> bytes:
    """Return a bundle with one member changed, packed anew; with `list_anew` the manifest has its new hash."""
    members = members_of(data)
    before, members[name] = members[name], change(members[name])
    assert members[name] != before, f"{name} was not changed"
    return packed(members, list_anew=list_anew)


def packed(members: Mapping[str, bytes], *, list_anew: bool = False) -> bytes:
    whole = dict(members)
    if list_anew:
        manifest = json.loads(whole["manifest.json"])
        manifest["members"] = [
            {"bytes": len(data), "name": name, "sha256": f"sha256:{hashlib.sha256(data).hexdigest()}"}
            for name, data in whole.items()
            if name not in UNLISTED
        ]
        whole["manifest.json"] = canonical(manifest) + b"\n"
    return encode_archive(whole.items())


def check(data: bytes, verifier: Verifier | None = KEY) -> Report:
    return verify_bundle(data, verifier).report


def found(data: bytes, verifier: Verifier | None = KEY) -> set[tuple[str, str]]:
    """Names and subjects of what a verification finds."""
    return {(finding.name, finding.subject) for finding in check(data, verifier).findings}


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
