# SPDX-License-Identifier: Apache-2.0
"""A book with one session that is over, of the agent `reporter` whom alice owns, and its recording."""

from __future__ import annotations

from typing import Any

from support.data_folder import put_journal, put_recording
from support.evidence import (
    KEK,
    SESSION,
    chunk,
    chunk_leaf,
    frame,
    intent,
    message,
    outcome,
    recording_header,
    sealed_leaf,
    session_leaf,
    start,
)
from support.installation import Installation

CHUNK = chunk(
    0,
    [
        frame(">", message("Q", b"select '<b>secret</b>'\0")),
        frame("<", message("C", b"SELECT 1\0") + message("Z", b"I"), 1),
    ],
)
IDENTITY = {
    "agent": {"iss": "gatebook:gate", "sub": "reporter"},
    "owner": {"iss": "gatebook:gate", "sub": "alice"},
    "role": "reader",
}
WHERE = {"target": "shop", "database": "shop", "account": "shop_reader", "gateway": "gate"}
ACTION = {"verb": "SELECT", "shape": "SELECT ? <b>", "accesses": [["select", "Relation:shop.shop.public.t"]]}
REFUSAL = {"code": "policy.denied", "sqlstate": "42501"}
OWN: dict[str, Any] = {"operation": f"{SESSION}.2", "via": "query", "statement": {}, "recording": {}}
ENTRIES: list[Any] = [
    session_leaf(
        "session.start",
        0,
        identity=IDENTITY,
        where=WHERE,
        source={"ip": "10.0.0.1", "port": 7},
        recording={"id": SESSION},
        upstream={},
        parameters={},
    ),
    intent(1, 1, action=ACTION, decision={"result": "allow", "policies": ["agents-read"], "reasons": []}),
    outcome(1, 2, effect={"status": "done", "rows": 5, "duration_us": 1500, "tag": "SELECT 5"}),
    session_leaf("operation.refused", 3, refusal=REFUSAL, **OWN),
    session_leaf("session.end", 4, cause="client closed", counts={"operations": 1, "refused": 1, "rows": 5}),
    chunk_leaf(0, CHUNK, 2),
    sealed_leaf([CHUNK], 2),
    start(session="s_other"),
]


def put_book(gate: Installation) -> None:
    """Write it into an installation."""
    (gate.folder / "recording.key").write_text(KEK.hex())
    put_journal(gate.settings.journal_path, ENTRIES)
    put_recording(gate.settings.recordings_path, recording_header() + CHUNK)
