# SPDX-License-Identifier: Apache-2.0
"""Guessers with psql: they are slowed and turned away, the book is not filled, and nobody else is locked out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.servers import Place, eventually, make_database, make_place
from throwaway_gate import Key
from throwaway_postgres import Postgres

GUESS = "gbk_aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq3vkobs"


@pytest.fixture(scope="module")
def gate(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    make_database(server, "guessing")
    place = make_place(tmp_path_factory.mktemp("guessing") / "gate", server, "guessing")
    place.gate.serve()
    yield place
    place.gate.stop()


def guess(gate: Place, user: str) -> str:
    done = gate.through_with(Key("", GUESS, user)).psql("-c", "SELECT 1")
    assert done.returncode == 2
    return done.stderr


def test_id_06_a_guesser_is_slowed_under_any_case_of_a_name_and_the_right_key_waits_no_minute(gate: Place) -> None:
    began = time.monotonic()
    said = [guess(gate, "victim" if number % 2 else "VICTIM") for number in range(8)]
    assert time.monotonic() - began > 1.5  # 0.25, 0.5 and 1 s beyond the fifth
    assert all("does not accept this login" in words for words in said)
    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(lambda _: guess(gate, "Victim"), range(8)))
    assert any("too many failed logins" in words for words in said)
    assert gate.through.psql("-c", "SELECT 1").stdout == "1\n"  # the helper, from the same machine


def test_a_flood_of_guesses_is_one_entry_for_ten_seconds(gate: Place) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: guess(gate, f"name-{number}"), range(40)))
    refused = [attempt for attempt in gate.entries("authn") if attempt["result"] == "refused"]
    assert len(refused) == 20
    assert gate.through.psql("-c", "SELECT 1").stdout == "1\n"
    assert eventually(lambda: counted(gate) == 16 + 40 - 20, within_s=30)
    counts = gate.entries("authn.counted")
    assert len(counts) <= 3
    assert counts[0]["source"] == {"ip": "127.0.0.1"}
    assert set(counts[0]["checks"]) <= {"known", "throttled"}


def counted(gate: Place) -> int:
    return sum(count["failures"] for count in gate.entries("authn.counted"))
