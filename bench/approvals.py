# SPDX-License-Identifier: Apache-2.0
"""Operations that wait for people: how soon they go on after the last vote, and what those that wait take.

A gate and a server of their own. Votes are given in this process, without a signature (the policy lets them): what is
measured is from the moment at which a vote is in force to the client's answer, beside the same statement that nobody
has to approve.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from measure import resident_kib
from throwaway_gate import Gate, Login, Target, make_gate
from throwaway_postgres import Postgres, throwaway_postgres

from gatebook.evidence.vote_signature import SESSION
from gatebook.identity.api_key import local_issuer
from gatebook.model.approval import Choice, Request, State
from gatebook.model.principal import Subject
from gatebook.session.voting import Booth
from gatebook.store.sqlite import open_store
from gatebook.vault.journal import JournalWriter

VOTES = 200
WAITING = 1000  # sessions that wait on the wire; each has a process at the server
PENDING = 5000  # requests that are open and on which nobody waits
LOGINS = 20  # at once
HELD, FREE, LATER = "UPDATE held SET n = n + 1", "UPDATE free SET n = n + 1", "UPDATE later SET n = {}"
POLICY = """
permit (principal, action, resource);
@id("held") @approval("dba") @vote("session")
forbid (principal, action == Action::"update", resource in Relation::"bench.bench.public.held");
@id("later") @approval("dba") @vote("session") @hold("return")
forbid (principal, action == Action::"update", resource in Relation::"bench.bench.public.later");
"""
SCHEMA = "".join(f"CREATE TABLE {name} (n int); INSERT INTO {name} VALUES (1);" for name in ("held", "free", "later"))
Figures = Iterator[tuple[str, float, str]]


def measure_approvals() -> Figures:
    """Yield metric, value and unit."""
    with (
        tempfile.TemporaryDirectory(prefix="gbapprovals-", dir="/tmp") as folder,
        throwaway_postgres(settings={"max_connections": str(WAITING + 50), "shared_buffers": "16MB"}) as server,
    ):
        gate = _make_gate(Path(folder) / "gate", server)
        gate.serve()
        assert gate.process is not None
        try:
            key = gate.create_key("bench")
            conninfo = f"{gate.conninfo(key, 'bench')} password={key.token}"
            yield from asyncio.run(_measure(gate, conninfo, gate.process.pid))
        finally:
            gate.stop()


def _make_gate(folder: Path, server: Postgres) -> Gate:
    server.psql("CREATE ROLE bench LOGIN SUPERUSER PASSWORD 'bench'")
    server.psql("CREATE DATABASE bench")
    server.psql(SCHEMA, "bench")
    target = Target("bench", "bench", server.port, (Login("all", "bench", "bench", ("agents",)),))
    gate = make_gate(folder, target, policies={"bench.cedar": POLICY})
    gate.run("person", "add", "voter", "--group", "dba")
    gate.set("approval", pending=100_000, per_hour=1_000_000, decide_s=86_400, wait_s=86_400, preview=False)
    gate.set("limits", journal_bytes_per_hour=1 << 40, recording_bytes_per_hour=1 << 40)
    return gate


async def _measure(gate: Gate, conninfo: str, pid: int) -> list[tuple[str, float, str]]:
    store = open_store(gate.data / "gatebook.db")
    journal = JournalWriter.open(gate.data / "journal", "bench", sync="privileged")
    booth = Booth("gatebook", "bench", store, journal.append, lambda: datetime.now(UTC))
    voter = Subject(local_issuer("gatebook"), "voter")

    def vote(request: Request) -> float:
        booth.vote(booth.ballot(request, voter, Choice.APPROVE), method=SESSION, channel="bench")
        return time.perf_counter()

    try:
        free, after = await _latencies(conninfo, store.list_requests, vote)
        figures = [
            ("after the vote, p50", statistics.median(after) * 1000, "ms"),
            ("after the vote, p99", statistics.quantiles(after, n=100)[98] * 1000, "ms"),
            ("nobody asked, p50", statistics.median(free) * 1000, "ms"),
        ]
        figures += await _wait_many(conninfo, pid, store.list_requests, vote)
        figures += await _pend_many(conninfo, pid)
    finally:
        journal.close()
        store.close()
    return figures


List = Callable[[tuple[State, ...], int], tuple[Request, ...]]


async def _pending(listed: List, count: int) -> tuple[Request, ...]:
    while len(found := listed((State.PENDING,), count)) < count:  # noqa: ASYNC110  another process writes them
        await asyncio.sleep(0.005)
    return found


async def _latencies(conninfo: str, listed: List, vote: Callable[[Request], float]) -> tuple[list[float], list[float]]:
    free, after = [], []
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        for _ in range(VOTES):
            began = time.perf_counter()
            await connection.execute(FREE)
            free.append(time.perf_counter() - began)
            waiting = asyncio.create_task(_until(connection.execute(HELD)))  # noqa: TID251  awaited below
            (request,) = await _pending(listed, 1)
            voted = vote(request)
            after.append(await waiting - voted)
    return free, after


async def _until(work: Awaitable[object]) -> float:
    await work
    return time.perf_counter()


async def _wait_many(
    conninfo: str, pid: int, listed: List, vote: Callable[[Request], float]
) -> list[tuple[str, float, str]]:
    turns = asyncio.Semaphore(LOGINS)
    alone = resident_kib(pid)

    async def connect() -> psycopg.AsyncConnection[tuple[object, ...]]:
        async with turns:
            connection = await psycopg.AsyncConnection.connect(conninfo, autocommit=True)
            await connection.execute(FREE)
            return connection

    connections = await asyncio.gather(*(connect() for _ in range(WAITING)))
    idle = resident_kib(pid)
    waiting = [asyncio.create_task(_until(one.execute(HELD))) for one in connections]  # noqa: TID251  awaited below
    requests = await _pending(listed, WAITING)
    held = resident_kib(pid)
    began = time.perf_counter()
    for request in requests:
        vote(request)
        await asyncio.sleep(0)
    voted = time.perf_counter()
    await asyncio.gather(*waiting)
    done = time.perf_counter()
    for connection in connections:
        await connection.close()
    return [
        ("one session", alone / 1024, "MiB"),
        (f"{WAITING:,} sessions, none of which waits", idle / 1024, "MiB"),
        (f"{WAITING:,} sessions, all of which wait", held / 1024, "MiB"),
        ("votes", WAITING / (voted - began), "1/s"),
        ("the last of them went on after the last vote", (done - voted) * 1000, "ms"),
    ]


async def _pend_many(conninfo: str, pid: int) -> list[tuple[str, float, str]]:
    before = resident_kib(pid)
    began = time.perf_counter()
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
        for number in range(PENDING):
            with suppress(psycopg.Error):  # it is to be sent again once somebody consents
                await connection.execute(LATER.format(number))
        took = time.perf_counter() - began
        return [
            (f"{PENDING:,} open requests, before", before / 1024, "MiB"),
            (f"{PENDING:,} open requests, after", resident_kib(pid) / 1024, "MiB"),
            ("requests", PENDING / took, "1/s"),
        ]


if __name__ == "__main__":
    for metric, value, unit in measure_approvals():
        print(f"{metric:50} {value:12,.1f} {unit}")
