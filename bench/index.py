# SPDX-License-Identifier: Apache-2.0
"""The search index over a ledger of a million entries: how fast it is made, how fast it answers, what it takes.

The ledger is made here, of leaves with the members and sizes of real ones: 40 agents of 8 people at 4 targets, in
sessions of 200 operations over 300 tables. To make it with a gate would take an hour and measure the gate.
"""

from __future__ import annotations

import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gatebook.evidence.checkpoint import Checkpoint, open_checkpoint, sign
from gatebook.evidence.note import Signer, Verifier
from gatebook.evidence.object_pattern import ObjectPattern
from gatebook.evidence.query import Question
from gatebook.evidence.tiles import encode_bundle
from gatebook.evidence.tree import TILE_WIDTH, Frontier, leaf_hash
from gatebook.store.indexing import Ledger, catch_up
from gatebook.store.searching import search
from gatebook.store.sqlite_index import open_index
from gatebook.vault.ledger import LedgerFolder, SystemDisk

ENTRIES = 1_000_000
ORIGIN = "bench.example/index"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OPERATIONS = 200  # of a session
LAST = 100
TIMES = 20
Figures = Iterator[tuple[str, float, str]]

_SELECT = "SELECT {0}.id, {0}.name FROM {0} WHERE {0}.id = $1 AND {0}.state = $2 ORDER BY {0}.id LIMIT $3"
_VERBS = (
    ("select", _SELECT),
    ("update", "UPDATE {0} SET state = $1, changed = now() WHERE id = $2"),
    ("insert", "INSERT INTO {0} (id, name, state) VALUES ($1, $2, $3)"),
    ("delete", "DELETE FROM {0} WHERE id = $1"),
)


def measure_index(entries: int = ENTRIES) -> Figures:
    """Make a ledger, index it and ask; all in one thread, timed by its core. Yields metric, value and unit."""
    with tempfile.TemporaryDirectory(prefix="gbindex-", dir="/tmp") as folder:
        ledger = _make(Path(folder) / "ledger", entries)
        index = open_index(Path(folder) / "index.db", key=ledger.key)
        began = time.process_time()
        for _ in catch_up(index, ledger):
            pass
        yield "indexing, of a core's time", entries / (time.process_time() - began), "entries/s"
        yield "size", index.size_bytes() / entries, "bytes/entry"
        for name, question in _questions(entries).items():
            taken = []
            for _ in range(TIMES):
                began = time.process_time()
                found = search(index, ledger, question, LAST)
                taken.append((time.process_time() - began) * 1000)
            yield f"{name} ({len(found.hits)} hits)", statistics.median(taken), "ms"
        began = time.process_time()
        search(index, ledger, _questions(entries)["a table"], LAST, prove=True)
        yield "a table, with --prove", (time.process_time() - began) * 1000, "ms"
        index.close()


