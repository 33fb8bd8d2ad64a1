# SPDX-License-Identifier: Apache-2.0
"""A request to a witness over a real connection: what comes back, and what is no answer."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.raw_server import server

from gatebook.vault import asking
from gatebook.vault.asking import MAX_ANSWER_BYTES, HttpAsk
from gatebook.vault.cosigning import Answer, NotAnswered


@contextmanager
def asker(url: str) -> Iterator[HttpAsk]:
    ask = HttpAsk(f"{url}/prefix/")
    try:
        yield ask
    finally:
        ask.close()


def say(answer: bytes, seen: list[bytes] | None = None) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        request = b""
        while not request.endswith(b"body"):
            request += connection.recv(4096)
        (seen if seen is not None else []).append(request)
        connection.sendall(answer)

    return serve


def test_sends_the_body_and_returns_status_and_content() -> None:
    seen: list[bytes] = []
    with server(say(b"HTTP/1.1 409 Conflict\r\ncontent-length: 2\r\n\r\n7\n", seen)) as url, asker(url) as ask:
        assert ask(b"body") == Answer(409, b"7\n")
    assert seen[0].startswith(b"POST /prefix/add-checkpoint HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\n\r\n" + bytes(MAX_ANSWER_BYTES + 1),
    ],
)
def test_what_is_no_answer_says_so_in_one_line(answer: bytes) -> None:
    with server(say(answer)) as url, asker(url) as ask, pytest.raises(NotAnswered) as caught:
        ask(b"body")
    assert "\n" not in str(caught.value)


def test_follows_no_redirect() -> None:
    moved = b"HTTP/1.1 307 Moved\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"
    with server(say(moved)) as url, asker(url) as ask:
        assert ask(b"body").status == 307


def test_nobody_there_is_no_answer() -> None:
    with asker("http://127.0.0.1:1") as ask, pytest.raises(NotAnswered, match="cannot be reached"):
        ask(b"body")


def test_a_trickle_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ASK_S", 0.3)

    def trickle(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        until = time.monotonic() + 5
        while time.monotonic() < until:
            connection.sendall(b"x")
            time.sleep(0.05)

    with server(trickle) as url, asker(url) as ask, pytest.raises(NotAnswered, match="takes longer"):
        ask(b"body")


def test_silence_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "STEP_S", 0.2)
    release = threading.Event()
    with (
        server(lambda connection: (connection.recv(4096), release.wait(10), None)[2]) as url,
        asker(url) as ask,
    ):
        with pytest.raises(NotAnswered, match="cannot be reached"):
            ask(b"body")
        release.set()
