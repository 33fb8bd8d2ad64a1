# SPDX-License-Identifier: Apache-2.0
"""Clients that never came inside TLS: entered one by one, then counted, and nobody waits for them (AU-07)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from gatebook.evidence.builders import Stamp
from gatebook.native.carrier import NativeError, NotSecured
from gatebook.serve.handshakes import Handshakes
from gatebook.serve.logins import Counted, Logins

HERE, THERE = "192.0.2.1", "198.51.100.7"


@dataclass
class Failed:
    """What the carrier hands over."""

    peer: tuple[str, int] | None = (HERE, 50_000)
    check: str = "certificate"
    reason: str = "expired"
    times: int = 1


@dataclass
class Desk:
    """Failed handshakes with a book in memory and a clock that stands still."""

    moment: float = 0.0
    told: list[dict[str, Any]] = field(default_factory=list)
    logins: Logins = field(default_factory=Logins)

    def enter(self, failed: Failed) -> None:
        handshakes = Handshakes(
            self.logins,
            lambda leaf: self.told.append(json.loads(leaf)),
            lambda: Stamp("gate", datetime(2026, 11, 25, tzinfo=UTC)),
            lambda: self.moment,
        )
        handshakes.enter(cast("NotSecured", failed))


def test_a_failed_handshake_is_a_refused_login_with_its_check_and_reason() -> None:
    desk = Desk()
    desk.enter(Failed())
    (entry,) = desk.told
    assert (entry["event"], entry["result"], entry["failed"], entry["reason"]) == (
        *("authn", "refused"),
        *("certificate", "expired"),
    )
    assert entry["checks"] == [{"name": "certificate", "passed": False}]
    assert entry["source"] == {"ip": HERE, "port": 50_000}
    assert entry["claimed"] == {"database": "", "user": ""}


def test_au_07_a_flood_is_twenty_entries_and_a_count() -> None:
    desk = Desk()
    for number in range(500):
        desk.enter(Failed((HERE, number), "tls" if number % 2 else "certificate"))
    assert len(desk.told) == 20
    assert desk.logins.take_counted(10.0) == [Counted(HERE, 480, (("certificate", 240), ("tls", 240)), 10)]


def test_failed_handshakes_and_failed_logins_share_the_room_of_their_source() -> None:
    desk = Desk()
    for number in range(20):
        desk.logins.fail(HERE, f"bot-{number}", "known", 0.0)
    desk.enter(Failed())
    desk.enter(Failed((THERE, 50_000)))
    assert [entry["source"]["ip"] for entry in desk.told] == [THERE]


def test_failed_handshakes_slow_no_login() -> None:
    desk = Desk()
    for _ in range(500):
        desk.enter(Failed())
    assert desk.logins.arrive(HERE, "bot", 0.0) == 0.0
    assert desk.logins.arrive(HERE, "", 0.0) == 0.0


def test_au_07_those_that_came_too_fast_are_counted_as_others() -> None:
    desk = Desk()
    desk.enter(Failed(None, "tls", "", 3000))
    assert desk.told == []
    assert desk.logins.take_counted(10.0) == [Counted("others", 3000, (("tls", 3000),), 10)]


def test_one_that_cannot_be_entered_is_a_fault() -> None:
    def fail(_leaf: bytes) -> None:
        raise NativeError("the disk is full")

    handshakes = Handshakes(Logins(), fail, lambda: Stamp("gate", datetime(2026, 11, 25, tzinfo=UTC)), lambda: 0.0)
    with pytest.raises(NativeError):
        handshakes.enter(cast("NotSecured", Failed()))
