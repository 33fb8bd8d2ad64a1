# SPDX-License-Identifier: Apache-2.0
"""Marks: statements that each leave a number at the server, to be compared with the intents in the book."""

from __future__ import annotations

import subprocess
from pathlib import Path

from gatebook.evidence.entry import EntryFault, decode_leaf
from gatebook.evidence.private import PrivateParts
from gatebook.model.secret import Secret
from gatebook.vault.journal import Faults, JournalReader
from gatebook.vault.keys import parse_key
from gatebook.vault.recordings import Recordings
from support.servers import Place

SCRIPT = "\\set mark random(1, 9000000000000000)\nINSERT INTO marks VALUES (:mark);\n"
TABLE = "CREATE TABLE marks (mark bigint)"


def start_marking(place: Place, folder: Path, mode: str = "simple", seed: int = 0) -> subprocess.Popen[bytes]:
    """Start pgbench with four clients that leave marks until the gate is gone."""
    script = folder / "marks.sql"
    script.write_text(SCRIPT)
    way = place.through
    words = ["-n", "-c", "4", "-j", "2", "-T", "60", "-M", mode, "-f", str(script), f"--random-seed={seed}"]
    return subprocess.Popen(
        [place.server.programs.client("pgbench"), *words, way.conninfo],
        env=way.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def executed(place: Place) -> set[int]:
    """The marks that are at the server."""
    return {int(mark) for mark in place.ask("SELECT mark FROM marks").split()}


def intended(place: Place) -> set[int]:
    """The marks in intents of the gate's journal."""
    return set(intents(place).values())


def intents(place: Place) -> dict[str, int]:
    """The marks in intents of the gate's journal by operation, from texts and parameters in their private parts."""
    key = parse_key(Secret((place.gate.folder / "recording.key").read_bytes()))
    recordings = Recordings(place.gate.data / "recordings", key)
    opened: dict[str, PrivateParts | None] = {}
    marks: dict[str, int] = {}
    for record in JournalReader(place.gate.data / "journal" / "gatebook", Faults()).read():
        if b'"event":"operation.intent"' not in record.leaf:
            continue
        try:
            leaf = decode_leaf(record.leaf)
        except EntryFault:  # cut short by the fault, behind all that was forwarded; recovery sets it aside
            break
        session, seq, commitment, operation = leaf["session"], leaf["seq"], leaf["private"], leaf["operation"]
        assert isinstance(operation, str)
        assert isinstance(session, str)
        assert isinstance(seq, int)
        assert isinstance(commitment, str)
        if session not in opened:
            opened[session] = recordings.private_parts(session)
        parts = opened[session]
        assert parts is not None, f"no key for the recording of {session}"
        private = parts.open(seq, record.private, commitment)
        text, params = str(private["text"]), private.get("params")
        if not text.startswith("INSERT INTO marks"):
            continue
        if params:
            assert isinstance(params, list)
            assert isinstance(params[0], dict)
            marks[operation] = int(str(params[0]["text"]))
        elif "$1" not in text:
            marks[operation] = int(text.partition("(")[2].partition(")")[0])
    return marks
