# SPDX-License-Identifier: Apache-2.0
"""The HTTP face of a witness: add-checkpoint, and its verifier key, on a port that anybody may reach.

SPEC: docs/spec/ledger.md, "What a witness does". h11 parses what comes, and refuses what could be read in two
ways. Every request and every wait for one is bounded in bytes and time, connections in all and by address.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable
from http import HTTPStatus
from typing import Self

import h11
import structlog

from gatebook.evidence.cosignature import MAX_REQUEST_BYTES
from gatebook.model.errors import OperatorFault, quoted
from gatebook.vault.witness import Reply, Witness

MAX_HEAD_BYTES = 8 << 10
MAX_CONNECTIONS = 64  # LIMIT: a notary keeps one
MAX_OF_ADDRESS = 16
REQUEST_S = 10.0  # LIMIT: from its first byte to the last of the answer
IDLE_S = 60.0  # LIMIT: between two requests
PIECE_BYTES = 4 << 10
END_S = 1.0  # LIMIT: for connections, when it stops

_log = structlog.get_logger("gatebook.witness")


def run_witness(witness: Witness, host: str, port: int, opened: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM. `opened` is called with the URL. OperatorFault if the address cannot be had."""
    asyncio.run(_run(witness, host, port, opened))


async def _run(witness: Witness, host: str, port: int, opened: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with WitnessServer(witness) as server:
        opened(f"http://{host}:{await server.listen(host, port)}")
        await stop.wait()


class WitnessServer:
    """Connections of one witness. Used from one event loop."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness
        self._server: asyncio.Server | None = None
        self._connections: Counter[str] = Counter()
        self._serving: dict[asyncio.Task[object], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._serving.values():
            writer.close()
        if self._serving:
            await asyncio.wait(self._serving, timeout=END_S)

    async def listen(self, host: str, port: int) -> int:
        """Listen, and return the port. OperatorFault if the address cannot be had."""
        try:
            self._server = await asyncio.start_server(self._connected, host, port, limit=MAX_HEAD_BYTES)
        except OSError as fault:
            words = f"a witness cannot listen at {quoted(f'{host}:{port}')}: {fault.strerror or fault}"
            raise OperatorFault(words, "choose another with `--host` and `--port`") from fault
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = str((writer.get_extra_info("peername") or ("",))[0])
        if self._connections.total() >= MAX_CONNECTIONS or self._connections[address] >= MAX_OF_ADDRESS:
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None, "a connection is served by a task"
        self._connections[address] += 1
        self._serving[task] = writer
        try:
            await self._serve(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # a client that went away, or is too slow, is told nothing
        finally:
            self._connections[address] -= 1
            if not self._connections[address]:
                del self._connections[address]
            del self._serving[task]
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests on a connection until either side wants no more."""
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        while True:
            async with asyncio.timeout(IDLE_S):
                first = await reader.read(PIECE_BYTES)
            async with asyncio.timeout(REQUEST_S):
                try:
                    http.receive_data(first)
                    request = await _next_event(http, reader)
                    if not isinstance(request, h11.Request):
                        return
                    reply = await self._reply(http, reader, writer, request)
                except h11.RemoteProtocolError as fault:
                    reply = Reply(fault.error_status_hint, b"not HTTP as it must be\n")
                await _send(http, writer, reply)
            # LIMIT: no pipelines; who sends them asks again on another connection.
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE or http.trailing_data[0]:
                return
            http.start_next_cycle()

    async def _reply(
        self, http: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: h11.Request
    ) -> Reply:
        """Read the body and answer."""
        if http.they_are_waiting_for_100_continue:
            writer.write(http.send(h11.InformationalResponse(status_code=100, headers=[])))
        body = bytearray()
        while not isinstance(event := await _next_event(http, reader), h11.EndOfMessage):
            if not isinstance(event, h11.Data):
                raise OSError("the connection ended in a request")
            body += event.data
            if len(body) > MAX_REQUEST_BYTES:
                return Reply(413, f"a body may have {MAX_REQUEST_BYTES} bytes\n".encode())
        match request.method, request.target.partition(b"?")[0]:
            case b"GET" | b"HEAD", b"/":
                return Reply(200, f"{self._witness.key.text()}\n".encode())
            case b"POST", b"/add-checkpoint":
                return self._add_checkpoint(bytes(body))
            case _, b"/" | b"/add-checkpoint":
                return Reply(405, b"another method\n")
            case _:
                return Reply(404, b"not here\n")

    def _add_checkpoint(self, body: bytes) -> Reply:
        # Without giving way to another request: check, write and signature are one step.
        try:
            reply = self._witness.add_checkpoint(body, time.time)
        except OSError as fault:
            _log.error("the state cannot be written: nothing is cosigned", error=fault.strerror)
            return Reply(500, b"the state cannot be written\n")
        if reply.status in {409, 422}:
            _log.warning("not cosigned: the ledger is not as it was seen", status=reply.status)
        return reply


async def _next_event(http: h11.Connection, reader: asyncio.StreamReader) -> object:
    """Return the next event of a connection, reading as needed."""
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(await reader.read(PIECE_BYTES))
    return event


async def _send(http: h11.Connection, writer: asyncio.StreamWriter, reply: Reply) -> None:
    headers = [
        ("content-type", reply.kind),
        ("content-length", str(len(reply.body))),
        ("x-content-type-options", "nosniff"),
    ]
    if http.their_state is not h11.DONE:
        headers.append(("connection", "close"))  # what is left of the request is not read
    with contextlib.suppress(h11.LocalProtocolError):  # the client is gone, or an answer is under way
        reason = HTTPStatus(reply.status).phrase
        head = h11.Response(status_code=reply.status, headers=headers, reason=reason.encode())
        writer.write((http.send(head) or b"") + (http.send(h11.Data(data=reply.body)) or b""))
        writer.write(http.send(h11.EndOfMessage()) or b"")
        await writer.drain()
