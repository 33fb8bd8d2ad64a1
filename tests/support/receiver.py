# SPDX-License-Identifier: Apache-2.0
"""A receiver of exports for tests: a real HTTP server in a thread, which does what it is told with each request."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_S = 60.0
TAKE, REFUSE, HANG, CUT, CUT_ANSWER, LONG_ANSWER = "take", "refuse", "hang", "cut", "cut answer", "long answer"


@dataclass
class SiemState:
    """What a receiver was sent and what it answers: a status, or one of the words above.

    `script` is used up first, one for each request, then `answer`. `most_bytes`: longer bodies are answered with 413.
    """

    answer: int | str = 204
    script: list[int | str] = field(default_factory=list)
    most_bytes: int = 1 << 40
    kept: list[dict[str, Any]] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)
    requests: list[dict[str, str]] = field(default_factory=list)
    answer_headers: dict[str, str] = field(default_factory=dict)
    let: threading.Event = field(default_factory=threading.Event)
    one: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, body: bytes) -> None:
        for line in body.splitlines():
            self.lines.append(line)
            self.kept.append(json.loads(line))

    @property
    def indexes(self) -> list[int]:
        return [record["index"] for record in self.kept]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        told = self.server.told
        with told.one:
            does = told.script.pop(0) if told.script else told.answer
            told.requests.append({"path": self.path} | {name.lower(): value for name, value in self.headers.items()})
        body = b""
        if does != CUT:
            body = self.rfile.read(int(self.headers["content-length"]))
        if len(body) > told.most_bytes:
            does = 413
        if does == HANG:
            told.let.wait(HANG_S)
            does = CUT
        if does == CUT:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        with told.one:
            if does in {CUT_ANSWER, LONG_ANSWER} or (isinstance(does, int) and 200 <= does < 300):
                told.keep(body)
        self.answer_with(does)

    def answer_with(self, does: int | str) -> None:
        content = b"x" * (1 << 20) if does == LONG_ANSWER else b""
        self.send_response(does if isinstance(does, int) else 200)
        for name, value in self.server.told.answer_headers.items():
            self.send_header(name, value)
        if does == 302:
            self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        if does != 204:
            self.send_header("content-length", "1000" if does == CUT_ANSWER else str(len(content)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(content)
        if does == CUT_ANSWER:
            self.close_connection = True

    do_GET = do_POST  # noqa: N815  the name that the base class calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name that the base class gives it
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    told: SiemState

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  as the base class
        pass  # clients that are killed cut their connections


@dataclass
class Siem:
    """A receiver at `url`, which may be stopped and started again at the same port."""

    told: SiemState
    port: int = 0
    tls: ssl.SSLContext | None = None
    _server: _Server | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/in"

    def start(self) -> None:
        server = _Server(("127.0.0.1", self.port), _Handler)
        server.told = self.told
        if self.tls is not None:
            server.socket = self.tls.wrap_socket(server.socket, server_side=True)
        self._server, self.port = server, server.server_port
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self.told.let.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@contextmanager
def siem(tls: ssl.SSLContext | None = None) -> Iterator[Siem]:
    made = Siem(SiemState(), tls=tls)
    made.start()
    try:
        yield made
    finally:
        made.stop()
