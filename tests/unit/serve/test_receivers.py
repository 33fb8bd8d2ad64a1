# SPDX-License-Identifier: Apache-2.0
"""Receivers: a batch is acknowledged whole or not at all, within bounds of time and size, and no token is ever told."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.receiver import CUT, CUT_ANSWER, HANG, LONG_ANSWER, Siem, siem

from gatebook.config import Secrets
from gatebook.config.secrets import SecretRef
from gatebook.serve import posting
from gatebook.serve.receivers import FileReceiver, HttpReceiver, NotAcknowledged, Receiver, TooLarge

LINES = [b'{"index":0}\n', b'{"index":1}\n']


@pytest.fixture
def running() -> Iterator[Siem]:
    with siem() as made:
        yield made


def http(where: Siem, token: str = "", roots: Path | None = None) -> HttpReceiver:
    return HttpReceiver(where.url, SecretRef("file", token) if token else None, roots, Secrets.beside(Path("/")))


def send(receiver: Receiver) -> None:
    async def work() -> None:
        try:
            await receiver.send(LINES)
        finally:
            await receiver.close()

    asyncio.run(work())


def fault(receiver: Receiver) -> str:
    with pytest.raises(NotAcknowledged) as caught:
        send(receiver)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_status_of_success_acknowledges(running: Siem, status: int) -> None:
    running.told.answer = status
    send(http(running))
    assert running.told.indexes == [0, 1]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (302, "answers with status 302"),
        (304, "answers with status 304"),
        (401, "answers with status 401"),
        (500, "answers with status 500"),
        (CUT, "cannot be reached"),
        (CUT_ANSWER, "cannot be reached"),
        (LONG_ANSWER, "answers with more than 65536 bytes"),
    ],
)
def test_everything_else_does_not(running: Siem, answer: int | str, words: str) -> None:
    running.told.answer = answer
    assert words in fault(http(running))
    assert [request["path"] for request in running.told.requests] == ["/in"]


def test_a_batch_that_is_too_large_is_told_apart(running: Siem) -> None:
    running.told.answer = 413
    with pytest.raises(TooLarge):
        send(http(running))


def test_a_receiver_that_hangs_is_given_up(running: Siem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posting, "REQUEST_S", 0.2)
    running.told.answer = HANG
    assert fault(http(running))


def test_nobody_is_there(running: Siem) -> None:
    running.stop()
    assert "cannot be reached" in fault(http(running))


def test_a_token_is_read_anew_for_each_request_and_never_told(running: Siem, tmp_path: Path) -> None:
    path = tmp_path / "token"
    for token in ("first", "second"):
        path.write_text(f"{token}\n")
        send(http(running, str(path)))
    assert [one["authorization"] for one in running.told.requests] == ["Bearer first", "Bearer second"]
    path.write_text("of two lines\nx-other: header")
    assert "the token is not" in (said := fault(http(running, str(path))))
    assert "x-other" not in said
    path.unlink()
    assert "cannot be read" in fault(http(running, str(path)))
    assert len(running.told.requests) == 2


def test_roots_that_cannot_be_read_are_told(running: Siem, tmp_path: Path) -> None:
    assert "the roots of the receiver cannot be read" in fault(http(running, roots=tmp_path / "none.pem"))


def test_a_file_grows_and_ends_what_a_crash_left(tmp_path: Path) -> None:
    path = tmp_path / "book.jsonl"
    send(FileReceiver(path))
    assert path.read_bytes() == b"".join(LINES)
    path.write_bytes(b'{"ind')
    send(FileReceiver(path))
    assert path.read_bytes() == b'{"ind\n' + b"".join(LINES)


def test_what_is_no_file_is_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is no regular file" in fault(FileReceiver(tmp_path / "pipe"))
    assert "is a directory" in fault(FileReceiver(tmp_path))
    assert "no such file" in fault(FileReceiver(tmp_path / "none" / "book.jsonl"))
