# SPDX-License-Identifier: Apache-2.0
"""Cancel requests: entered first, and guessing is slowed (PG-20)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from gatebook.evidence.builders import Stamp
from gatebook.native.carrier import Cancel, NativeError
from gatebook.serve.cancels import Cancels
from gatebook.serve.logins import Logins

HERE, THERE = "192.0.2.1", "198.51.100.7"


@dataclass
class Request:
    """What the carrier hands over."""

    session: str | None
    peer: tuple[str, int] = (HERE, 50_000)
    ticket: int = 1


@dataclass
class Desk:
    """Cancel requests with a book in memory and a clock that stands still."""

    moment: float = 0.0
    told: list[dict[str, Any]] = field(default_factory=list)
    logins: Logins = field(default_factory=Logins)

    async def ask(self, session: str | None, ip: str = HERE) -> bool:
        cancels = Cancels(
            self.logins,
            lambda leaf: self.told.append(json.loads(leaf)),
            lambda: Stamp("gate", datetime(2026, 11, 25, tzinfo=UTC)),
            lambda: self.moment,
        )
        return await cancels.is_good(cast("Cancel", Request(session, (ip, 50_000))))


@pytest.mark.asyncio
async def test_pg_20_a_right_key_is_entered_with_its_session_and_carried_out() -> None:
    desk = Desk()
    assert await desk.ask("s_1")
    (entry,) = desk.told
    assert (entry["event"], entry["result"], entry["session"]) == ("cancel", "sent", "s_1")
    assert entry["source"] == {"ip": HERE, "port": 50_000}


@pytest.mark.asyncio
async def test_pg_20_a_wrong_key_is_entered_and_comes_to_nothing() -> None:
    desk = Desk()
    assert not await desk.ask(None)
    (entry,) = desk.told
    assert (entry["event"], entry["result"]) == ("cancel", "unknown")
    assert "session" not in entry


@pytest.mark.asyncio
async def test_pg_20_who_guesses_is_turned_away_even_with_a_right_key() -> None:
    desk = Desk()
    for _ in range(20):
        desk.logins.fail(HERE, f"\0cancel {HERE}", "cancel", 0.0)
    assert not await desk.ask("s_1")
    assert desk.told == []  # twenty were told; this one is counted
    (counted,) = desk.logins.take_counted(20.0)
    assert counted.checks == (("cancel", 1),)


@pytest.mark.asyncio
async def test_pg_20_who_guesses_slows_nobody_elsewhere() -> None:
    desk = Desk()
    for _ in range(200):
        desk.logins.fail(HERE, f"\0cancel {HERE}", "cancel", 0.0)
    assert await desk.ask("s_1", THERE)
    assert [entry["result"] for entry in desk.told] == ["sent"]


@pytest.mark.asyncio
async def test_a_request_that_cannot_be_entered_is_not_carried_out() -> None:
    def fail(_leaf: bytes) -> None:
        raise NativeError("the disk is full")

    cancels = Cancels(Logins(), fail, lambda: Stamp("gate", datetime(2026, 11, 25, tzinfo=UTC)), lambda: 0.0)
    with pytest.raises(NativeError):
        await cancels.is_good(cast("Cancel", Request("s_1")))
