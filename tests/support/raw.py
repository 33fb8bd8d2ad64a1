# SPDX-License-Identifier: Apache-2.0
"""A client that says exactly the bytes a test gives it, over TLS to a real gate."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

from support import pgwire

TIMEOUT_S = 20.0


class Gone(Exception):
    """The gate closed the connection."""


class RawClient:
    """One connection. `received` keeps every message since login."""

    def __init__(self, port: int, root: Path) -> None:
        self._plain = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        self._plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._root = root
        self.socket: socket.socket = self._plain
        self._buffer = b""

    def start_tls(self) -> Self:
        """Ask for TLS and shake hands, checking the gate's certificate."""
        self._plain.sendall(pgwire.SSL_REQUEST)
        assert self._plain.recv(1) == b"S"
        context = ssl.create_default_context(cafile=str(self._root))
        self.socket = context.wrap_socket(self._plain, server_hostname="localhost")
        return self

    def log_in(self, user: str, password: str, database: str) -> Self:
        """Log in with a key and read up to the first ReadyForQuery."""
        self.send(pgwire.startup(user=user, database=database))
        assert self.read_message() == ("R", b"\x00\x00\x00\x03")
        self.send(pgwire.password(password))
        assert self.read_until_ready()[-1] == ("Z", b"I")
        return self

    def send(self, *messages: bytes) -> None:
        """Send bytes in one piece."""
        self.socket.sendall(b"".join(messages))

    def read_message(self) -> tuple[str, bytes]:
        """Return the next message's kind and body. Gone if the connection is closed before it is whole."""
        while len(self._buffer) < 5 or len(self._buffer) < 1 + int.from_bytes(self._buffer[1:5], "big"):
            self._fill()
        length = 1 + int.from_bytes(self._buffer[1:5], "big")
        whole, self._buffer = self._buffer[:length], self._buffer[length:]
        return whole[:1].decode("latin-1"), whole[5:]

    def read_until_ready(self) -> list[tuple[str, bytes]]:
        """Return the messages up to and with the next ReadyForQuery."""
        messages = [self.read_message()]
        while messages[-1][0] != "Z":
            messages.append(self.read_message())
        return messages

    def ask(self, *messages: bytes) -> list[tuple[str, bytes]]:
        """Send messages of which one brings a ReadyForQuery, and return the answers up to it."""
        self.send(*messages)
        return self.read_until_ready()

    def read_to_end(self) -> list[tuple[str, bytes]]:
        """Return the messages until the gate closes the connection."""
        messages = []
        while True:
            try:
                messages.append(self.read_message())
            except Gone:
                return messages

    def close(self) -> None:
        """Close the connection without a word."""
        self.socket.close()
        self._plain.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fill(self) -> None:
        try:
            data = self.socket.recv(65_536)
        except (ConnectionError, ssl.SSLError) as end:
            raise Gone from end
        if not data:
            raise Gone
        self._buffer += data


def kinds(messages: list[tuple[str, bytes]]) -> str:
    """The kinds of messages in order, without parameter reports and notices."""
    return "".join(kind for kind, _ in messages if kind not in "SN")


def refusal(messages: list[tuple[str, bytes]]) -> dict[str, str]:
    """The fields of the one error among messages."""
    (body,) = [body for kind, body in messages if kind == "E"]
    return pgwire.error_fields(body)
