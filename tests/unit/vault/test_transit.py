# SPDX-License-Identifier: Apache-2.0
"""What is said to a vault and what is no answer; OpenBao itself answers in tests/judges."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.raw_server import server

from gatebook.model.errors import OperatorFault
from gatebook.model.secret import Secret
from gatebook.vault import transit
from gatebook.vault.keys import KeyFault, KeyFile
from gatebook.vault.transit import MAX_ANSWER_BYTES, KeyStoreFault, TransitKey, TransitPlace

INNER = Secret(b"\x02" * 32)
TOKEN = "s.very-secret-token"
HEAD = KeyFile("s_1", "vault:main", b"vault:v1:YWJj").encode()


def say(answer: bytes, seen: list[bytes] | None = None) -> Callable[[socket.socket], None]:
    def serve(connection: socket.socket) -> None:
        request = b""
        while not request.rstrip().endswith(b"}"):
            request += connection.recv(65_536)
        (seen if seen is not None else []).append(request)
        connection.sendall(answer)

    return serve


def answer(content: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: " + str(len(content)).encode()
    return head + b"\r\n\r\n" + content


def data(**members: str) -> bytes:
    return answer(json.dumps({"data": members}).encode())


def key_at(url: str, namespace: str = "", token: str = TOKEN) -> TransitKey:
    return TransitKey(TransitPlace("main", url, "transit", "rec", namespace, None, lambda: Secret(token)))


def test_asks_for_a_session_and_shows_the_token_in_a_header_only() -> None:
    seen: list[bytes] = []
    with server(say(data(ciphertext="vault:v1:YWJj"), seen)) as url:
        assert key_at(url, namespace="team").wrap("s_1", INNER) == HEAD
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /v1/transit/encrypt/rec http/1.1"
    assert {f"x-vault-token: {TOKEN}", "x-vault-namespace: team", "x-vault-request: true"} <= set(lines)
    assert json.loads(body) == {
        "plaintext": base64.b64encode(INNER.reveal()).decode(),
        "associated_data": "c18x",
        "context": "c18x",
    }


def test_opens_what_it_wrapped() -> None:
    with server(say(data(plaintext=base64.b64encode(INNER.reveal()).decode()))) as url:
        assert key_at(url).unwrap("s_1", HEAD) == INNER


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"SSH-2.0-x\r\n",
        answer(b"not json"),
        answer(b"[" * 10_000),
        answer(b"[]"),
        answer(b'{"data":[]}'),
        data(),
        data(ciphertext="vault:v1:" + "A" * 5000),
        data(ciphertext="vault:v1:\n"),
        data(ciphertext="plaintext"),
        data(plaintext="!"),
        answer(b"x" * (MAX_ANSWER_BYTES + 1)),
        answer(b"", b"500 x"),
        answer(b"", b"503 x"),
        answer(b"", b"204 x"),
        b"HTTP/1.1 307 x\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_takes_nothing_else_for_an_answer(said: bytes) -> None:
    for is_new in (True, False):
        with server(say(said)) as url, pytest.raises((KeyStoreFault, KeyFault)) as caught:
            _ = key_at(url).wrap("s_1", INNER) if is_new else key_at(url).unwrap("s_1", HEAD)
        assert caught.value.message.isprintable()
        assert TOKEN not in repr(caught.value) + repr(caught.value.__cause__) + caught.value.hint


def test_an_unwrapped_key_has_its_length() -> None:
    with server(say(data(plaintext="YWJj"))) as url, pytest.raises(KeyFault, match="of another length"):
        key_at(url).unwrap("s_1", HEAD)


@pytest.mark.parametrize(
    ("status", "words"), [(b"403 x", "the token needs `update` on `transit/encrypt/rec`"), (b"503 x", "it is sealed")]
)
def test_says_what_to_do(status: bytes, words: str) -> None:
    with server(say(answer(b"{}", status))) as url, pytest.raises(KeyStoreFault) as caught:
        key_at(url).wrap("s_1", INNER)
    assert caught.value.hint == words


def test_a_refusal_to_decrypt_is_the_files_fault() -> None:
    with server(say(answer(b'{"errors":[]}', b"400 x"))) as url:
        with pytest.raises(KeyFault, match="does not authenticate"):
            key_at(url).unwrap("s_1", HEAD)
        with pytest.raises(KeyStoreFault, match="status 400"):
            key_at(url).wrap("s_1", INNER)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"x\n", "not its form"),
        (KeyFile("s_2", "vault:main", b"vault:v1:YWJj").encode(), "of another session"),
        (KeyFile("s_1", "vault:other", b"vault:v1:YWJj").encode(), "under another key"),
        (KeyFile("s_1", "vault:main", b"\xff\xfe").encode(), "not its form"),
        (KeyFile("s_1", "vault:main", b"vault:v1:a\r\nb").encode(), "not its form"),
    ],
)
def test_asks_nothing_for_a_file_that_is_none(head: bytes, words: str) -> None:
    with pytest.raises(KeyFault, match=words):
        key_at("http://127.0.0.1:1").unwrap("s_1", head)


@pytest.mark.parametrize("token", ["", "a\nx: y", "é", "a b", "x" * 5000])
def test_never_sends_or_repeats_a_token_that_is_none(token: str) -> None:
    with pytest.raises(KeyStoreFault, match="its token is none") as caught:
        key_at("http://127.0.0.1:1", token=token).wrap("s_1", INNER)
    assert not token or token not in str(caught.value)


def test_says_that_its_token_cannot_be_had() -> None:
    def absent() -> Secret:
        raise OperatorFault("secret file `x` cannot be read", "see the path")

    place = TransitPlace("main", "https://127.0.0.1:1", "transit", "rec", "", None, absent)
    with pytest.raises(KeyStoreFault, match="its token cannot be had: secret file `x` cannot be read"):
        TransitKey(place).wrap("s_1", INNER)


def test_leaves_a_vault_alone_that_did_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transit, "REST_S", 0.2)
    seen: list[bytes] = []
    with server(say(b"", seen)) as url:
        key = key_at(url)
        with pytest.raises(KeyStoreFault, match="cannot be reached"):
            key.wrap("s_1", INNER)
        with pytest.raises(KeyStoreFault, match="did not answer a moment ago"):
            key.wrap("s_1", INNER)
        assert len(seen) == 1
        time.sleep(0.25)
        with pytest.raises(KeyStoreFault, match="cannot be reached"):
            key.wrap("s_1", INNER)
    assert len(seen) == 2


def test_waits_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transit, "ASK_S", 0.3)

    def drip(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(50):
            connection.sendall(b" ")
            time.sleep(0.02)

    began = time.monotonic()
    with server(drip) as url, pytest.raises(KeyStoreFault, match="takes longer than"):
        key_at(url).wrap("s_1", INNER)
    assert time.monotonic() - began < 3


def test_says_that_its_roots_cannot_be_read() -> None:
    place = TransitPlace("main", "https://127.0.0.1:1", "transit", "rec", "", Path("absent.pem"), lambda: Secret(TOKEN))
    with pytest.raises(KeyStoreFault, match="its roots cannot be read: no such file"):
        TransitKey(place).wrap("s_1", INNER)
