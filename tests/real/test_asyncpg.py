# SPDX-License-Identifier: Apache-2.0
"""asyncpg through the gate: it speaks nothing but the extended protocol, in binary, with named statements."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal

import asyncpg
import pytest
import pytest_asyncio
from support.servers import TARGET, Place

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def connection(place: Place) -> AsyncIterator[asyncpg.Connection]:
    made = await asyncpg.connect(
        host="localhost",
        port=place.gate.port,
        user=place.key.agent,
        password=place.key.token,
        database=TARGET,
        ssl=ssl.create_default_context(cafile=str(place.gate.root)),
    )
    yield made
    await made.close()


async def test_fetches_values_of_every_kind(connection: asyncpg.Connection) -> None:
    row = await connection.fetchrow("SELECT name, price, made, tags FROM things WHERE id = $1", 2)
    assert tuple(row) == ("thing 2", Decimal("2.50"), date(2024, 1, 3), ["a2", None, "c"])


async def test_a_prepared_statement_runs_many_times(connection: asyncpg.Connection) -> None:
    statement = await connection.prepare("SELECT id * $1::int FROM things WHERE id = $2")
    assert [await statement.fetchval(3, number) for number in range(1, 101)] == [3 * n for n in range(1, 101)]


async def test_a_cursor_in_a_transaction_fetches_in_portions(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        got = [row["id"] async for row in connection.cursor("SELECT id FROM things ORDER BY id", prefetch=33)]
    assert got == list(range(1, 1001))


async def test_copy_records_and_read_them_back(place: Place, connection: asyncpg.Connection) -> None:
    await connection.execute("CREATE TABLE records (x int, y text)")
    records = [(number, f"y {number}") for number in range(2000)]
    assert await connection.copy_records_to_table("records", records=records) == "COPY 2000"
    assert [tuple(row) for row in await connection.fetch("SELECT x, y FROM records ORDER BY x")] == records


async def test_an_error_leaves_the_connection_usable(connection: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await connection.fetchval("SELECT 1 / $1::int", 0)
    assert await connection.fetchval("SELECT 5") == 5


async def test_a_timeout_cancels_at_the_server(place: Place, connection: asyncpg.Connection) -> None:
    with pytest.raises(TimeoutError):
        await connection.fetchval("SELECT pg_sleep(30) /* timed out */", timeout=0.3)
    assert await connection.fetchval("SELECT 1") == 1
    running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%timed out */' AND state = 'active'"
    assert place.ask(running) == "0"
