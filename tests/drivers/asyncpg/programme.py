# SPDX-License-Identifier: Apache-2.0
"""Steps of asyncpg: the extended protocol in binary, cached statements, COPY, cursors, notifications."""

import asyncio
import datetime as dt
import decimal
import json
import os
import ssl

import asyncpg

OUTCOMES = {}


async def step(name, work):
    try:
        OUTCOMES[name] = await work
    except asyncpg.PostgresError as error:
        OUTCOMES[name] = [type(error).__name__, error.sqlstate, error.message, error.detail, error.position]
    except (asyncpg.InterfaceError, OSError) as error:
        OUTCOMES[name] = [type(error).__name__, str(error)]


async def connect():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    return await asyncpg.connect(ssl=context)


async def repeated(c):
    return [await c.fetchval("SELECT $1::int * 2", n) for n in range(30)]


async def redefined(c):
    await c.execute("CREATE TABLE changing (a int)")
    first = await c.fetch("SELECT * FROM changing")
    await c.execute("ALTER TABLE changing ADD b text DEFAULT 'b'")
    await c.execute("INSERT INTO changing VALUES (1)")
    return [list(first), [tuple(r) for r in await c.fetch("SELECT * FROM changing")]]


async def custom_types(c):
    await c.execute("CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TYPE pair AS (a int, m mood)")
    return [
        await c.fetchval("SELECT $1::mood", "good"),
        str(await c.fetchval("SELECT ROW(1, 'bad')::pair")),
        await c.fetchval("SELECT ARRAY['good', 'bad']::mood[]"),
    ]


async def copy(c):
    await c.execute("CREATE TABLE records (x int, y text, z numeric)")
    told = await c.copy_records_to_table("records", records=[(n, f"y{n}", decimal.Decimal(n)) for n in range(5000)])
    out = []

    async def take(data):
        out.append(bytes(data))

    told_out = await c.copy_from_query("SELECT * FROM records WHERE x < 5", output=take, format="csv")
    return [told, told_out, b"".join(out).decode()]


async def cursor(c):
    async with c.transaction():
        walk = await c.cursor("SELECT generate_series(1, 50)")
        return [len(await walk.fetch(20)), await walk.forward(10), (await walk.fetchrow())[0]]


async def savepoints(c):
    async with c.transaction():
        try:
            async with c.transaction():
                await c.execute("SELECT 1/0")
        except asyncpg.DivisionByZeroError:
            pass
        return await c.fetchval("SELECT 'alive'")


async def listen(c):
    heard = asyncio.get_running_loop().create_future()
    await c.add_listener("drivers", lambda _c, _pid, channel, payload: heard.set_result([channel, payload]))
    other = await connect()
    await other.execute("NOTIFY drivers, 'word'")
    await other.close()
    return await asyncio.wait_for(heard, 5)


async def values(c):
    now = dt.datetime(2024, 2, 29, 1, 2, 3, tzinfo=dt.UTC)
    row = await c.fetchrow(
        "SELECT $1::int, $2::float8, $3::numeric, $4::text, $5::bytea, $6::timestamptz, $7::int[], $8::json,"
        " $9::interval",
        1, 2.5, decimal.Decimal("1.1"), "é", b"\x00", now, [1, None], "{}", dt.timedelta(3),
    )  # fmt: skip
    return repr(tuple(row))


async def timeout(c):
    try:
        await c.execute("SELECT pg_sleep(10)", timeout=0.3)
    except TimeoutError:
        return await c.fetchval("SELECT 'cancelled'")


async def main():
    c = await connect()
    settings = c.get_settings()
    OUTCOMES["settings"] = [settings.server_encoding, settings.TimeZone, str(c.get_server_version())]
    await step("values", values(c))
    await step("repeated", repeated(c))
    await step("script", c.execute("SELECT 1; CREATE TABLE s (a int); INSERT INTO s VALUES (1)"))
    await step("many", c.executemany("INSERT INTO s VALUES ($1)", [(n,) for n in range(500)]))
    await step("counted", c.fetchval("SELECT count(*) FROM s"))
    await step("many that fail", c.executemany("INSERT INTO s VALUES ($1 / $2)", [(1, 1), (1, 0), (2, 1)]))
    await step("counted again", c.fetchval("SELECT count(*) FROM s"))
    await step("redefined", redefined(c))
    await step("custom types", custom_types(c))
    await step("copy", copy(c))
    await step("cursor", cursor(c))
    await step("savepoints", savepoints(c))
    await step("listen", listen(c))
    await step("timeout", timeout(c))
    await step("syntax error", c.fetch("SELECT 1 FRM x"))
    await step("no table", c.fetch("SELECT * FROM nowhere WHERE a = $1", 1))
    await step("wrong number of parameters", c.fetch("SELECT $1::int, $2::int", 1))
    await step("large", c.fetchval("SELECT length($1)", "x" * 3_000_000))
    await step("reset", c.reset())
    await step("terminated", c.execute("SELECT pg_terminate_backend(pg_backend_pid())"))
    print(json.dumps(OUTCOMES, default=str))


asyncio.run(main())
