# SPDX-License-Identifier: Apache-2.0
"""A witness: it remembers the newest checkpoint of each ledger it knows, and cosigns only what continues that one.

SPEC: docs/spec/ledger.md, "What a witness does". One process per folder, under a lock, and one request at a time: the
check, the write and the signature are one step. What it has not written it has not seen, and what it has not seen it
does not sign.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint
from gatebook.evidence.cosignature import Cosigner, CosignerKey, Request
from gatebook.evidence.entry import EntryFault, Leaf, Value, decode_canonical, encode_canonical
from gatebook.evidence.faults import EvidenceFault
from gatebook.evidence.note import Signer, Verifier, decode_base64, parse_note
from gatebook.evidence.tree import EMPTY_ROOT, HASH_BYTES, ProofFault, verify_consistency
from gatebook.model.errors import OperatorFault, quoted
from gatebook.vault.ledger import SECRET_MODE, Disk, take_lock

KEY, STATE, LOCK = "key", "state", "lock"
VERSION = 1
MAX_STATE_BYTES = 1 << 20
MAX_LOGS = 1000  # LIMIT: the state is written whole for each cosignature
TEXT = "text/plain; charset=utf-8"
SIZE = "text/x.tlog.size"  # SPEC: tlog-witness, of a 409


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer to add-checkpoint: status, content and its type."""

    status: int
    body: bytes
    kind: str = TEXT


@dataclass(frozen=True, slots=True)
class Head:
    """The newest checkpoint that was cosigned of a ledger."""

    size: int = 0
    root: bytes = EMPTY_ROOT


class WitnessStopped(OperatorFault):
    """A witness cannot start as it is."""

    code = "witness"


