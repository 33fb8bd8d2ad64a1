# SPDX-License-Identifier: Apache-2.0
"""A witness: what it answers to each request, and what it is after its disk, or somebody, failed it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.ledger import ORIGIN, MemoryTiles, entry
from support.notary import DiskFailed, FailingDisk
from support.witness import NAME, NOTARY, TIME, open_witness

from gatebook.evidence.checkpoint import Checkpoint, sign
from gatebook.evidence.cosignature import Request, find_cosignatures, with_cosignatures
from gatebook.evidence.note import NoteFault, Signer
from gatebook.evidence.tree import consistency_proof, root_of
from gatebook.vault.ledger import SystemDisk
from gatebook.vault.witness import Reply, Witness, WitnessStopped

TILES = MemoryTiles([entry(number) for number in range(600)])
FORKED = MemoryTiles([entry(number) for number in range(1000, 1600)])


def note(size: int, tiles: MemoryTiles = TILES, signer: Signer = NOTARY) -> bytes:
    return sign(Checkpoint(signer.name, size, root_of(tiles, size)), signer)


def body(old: int, size: int, tiles: MemoryTiles = TILES) -> bytes:
    return Request(old, tuple(consistency_proof(tiles, old, size)), note(size, tiles)).encode()


def ask(witness: Witness, data: bytes) -> Reply:
    return witness.add_checkpoint(data, lambda: TIME + 0.9)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    """One that has seen 300 entries."""
    made = open_witness(tmp_path)
    assert ask(made, body(0, 300)).status == 200
    return made


def test_cosigns_what_continues_what_it_has_seen(witness: Witness) -> None:
    reply = ask(witness, body(300, 512))
    assert (reply.status, reply.kind) == (200, "text/plain; charset=utf-8")
    (found,) = find_cosignatures(with_cosignatures(note(512), [reply.body.decode()]), [witness.key])
    assert (found.key.name, found.time) == (NAME, TIME)


def test_cosigns_the_same_again(witness: Witness) -> None:
    assert ask(witness, body(300, 300)).status == 200


def test_cosigns_an_empty_ledger(tmp_path: Path) -> None:
    assert ask(open_witness(tmp_path), body(0, 0)).status == 200


@pytest.mark.parametrize("old", [0, 299, 301, 512])
def test_tells_its_size_to_who_asks_from_another(witness: Witness, old: int) -> None:
    assert ask(witness, body(old, 512)) == Reply(409, b"300\n", "text/x.tlog.size")


def test_refuses_another_ledger_of_the_same_size(witness: Witness) -> None:
    assert ask(witness, body(300, 300, FORKED)) == Reply(409, b"300\n", "text/x.tlog.size")


def test_refuses_another_past(witness: Witness) -> None:
    assert ask(witness, body(300, 512, FORKED)).status == 422
    assert ask(witness, Request(300, (), note(512)).encode()).status == 422
    assert ask(witness, body(300, 512)).status == 200


def test_refuses_a_smaller_ledger(witness: Witness) -> None:
    assert ask(witness, Request(300, (), note(200)).encode()).status == 400
    assert ask(witness, body(0, 200)) == Reply(409, b"300\n", "text/x.tlog.size")


def test_refuses_who_is_unknown_and_what_is_not_signed(witness: Witness) -> None:
    stranger = Signer.make("stranger.example", bytes(32))
    assert ask(witness, Request(300, (), note(512, TILES, stranger)).encode()).status == 404
    thief = Signer.make(ORIGIN, bytes(32))
    assert ask(witness, Request(300, (), note(512, TILES, thief)).encode()).status == 403


@pytest.mark.parametrize("data", [b"", b"old 0\n\n", b"old 300\n\nx\n", b"\xff", b"old 300\n\n" + note(512) + b"x"])
def test_refuses_what_is_no_request(witness: Witness, data: bytes) -> None:
    assert ask(witness, data).status == 400


def test_refuses_extension_lines(witness: Witness) -> None:
    text = f"{ORIGIN}\n300\n{'A' * 43}=\nmore\n"
    data = text.encode() + b"\n" + NOTARY.sign(text).encode()
    assert ask(witness, Request(300, (), data).encode()).status == 400


def test_remembers_over_a_restart(witness: Witness, tmp_path: Path) -> None:
    key = witness.key
    witness.close()
    again = open_witness(tmp_path, name="")
    assert again.key == key
    assert ask(again, body(0, 512)) == Reply(409, b"300\n", "text/x.tlog.size")
    assert ask(again, body(300, 512)).status == 200


def test_folder_and_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "witness"
    open_witness(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "key": 0o600,
        "state": 0o600,
        "lock": 0o600,
    }


@pytest.mark.parametrize("persists", [False, True])
def test_signs_nothing_that_is_not_on_disk(tmp_path: Path, *, persists: bool) -> None:
    disk = FailingDisk(at=3, persists=persists)  # 1 and 2 made state and key
    witness = open_witness(tmp_path, disk=disk)
    with pytest.raises(DiskFailed):
        ask(witness, body(0, 300))
    assert ask(witness, body(0, 512)).status == 200
    witness.close()
    assert ask(open_witness(tmp_path), body(512, 600)).status == 200


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("persists", [False, True])
def test_the_first_start_may_fail_at_any_step(tmp_path: Path, at: int, *, persists: bool) -> None:
    with pytest.raises(DiskFailed):
        open_witness(tmp_path, disk=FailingDisk(at, persists=persists))
    witness = open_witness(tmp_path)
    assert ask(witness, body(0, 300)).status == 200


def test_a_second_one_of_one_folder_is_refused(witness: Witness, tmp_path: Path) -> None:
    with pytest.raises(WitnessStopped, match="another witness uses"):
        open_witness(tmp_path)
    assert ask(witness, body(300, 512)).status == 200


@pytest.mark.parametrize(
    ("file", "data", "words"),
    [
        ("state", None, "state is gone"),
        ("key", None, "key `.*` is gone"),
        ("state", b"{}\n", "broken"),
        ("state", b'{"logs":{},"v":2}\n', "broken"),
        ("state", b"not json\n", "broken"),
        ("state", b'{"logs":{"a":1},"v":1}\n', "broken"),
        ("state", b'{"logs":{"a":{"root":"AA==","size":"1"}},"v":1}\n', "broken"),
        ("state", b'{"logs":{},"v":1}', "broken"),
    ],
)
def test_does_not_start_without_what_it_has_seen(
    witness: Witness, tmp_path: Path, file: str, data: bytes | None, words: str
) -> None:
    witness.close()
    if data is None:
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(data)
    with pytest.raises(WitnessStopped, match=words):
        open_witness(tmp_path)


def test_keeps_its_name_and_needs_one(witness: Witness, tmp_path: Path) -> None:
    witness.close()
    with pytest.raises(WitnessStopped, match="is called"):
        open_witness(tmp_path, name="another")
    with pytest.raises(WitnessStopped, match="needs a name"):
        open_witness(tmp_path / "new", name="")
    with pytest.raises(NoteFault):
        open_witness(tmp_path / "new", name="a b")
    with pytest.raises(WitnessStopped, match="needs ledgers"):
        Witness.open(tmp_path / "new", NAME, [NOTARY.verifier] * 2, bytes(32), SystemDisk())
