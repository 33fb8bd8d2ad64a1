# SPDX-License-Identifier: Apache-2.0
"""Key files are rewrapped one by one: each whole, and none that was erased comes back."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from support.data_folder import put_recording
from support.evidence import KEK, RECORDING_KEY, key_file, recording_header

from gatebook.model.errors import OperatorFault
from gatebook.model.secret import Secret
from gatebook.vault import rewrap as module
from gatebook.vault.keys import parse_key
from gatebook.vault.keystore import KeyRing
from gatebook.vault.recordings import Recordings
from gatebook.vault.rewrap import BESIDE, Rewrapped, exchange, rewrap
from gatebook.vault.transit import KeyStoreFault

OLD, NEW = parse_key(Secret(KEK.hex())), parse_key(Secret("22" * 32))
RING = KeyRing(NEW, (OLD,))
SESSIONS = [f"s_{number:02}" for number in range(5)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for session in SESSIONS:
        put_recording(tmp_path, recording_header(session), session)
    return tmp_path


def run(folder: Path, ring: KeyRing = RING) -> Rewrapped:
    return rewrap(Recordings(folder, ring), ring)


def counts(done: Rewrapped) -> tuple[int, int, int, int]:
    return done.rewrapped, done.current, done.erased, done.failed


def key_of(folder: Path, session: str) -> Path:
    return folder / session[-2:] / f"{session}.key"


def test_rewraps_every_key_and_does_it_once(folder: Path) -> None:
    assert counts(run(folder)) == (5, 0, 0, 0)
    alone = Recordings(folder, NEW)
    for session in SESSIONS:
        assert alone.recording_key(session) == Secret(RECORDING_KEY)
        assert key_of(folder, session).stat().st_mode & 0o777 == 0o600
    assert counts(run(folder)) == (0, 5, 0, 0)
    assert len(list(folder.glob("*/*"))) == 2 * len(SESSIONS)


def test_a_key_that_is_erased_meanwhile_stays_erased(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def erase(one: Path, other: Path) -> None:
        if other == key_of(folder, SESSIONS[2]):
            other.unlink()
        exchange(one, other)

    monkeypatch.setattr(module, "exchange", erase)
    assert counts(run(folder)) == (4, 0, 1, 0)
    assert not key_of(folder, SESSIONS[2]).exists()
    assert list(folder.glob(f"*/{BESIDE}*")) == []


def test_leaves_alone_what_it_cannot_open(folder: Path) -> None:
    damaged = key_of(folder, SESSIONS[1])
    damaged.write_bytes(b"damaged")
    other = key_of(folder, SESSIONS[3])
    other.write_bytes(key_file("s_another"))
    done = run(folder)
    assert counts(done) == (3, 0, 0, 2)
    assert [(session, fault.finding) for session, fault in done.faults] == [
        (SESSIONS[1], "key_unusable"),
        (SESSIONS[3], "key_unusable"),
    ]
    assert (damaged.read_bytes(), other.read_bytes()) == (b"damaged", key_file("s_another"))


def test_follows_no_link(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "file"
    outside.write_bytes(key_file(SESSIONS[0]))
    key_of(folder, SESSIONS[0]).unlink()
    key_of(folder, SESSIONS[0]).symlink_to(outside)
    with pytest.raises(OperatorFault, match="cannot be written"):
        run(folder)
    assert outside.read_bytes() == key_file(SESSIONS[0])


def test_passes_over_a_file_that_a_gate_has_just_made(folder: Path) -> None:
    key_of(folder, SESSIONS[0]).write_bytes(b"")
    assert counts(run(folder)) == (4, 1, 0, 0)


@pytest.mark.parametrize("step", ["fsync", "exchange"])
def test_a_failure_half_way_leaves_every_file_whole(folder: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    calls = 0

    def fail(*words: Any) -> None:  # noqa: ANN401  as it was called
        nonlocal calls
        calls += 1
        if calls > 2:
            raise OSError(28, "No space left on device")
        (os_fsync if step == "fsync" else exchange)(*words)

    os_fsync = os.fsync
    monkeypatch.setattr(os if step == "fsync" else module, step, fail)
    with pytest.raises(OperatorFault, match="no space left on device"):
        run(folder)
    monkeypatch.undo()
    both = Recordings(folder, RING)
    assert [both.recording_key(session) for session in SESSIONS] == [Secret(RECORDING_KEY)] * 5
    assert list(folder.glob(f"*/{BESIDE}*")) == []
    assert run(folder).failed == 0


def test_removes_what_a_crash_left(folder: Path) -> None:
    left = folder / SESSIONS[0][-2:] / f"{BESIDE}{SESSIONS[0]}-abc"
    left.write_bytes(key_file(SESSIONS[0]))
    assert counts(run(folder)) == (5, 0, 0, 0)
    assert not left.exists()


def test_breaks_off_where_a_store_does_not_answer(folder: Path) -> None:
    class Silent:
        id = "vault:main"
        is_remote = True

        def wrap(self, session: str, recording_key: Secret) -> bytes:
            raise KeyStoreFault("silent")

        def unwrap(self, session: str, head: bytes) -> Secret:
            raise KeyStoreFault("silent")

    with pytest.raises(KeyStoreFault):
        run(folder, KeyRing(Silent(), (OLD,)))
    assert [key_of(folder, session).read_bytes() for session in SESSIONS] == [key_file(one) for one in SESSIONS]


def test_exchanges_nothing_with_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "a", tmp_path / "b")
    (tmp_path / "b").write_bytes(b"b")
    exchange(tmp_path / "a", tmp_path / "b")
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"b", b"a")
