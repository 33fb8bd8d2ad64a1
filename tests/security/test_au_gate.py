# SPDX-License-Identifier: Apache-2.0
"""What a gate writes of itself: which policy decided, and what became of recordings whose gate died."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_gate import PERMIT_ALL
from throwaway_postgres import Postgres

from gatebook.vault.journal import Faults, JournalReader

NARROW = '@id("no-drop")\nforbid (principal, action == Action::"drop", resource);\n'


@pytest.fixture
def place(server: Postgres, folder: Path) -> Iterator[Place]:
    name = f"au_{os.getpid()}_{abs(hash(folder)) % 10**8}"
    make_database(server, name)
    place = make_place(folder, server, name)
    place.gate.write_policies({"all.cedar": PERMIT_ALL, "narrow.cedar": NARROW})
    place.gate.serve()
    yield place
    place.gate.stop()


def entries(place: Place, *events: str) -> list[dict[str, Any]]:
    reader = JournalReader(place.gate.data / "journal" / "gatebook", Faults())
    leaves = [json.loads(record.leaf) for record in reader.read()]
    return [leaf for leaf in leaves if leaf["event"] in events]


def test_au_12_a_policy_that_was_changed_for_a_moment_stands_in_each_decision_of_that_moment(place: Place) -> None:
    with psycopg.connect(place.through.dsn, autocommit=True) as connection:
        for policies in ({}, {"narrow.cedar": NARROW}):
            connection.execute("SELECT 1")
            place.gate.write_policies({"all.cedar": PERMIT_ALL, **policies})
            place.gate.run("reload")
        connection.execute("SELECT 1")
    decided = [entry["decision"]["policy_hash"] for entry in entries(place, "operation.intent")]
    first, within, after = decided[0], decided[1], decided[-1]
    assert first == after != within
    loaded = entries(place, "policy.loaded")
    assert [entry["hash"] for entry in loaded] == [first, within, first]
    assert [entry.get("previous", "") for entry in loaded] == ["", first, within]


def test_au_13_a_recording_whose_gate_died_is_finished_and_the_book_says_so(place: Place) -> None:
    with psycopg.connect(place.through.dsn, autocommit=True) as connection:
        connection.execute("SELECT 'before the crash'")
        session = eventually(lambda: place.gate.sessions()[-1]["session"])
        eventually(lambda: [one for one in entries(place, "recording.chunk") if one["session"] == session])
        place.gate.stop(signal.SIGKILL)
    place.gate.serve()
    (lost,) = entries(place, "session.lost")
    (sealed,) = [one for one in entries(place, "recording.sealed") if one["session"] == session]
    assert (lost["session"], lost["cause"]) == (session, "gateway lost")
    assert sealed["chunks"] >= 1
    replayed = place.gate.run("sessions", "replay", str(session), "--purpose", "test").stdout
    assert "before the crash" in replayed
    report = cast("dict[str, Any]", place.gate.ask("ledger", "verify", check=False))
    assert report["findings"] == []
    assert [finding["name"] for finding in report["accounted"]] == ["session_lost"]