def _questions(entries: int) -> dict[str, Question]:
    begin = BEGIN + timedelta(seconds=entries // 200)
    return {
        "a table": Question(object=ObjectPattern.parse("orders_17")),
        "a table that nobody touched": Question(object=ObjectPattern.parse("payments")),
        "deletes in a schema by one agent": Question(
            object=ObjectPattern.parse("public.*"), action="delete", agent="agent-7"
        ),
        "an agent in half an hour": Question(agent="agent-7", begin=begin, end=begin + timedelta(minutes=30)),
        "a session": Question(session="s_00000123"),
        "refusals of a person's agents": Question(owner="person-3", decision="refuse"),
        "three words of a shape": Question(shape="delete from orders_17"),
        "everything, the newest": Question(),
    }


def _make(folder: Path, entries: int) -> Ledger:
    """Write a ledger as the notary would, bundle by bundle."""
    disk, written, signer = SystemDisk(), LedgerFolder(folder), Signer.make(ORIGIN, bytes(32))
    frontier, batch = Frontier.empty(), list[bytes]()
    leaves = _leaves(entries)
    while batch := [leaf for leaf, _ in zip(leaves, range(TILE_WIDTH))]:  # noqa: B905  the last bundle is partial
        number = frontier.size // TILE_WIDTH
        written.write_tiles(disk, frontier.append(b"".join(map(leaf_hash, batch))))
        written.write_bundle(disk, number, len(batch), encode_bundle(batch))
    written.write_tiles(disk, frontier.partials())
    note = sign(Checkpoint(ORIGIN, frontier.size, frontier.root()), signer)
    key = signer.verifier.text()
    return Ledger(written, open_checkpoint(note, Verifier.parse(key)), key)


def _leaves(entries: int) -> Iterator[bytes]:
    """Yield leaves: intents with their outcomes, each 64th refused, session by session, 16 of them interleaved."""
    chance = random.Random(7)
    running: list[Iterator[dict[str, Any]]] = [_session(number, chance) for number in range(16)]
    begun = 16
    for number in range(entries):
        at = number % 16
        leaf = next(running[at], None)
        if leaf is None:
            running[at] = _session(begun, chance)
            begun += 1
            leaf = next(running[at])
        leaf["time"] = (BEGIN + timedelta(milliseconds=10 * number)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        yield json.dumps(leaf, sort_keys=True, separators=(",", ":")).encode()


def _session(number: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    target, name = f"shop-{number % 4}", f"s_{number:08}"
    common = _common(number, target, name)
    yield common | {"event": "session.start", "seq": 0, "parameters": {}, "recording": {"id": name}, "upstream": {}}
    for turn in range(OPERATIONS):
        intent = _intent(turn, f"{name}.{turn + 1}", target, chance)
        if turn % 64 == 63:
            refusal = {"code": "policy.denied", "sqlstate": "42501"}
            yield common | intent | {"event": "operation.refused", "seq": 2 * turn + 1, "refusal": refusal}
            continue
        yield common | intent | {"event": "operation.intent", "seq": 2 * turn + 1}
        yield common | {
            "effect": {
                "bytes": 300,
                "duration_us": 700,
                "rows": 1,
                "status": "done",
                "tag": "SELECT 1",
                "result": f"sha256:{chance.getrandbits(256):064x}",
            },
            "event": "operation.outcome",
            "operation": f"{name}.{turn + 1}",
            "recording": {"offset": turn * 300 + 200},
            "seq": 2 * turn + 2,
        }
    counts = {"operations": OPERATIONS, "refused": OPERATIONS // 64, "rows": OPERATIONS}
    yield common | {"event": "session.end", "seq": 2 * OPERATIONS + 1, "cause": "client closed", "counts": counts}


def _common(number: int, target: str, session: str) -> dict[str, Any]:
    return {
        "identity": {
            "act": [],
            "agent": {"iss": "gatebook:gate", "sub": f"agent-{number % 40}"},
            "credential": "0a1b2c3d4e5f",
            "groups": ["agents"],
            "method": "api_key",
            "owner": {"iss": "gatebook:gate", "sub": f"person-{number % 8}"},
            "role": "writer",
        },
        "session": session,
        "source": {
            "ip": "10.1.2.3",
            "port": 40_000 + number % 20_000,
            "tls": {"cipher": "TLS_AES_256_GCM_SHA384", "version": "TLSv1.3"},
        },
        "v": 1,
        "where": {"account": "app", "database": "shop", "gateway": "gate", "target": target},
        "writer": "gate",
    }


def _intent(turn: int, operation: str, target: str, chance: random.Random) -> dict[str, Any]:
    action, shape = _VERBS[chance.choices(range(4), (80, 10, 9, 1))[0]]
    table = f"orders_{chance.randrange(300)}"
    return {
        "action": {
            "accesses": [[action, f"Relation:{target}.shop.public.{table}"]],
            "privileged": action != "select",
            "shape": shape.format(table),
            "verb": action.upper(),
        },
        "decision": {
            "evaluation": f"{chance.getrandbits(64):016x}",
            "policies": ["permit-agents"],
            "policy_hash": "sha256:" + "0" * 64,
            "result": "allow",
            "role": "writer",
        },
        "operation": operation,
        "private": f"sha256:{chance.getrandbits(256):064x}",
        "recording": {"offset": turn * 300},
        "statement": {"count": 1, "index": 0},
        "via": "query",
    }
