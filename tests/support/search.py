# SPDX-License-Identifier: Apache-2.0
"""A small book to search: leaves as a gate writes them, as a ledger with its index."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint, sign
from gatebook.evidence.note import Signer
from gatebook.store.indexing import Ledger, catch_up
from gatebook.store.sqlite_index import SqliteIndex, open_index
from gatebook.vault.ledger import LedgerFolder
from support.evidence import canonical, leaf, moment
from support.ledger import SIGNER, write_ledger

ISSUER = "gatebook:gate"
KEY = SIGNER.verifier.text()
ORDERS = "Relation:shop.db.public.orders"


def subject(name: str) -> dict[str, str]:
    return {"iss": ISSUER, "sub": name}


def operation(
    number: int,
    *accesses: tuple[str, str],
    event: str = "intent",
    session: str = "s_1",
    agent: str = "helper",
    shape: str = "SELECT * FROM orders WHERE id = $1",
    seconds: float = 0,
    **more: Any,  # noqa: ANN401  JSON
) -> bytes:
    """Return an intent, or with `event` a refusal; `more` are members of its action, or replace members."""
    action = {"accesses": [list(pair) for pair in accesses], "privileged": False, "shape": shape, "verb": "SELECT"}
    members: dict[str, Any] = {
        "action": action | more.pop("action", {}),
        "decision": {"result": "allow", "policies": ["p"], "role": "reader"},
        "event": f"operation.{event}",
        "identity": {"act": [], "agent": subject(agent), "owner": subject("alice"), "groups": [], "method": "api_key"},
        "operation": f"{session}.{number}",
        "recording": {"offset": 0},
        "seq": 2 * number,
        "session": session,
        "source": {"ip": "10.0.0.1", "port": 1},
        "statement": {"count": 1, "index": 0},
        "time": moment(seconds),
        "v": 1,
        "via": "query",
        "where": {"account": "a", "database": "db", "gateway": "gate", "target": "shop"},
        "writer": "gate",
    }
    return canonical(members | more)


def refused(number: int, *accesses: tuple[str, str], **more: Any) -> bytes:  # noqa: ANN401  JSON
    return operation(number, *accesses, event="refused", refusal={"code": "policy.denied", "sqlstate": "42501"}, **more)


def outcome(number: int, *, session: str = "s_1", rows: int = 1, seconds: float = 0, **more: Any) -> bytes:  # noqa: ANN401  JSON
    whole = json.loads(operation(number, session=session, seconds=seconds, event="outcome"))
    for name in ("action", "decision", "statement", "via"):
        del whole[name]
    effect = {"status": "done", "tag": f"SELECT {rows}", "rows": rows, "bytes": 9, "duration_us": 1000}
    return canonical(whole | {"effect": effect, "seq": 2 * number + 1} | more)


def login(agent: str, *, result: str = "accepted", session: str = "", **more: Any) -> bytes:  # noqa: ANN401  JSON
    members: dict[str, Any] = {"result": result, "checks": [], "claimed": {"user": agent, "database": "shop"}}
    members |= {"source": {"ip": "10.0.0.1", "port": 1}, "target": "shop", **more}
    if result == "accepted":
        members |= {"identity": {"act": [], "agent": subject(agent), "owner": subject("alice")}, "admitted": session}
    return leaf("authn", **members)


class SmallBook:
    """A ledger in a folder, which grows, with its index beside it."""

    def __init__(self, folder: Path, entries: Sequence[bytes] = (), signer: Signer = SIGNER) -> None:
        self.folder = folder
        self.entries = list(entries)
        self.signer = signer
        folder.mkdir()
        self.index: SqliteIndex = open_index(folder / "index.db", key=signer.verifier.text())

    @property
    def ledger(self) -> Ledger:
        """The ledger with everything, written anew as often as it grew."""
        path = self.folder / f"ledger{len(self.entries)}"
        if not path.exists():
            write_ledger(path, self.entries, self.signer)
        note = (path / "checkpoint").read_bytes()
        return Ledger(LedgerFolder(path), open_checkpoint(note, self.signer.verifier), self.signer.verifier.text())

    def grow(self, *entries: bytes) -> None:
        self.entries += entries

    def catch_up(self) -> None:
        for _ in catch_up(self.index, self.ledger):
            pass

    def signed_by(self, signer: Signer) -> Ledger:
        """The same entries under another key."""
        ledger = self.ledger
        signed = Checkpoint(signer.name, ledger.checkpoint.size, ledger.checkpoint.root)
        return Ledger(ledger.stored, open_checkpoint(sign(signed, signer), signer.verifier), signer.verifier.text())