class Witness:
    """One witness. Methods are called from one thread at a time; `close` gives its lock back."""

    def __init__(
        self,
        folder: Path,
        lock: BinaryIO,
        signer: Signer,
        *,
        logs: Sequence[Verifier],
        heads: Mapping[str, Head],
        disk: Disk,
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._cosigner = Cosigner(signer)
        self._logs: dict[str, list[Verifier]] = {}
        for log in logs:
            self._logs.setdefault(log.name, []).append(log)
        self._heads = dict(heads)
        self._disk = disk

    @property
    def key(self) -> CosignerKey:
        """The public key."""
        return self._cosigner.key

    @classmethod
    def open(cls, folder: Path, name: str, logs: Sequence[Verifier], seed: bytes, disk: Disk) -> Witness:
        """Take the lock, read key and state; make both where there is neither, with `seed` (32 random bytes).

        WitnessStopped where another witness runs, the state is gone or broken, or the key has another name than `name`
        (empty: whichever it has); NoteFault for a key or name that is none; OSError.
        """
        if not 1 <= len({*logs}) == len(logs) <= MAX_LOGS:
            raise WitnessStopped("a witness needs ledgers, each key of theirs once", f"at most {MAX_LOGS}")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            lock = take_lock(folder / LOCK)
        except BlockingIOError as fault:
            raise WitnessStopped("another witness uses this folder", "let it, or stop it first") from fault
        try:
            heads = _read_state(folder)
            signer = _read_key(folder, name, seed, disk, heads)
            return cls(folder, lock, signer, logs=logs, heads=heads or {}, disk=disk)
        except BaseException:
            lock.close()
            raise

    def add_checkpoint(self, body: bytes, now: Callable[[], float]) -> Reply:
        """Answer a request; `now` gives seconds since 1970. OSError, and nothing signed, where the disk fails."""
        # 1. the form, and whose checkpoint it says to be
        try:
            request = Request.parse(body)
            origin = parse_note(request.note).text.partition("\n")[0]
        except EvidenceFault as fault:
            return _refused(400, fault.message)
        keys = self._logs.get(origin)
        if keys is None:
            return _refused(404, "no ledger of this origin is known here")
        # 2. the signature of the ledger's notary
        try:
            checkpoint = open_checkpoint(request.note, *keys)
        except EvidenceFault as fault:
            return _refused(403 if fault.finding.startswith("note_") else 400, fault.message)
        # 3. it continues what was cosigned last
        head = self._heads.get(origin, Head())
        if request.old > checkpoint.size:
            return _refused(400, "the old size is beyond the checkpoint")
        if request.old != head.size or (checkpoint.size == head.size and checkpoint.root != head.root):
            return Reply(409, f"{head.size}\n".encode(), SIZE)
        try:
            verify_consistency(head.size, head.root, checkpoint.size, checkpoint.root, request.proof)
        except ProofFault as fault:
            return _refused(422, fault.message)
        # 4. on disk, then signed
        self._remember(checkpoint)
        return Reply(200, self._cosigner.cosign(checkpoint, int(now())).encode())

    def close(self) -> None:
        """Give the lock back."""
        self._lock.close()

    def _remember(self, checkpoint: Checkpoint) -> None:
        head = Head(checkpoint.size, checkpoint.root)
        if self._heads.get(checkpoint.origin) == head:
            return
        heads = {**self._heads, checkpoint.origin: head}
        self._disk.replace(self._folder / STATE, _encode_state(heads), SECRET_MODE)
        self._heads = heads


def _refused(status: int, words: str) -> Reply:
    return Reply(status, f"{words}\n".encode())


def _read_key(folder: Path, name: str, seed: bytes, disk: Disk, heads: Mapping[str, Head] | None) -> Signer:
    path = folder / KEY
    with contextlib.suppress(FileNotFoundError):
        signer = Signer.parse(path.read_text("utf-8").strip())
        if heads is None:
            raise WitnessStopped(
                "the witness's state is gone, and with it what it has seen",
                "put the state back; without it make a new witness, with another key and folder",
            )
        if name not in {"", signer.name}:
            raise WitnessStopped(f"the witness is called {quoted(signer.name)}, not {quoted(name)}", "keep its name")
        return signer
    if heads:
        raise WitnessStopped(f"the witness's key {quoted(str(path))} is gone", "put it back from where it is kept")
    if not name:
        raise WitnessStopped("a new witness needs a name", "give one with `--name`, best a host name of yours")
    signer = Signer.make(name, seed)
    # In this order: where there is a key there is a state.
    disk.replace(folder / STATE, _encode_state({}), SECRET_MODE)
    disk.replace(path, f"{signer.text()}\n".encode(), SECRET_MODE)
    return signer


def _encode_state(heads: Mapping[str, Head]) -> bytes:
    logs: Leaf = {
        origin: {"size": str(head.size), "root": base64.b64encode(head.root).decode()} for origin, head in heads.items()
    }
    return encode_canonical({"v": VERSION, "logs": logs}) + b"\n"


def _read_state(folder: Path) -> dict[str, Head] | None:
    """Return what was seen; None where there is no state."""
    try:
        data = (folder / STATE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        if len(data) > MAX_STATE_BYTES or not data.endswith(b"\n"):
            raise _broken()
        state = decode_canonical(data[:-1])
        logs = state.get("logs")
        if state.get("v") != VERSION or not isinstance(logs, dict):
            raise _broken()
        return {origin: _head(origin, value) for origin, value in logs.items()}
    except EntryFault as fault:
        raise _broken() from fault


def _head(origin: str, value: Value) -> Head:
    if not isinstance(value, dict) or value.keys() != {"size", "root"}:
        raise _broken()
    root = decode_base64(str(value["root"]))
    try:
        checkpoint = Checkpoint.parse(f"{origin}\n{value['size']}\n{value['root']}\n")
    except EvidenceFault as fault:
        raise _broken() from fault
    if root is None or len(root) != HASH_BYTES:
        raise _broken()
    return Head(checkpoint.size, root)


def _broken() -> WitnessStopped:
    return WitnessStopped("the witness's state is broken", "put it back from a copy that is not older")
