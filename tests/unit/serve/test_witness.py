# SPDX-License-Identifier: Apache-2.0
"""The port of a witness: requests as the protocol says, and clients that are slow, many or garbage."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.ledger import MemoryTiles, entry
from support.notary import FailingDisk
from support.witness import NOTARY, open_witness

from gatebook.evidence.checkpoint import Checkpoint, sign
from gatebook.evidence.cosignature import Request, read_answer
from gatebook.evidence.tree import root_of
from gatebook.model.errors import OperatorFault
from gatebook.serve import witness as served
from gatebook.serve.witness import WitnessServer
from gatebook.vault.witness import Witness

TILES = MemoryTiles([entry(number) for number in range(9)])
NOTE = sign(Checkpoint(NOTARY.name, 5, root_of(TILES, 5)), NOTARY)
BODY = Request(0, (), NOTE).encode()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer: status, headers, body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        return int(head[0].split(" ")[1]), headers, await self.reader.readexactly(int(headers["content-length"]))

    async def is_closed(self) -> bool:
        with contextlib.suppress(ConnectionError):
            return await self.reader.read() == b""
        return True


@asynccontextmanager
async def serving(witness: Witness) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    """A server; gives new connections to it."""
    clients: list[Client] = []
    async with WitnessServer(witness) as server:
        port = await server.listen("127.0.0.1", 0)

        async def connect() -> Client:
            clients.append(Client(*await asyncio.open_connection("127.0.0.1", port)))
            return clients[-1]

        yield connect
        for client in clients:
            client.writer.close()


def post(body: bytes, path: str = "/add-checkpoint") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: w\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body


async def ask_once(connect: Callable[[], Awaitable[Client]], data: bytes) -> tuple[int, bytes]:
    client = await connect()
    await client.send(data)
    status, _, body = await client.answer()
    return status, body


@pytest.mark.asyncio
async def test_cosigns_and_keeps_the_connection(tmp_path: Path) -> None:
    witness = open_witness(tmp_path)
    async with serving(witness) as connect:
        client = await connect()
        await client.send(post(BODY))
        status, headers, body = await client.answer()
        assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
        read_answer(NOTE, body, witness.key)
        await client.send(post(BODY))
        status, headers, body = await client.answer()
        assert (status, headers["content-type"], body) == (409, "text/x.tlog.size", b"5\n")


@pytest.mark.asyncio
async def test_tells_its_key_and_knows_no_other_place(tmp_path: Path) -> None:
    witness = open_witness(tmp_path)
    async with serving(witness) as connect:
        assert await ask_once(connect, b"GET / HTTP/1.1\r\nHost: w\r\n\r\n") == (
            200,
            f"{witness.key.text()}\n".encode(),
        )
        assert (await ask_once(connect, b"GET /x HTTP/1.1\r\nHost: w\r\n\r\n"))[0] == 404
        assert (await ask_once(connect, b"GET /add-checkpoint HTTP/1.1\r\nHost: w\r\n\r\n"))[0] == 405
        assert (await ask_once(connect, post(BODY, "/other")))[0] == 404


@pytest.mark.asyncio
async def test_speaks_with_who_waits_for_a_permit_or_sends_chunks(tmp_path: Path) -> None:
    async with serving(open_witness(tmp_path)) as connect:
        client = await connect()
        head = b"POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head)
        assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        await client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
        assert (await client.answer())[0] == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (post(BODY).replace(b"Host: w", b"Host: w\r\nContent-Length: 1"), 400),
        (b"GET / HTTP/1.1\r\nHost: w\r\nX: " + b"x" * (13 << 10) + b"\r\n\r\n", 431),
        (post(bytes((64 << 10) + 1)), 413),
        (post(b""), 400),
    ],
)
async def test_refuses_garbage_and_what_is_too_big_and_closes(tmp_path: Path, data: bytes, status: int) -> None:
    async with serving(open_witness(tmp_path)) as connect:
        client = await connect()
        await client.send(data)
        assert (await client.answer())[0] == status
        if data != post(b""):
            assert await client.is_closed()
        assert (await ask_once(connect, post(BODY)))[0] == 200


@pytest.mark.asyncio
async def test_answers_the_first_of_a_pipeline_and_closes(tmp_path: Path) -> None:
    async with serving(open_witness(tmp_path)) as connect:
        client = await connect()
        await client.send(post(BODY) + post(BODY))
        assert (await client.answer())[0] == 200
        assert await client.is_closed()


@pytest.mark.asyncio
async def test_a_slow_client_is_closed_and_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "REQUEST_S", 0.2)
    monkeypatch.setattr(served, "IDLE_S", 0.2)
    async with serving(open_witness(tmp_path)) as connect:
        silent, half = await connect(), await connect()
        await half.send(post(BODY)[:40])
        assert (await ask_once(connect, post(BODY)))[0] == 200
        assert await silent.is_closed()
        assert await half.is_closed()


@pytest.mark.asyncio
async def test_a_client_that_goes_away_in_a_request_is_no_matter(tmp_path: Path) -> None:
    async with serving(open_witness(tmp_path)) as connect:
        for cut in (1, 40, len(post(BODY)) - 1):
            client = await connect()
            await client.send(post(BODY)[:cut])
            client.writer.close()
        assert (await ask_once(connect, post(BODY)))[0] == 200


@pytest.mark.asyncio
async def test_connections_of_an_address_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served, "MAX_OF_ADDRESS", 2)
    async with serving(open_witness(tmp_path)) as connect:
        first, second = await connect(), await connect()
        for client in (first, second):
            await client.send(b"GET / HTTP/1.1\r\nHost: w\r\n\r\n")
            assert (await client.answer())[0] == 200
        assert await (await connect()).is_closed()
        first.writer.close()
        await asyncio.sleep(0.1)
        assert (await ask_once(connect, post(BODY)))[0] == 200


@pytest.mark.asyncio
async def test_a_disk_that_fails_is_an_answer(tmp_path: Path) -> None:
    async with serving(open_witness(tmp_path, disk=FailingDisk(at=3))) as connect:
        assert (await ask_once(connect, post(BODY)))[0] == 500
        assert (await ask_once(connect, post(BODY)))[0] == 200


@pytest.mark.asyncio
async def test_says_where_it_cannot_listen(tmp_path: Path) -> None:
    async with WitnessServer(open_witness(tmp_path)) as server:
        with pytest.raises(OperatorFault, match="cannot listen"):
            await server.listen("192.0.2.1", 1)
