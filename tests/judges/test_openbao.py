# SPDX-License-Identifier: Apache-2.0
"""OpenBao's own transit engine wraps recording keys, and opens each for its own session alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.data_folder import put_journal, put_recording
from support.evidence import KEK, RECORDING_KEY, SESSION, chunk, frame, key_file, message, recording_header, start
from support.installation import Installation, install
from support.openbao import OpenBao, running_openbao

from gatebook.model.secret import Secret
from gatebook.vault.keys import KeyFault, KeyFile, parse_key_file
from gatebook.vault.transit import KeyStoreFault

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),  # the first run fetches the judge: 75 MB
]

INNER = Secret(b"\x02" * 32)


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("bao")) as server:
        yield server


@pytest.mark.parametrize("key", ["recordings", "recordings-derived"])
def test_it_opens_what_it_wrapped_for_that_session_alone(bao: OpenBao, key: str) -> None:
    store = bao.key(key)
    head = store.wrap("s_1", INNER)
    assert store.unwrap("s_1", head) == INNER
    assert INNER.reveal() not in head
    file = parse_key_file("s_1", head)
    assert (file.kek, file.wrapped[:9]) == ("vault:main", b"vault:v1:")
    with pytest.raises(KeyFault, match="does not authenticate"):
        store.unwrap("s_2", KeyFile("s_2", file.kek, file.wrapped).encode())
    changed = file.wrapped[:-8] + bytes([file.wrapped[-8] ^ 1]) + file.wrapped[-7:]
    with pytest.raises(KeyFault):
        store.unwrap("s_1", KeyFile("s_1", file.kek, changed).encode())


def test_it_opens_what_an_older_version_of_its_key_wrapped(bao: OpenBao) -> None:
    store = bao.key()
    head = store.wrap("s_1", INNER)
    bao.ask("POST", "transit/keys/recordings/rotate", {})
    assert store.unwrap("s_1", head) == INNER
    assert parse_key_file("s_1", store.wrap("s_1", INNER)).wrapped.startswith(b"vault:v2:")


@pytest.mark.parametrize("token", ["s.wrong", ""])
def test_it_refuses_another_token(bao: OpenBao, token: str) -> None:
    with pytest.raises(KeyStoreFault, match=r"^vault `main`: ") as caught:
        bao.key(token=token).wrap("s_1", INNER)
    assert "s.wrong" not in str(caught.value)


def test_it_refuses_a_key_that_is_not_there(bao: OpenBao) -> None:
    with pytest.raises(KeyStoreFault, match="status 403"):
        bao.key("absent").wrap("s_1", INNER)


@pytest.fixture
def book(
    bao: OpenBao, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Installation:
    """An installation whose recordings are under a local key, which is now an older one."""
    monkeypatch.setenv("GATEBOOK_TEST_PASSWORD", "hunter2")
    monkeypatch.setenv("GATEBOOK_TEST_VAULT_TOKEN", bao.token)
    gate = install(tmp_path / "gate", capsys)
    (gate.folder / "recording.key").write_text(KEK.hex())
    text = gate.config.read_text()
    line = next(line for line in text.splitlines() if line.startswith("recording_key"))
    keys = 'recording_key = "vault:main"\nolder_recording_keys = ["file:recording.key"]'
    gate.config.write_text(text.replace(line, keys) + bao.toml())
    put_journal(gate.settings.journal_path, [start()])
    data = chunk(0, [frame(">", message("Q", b"select 'secret'\0"))])
    put_recording(gate.settings.recordings_path, recording_header() + data)
    return gate


def test_recordings_move_from_a_local_key_to_it(bao: OpenBao, book: Installation) -> None:
    path = next(book.settings.recordings_path.glob("*/*.key"))
    assert path.read_bytes() == key_file()
    assert "select 'secret'" in book.run("sessions", "replay", SESSION).out
    told = book.run("evidence", "rewrap")
    assert told.status == 0, told.err
    assert told.out.split() == ["key", "vault:main", "rewrapped", "1", "current", "0", "erased", "0", "failed", "0"]
    assert bao.key().unwrap(SESSION, path.read_bytes()) == Secret(RECORDING_KEY)
    book.config.write_text(book.config.read_text().replace('older_recording_keys = ["file:recording.key"]\n', ""))
    (book.folder / "recording.key").unlink()
    assert "select 'secret'" in book.run("sessions", "replay", SESSION).out


def test_doctor_tries_it(book: Installation) -> None:
    told = book.run("doctor", "--offline")
    assert "vault:main wraps and opens, for one session each" in told.out


def test_its_cost(bao: OpenBao) -> None:
    store = bao.key()
    store.wrap("s_1", INNER)
    began = time.monotonic()
    for _ in range(50):
        store.wrap("s_1", INNER)
    each_ms = (time.monotonic() - began) * 1000 / 50
    print(f"wrap: {each_ms:.2f} ms")
    assert each_ms < 500
