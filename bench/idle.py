# SPDX-License-Identifier: Apache-2.0
"""Thousands of idle sessions through a gate, to a stand-in that answers logins only: the one fake of the benchmark.

A real server has a process for each connection, and ten thousand of those say more of the machine than of the gate.
"""

from __future__ import annotations

import asyncio
import resource
import ssl
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import resident_kib
from throwaway_gate import Gate, Key, Login, Target, make_gate

WANTED = 10_000
AT_ONCE = 50
# Descriptors: two sockets and a recording in the gate; here two sockets, with those of the stand-in; some to spare.
SPARE = 1_000
READY = b"Z\x00\x00\x00\x05I"
ANSWER = b"R\x00\x00\x00\x08\x00\x00\x00\x00" + b"K\x00\x00\x00\x0c\x00\x00\x00\x07\x01\x02\x03\x04" + READY


def possible() -> int:
    """How many sessions the descriptor limit lets."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(WANTED, (limit - SPARE) // 3)


def idle_kib(count: int) -> float:
    """What each of so many idle sessions inside TLS adds to a gate, in KiB. RuntimeError where one cannot log in."""
    with _stand_in() as port, tempfile.TemporaryDirectory(prefix="gbidle-", dir="/tmp") as folder:
        target = Target("idle", "idle", port, (Login("idle", "idle", "of no use", ("agents",)),))
        gate = make_gate(Path(folder) / "gate", target)
        key = gate.create_key("idler")
        gate.serve()
        try:
            return asyncio.run(_fill(gate, key, count))
        finally:
            gate.stop()


async def _fill(gate: Gate, key: Key, count: int) -> float:
    context = ssl.create_default_context(cafile=str(gate.root))
    context.set_alpn_protocols(["postgresql"])
    turns = asyncio.Semaphore(AT_ONCE)
    assert gate.process is not None

    async def log_in() -> asyncio.StreamWriter:
        async with turns:
            reader, writer = await asyncio.open_connection(
                "localhost", gate.port, ssl=context, server_hostname="localhost", limit=4096
            )
            parameters = f"user\0{key.agent}\0database\0idle\0\0".encode()
            writer.write(struct.pack(">IHH", len(parameters) + 8, 3, 0) + parameters)
            await reader.readexactly(9)
            secret = key.token.encode() + b"\0"
            writer.write(b"p" + struct.pack(">I", len(secret) + 4) + secret)
            try:
                await asyncio.wait_for(reader.readuntil(READY), 60)
            except (asyncio.IncompleteReadError, TimeoutError) as fault:
                raise RuntimeError(f"an idle session did not come in: {fault!r}") from fault
            return writer

    writers = await asyncio.gather(*(log_in() for _ in range(100)))  # they warm what all share
    before = resident_kib(gate.process.pid)
    writers += await asyncio.gather(*(log_in() for _ in range(count)))
    await asyncio.sleep(3)  # buffers of what has gone quiet are given back
    after = resident_kib(gate.process.pid)
    for writer in writers:
        writer.transport.abort()
    return (after - before) / count


@contextmanager
def _stand_in() -> Iterator[int]:
    """A server that lets everybody in and says no more; the gate does without its catalogue."""
    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), list[int]()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            (length,) = struct.unpack(">I", await reader.readexactly(4))
            await reader.readexactly(length - 4)
            writer.write(ANSWER)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(greet, "127.0.0.1", 0, limit=4096, backlog=1024)
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(10)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
